"""The public functions: volumes in memory or in files, explicit keywords, results as objects.

They are reached as ``from MultimodalRegistrationLib import api as mr``; everything else may change between versions.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .core.grid import OrientedBox
from .core.points import Pairs
from .core.progress import Progress
from .core.request import accepts_fields
from .core.volume import Volume
from .engines.presets.preset import Preset
from .engines.session import EngineSessions
from .io.markups import read_roi
from .io.transforms import read_linear_transform
from .io.volumes import read_mask, read_volume
from .register.inputs import Inputs
from .register.masks import Masks
from .register.pipeline import register as _register
from .register.request import LANDMARK_FIELDS, OUTPUT_FIELDS, STAGE_FILES, RegisterRequest, Stage
from .register.result import RegistrationResult
from .register.run import Run

_LOG = logging.getLogger("MultimodalRegistration")


@dataclass(frozen=True)
class NextStage:
    """A stage on the result of those before it.

    Parameters
    ----------
    preset : str or Preset
        Name, file, or the preset itself.
    engine : str or None
        Name; None for the best one installed.
    masks : Masks
        In world coordinates, on any grid; those of the whole run where there is none. Of either, only what lies in the
        boxes.
    """

    preset: str | Preset
    engine: str | None = None
    masks: Masks = field(default_factory=Masks)


# What is in memory takes the place of files, and the result that of outputs.
_FILES = ("fixed", "moving", "then", "initial_transform", *LANDMARK_FIELDS, *STAGE_FILES, *OUTPUT_FIELDS)


@accepts_fields(RegisterRequest, without=_FILES)
def register(
    fixed: Volume | str | Path,
    moving: Volume | str | Path,
    *,
    then: Sequence[str | Preset | NextStage] = (),
    initial_transform: ArrayLike | str | Path | None = None,
    landmarks: Pairs | None = None,
    fixed_mask: Volume | str | Path | None = None,
    moving_mask: Volume | str | Path | None = None,
    fixed_roi: OrientedBox | str | Path | None = None,
    moving_roi: OrientedBox | str | Path | None = None,
    threads: int | None = None,
    engines: EngineSessions | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_log: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    keep_files: Path | None = None,
    **options: Any,
) -> RegistrationResult:
    """Find the transform that puts the moving volume onto the fixed one, and say whether to trust it.

    Parameters
    ----------
    fixed, moving : Volume, str or Path
        In world coordinates; not changed. Files as for :func:`read_volume`.
    then : sequence of str, Preset or NextStage
        Further stages, each on the result of those before; deformable ones last.
    initial_transform : array of shape (4, 4), str or Path, optional
        Linear, ``fixed_to_moving_lps``, mm: the start itself, or what a search goes around.
    landmarks : Pairs, optional
        In world coordinates: their rigid fit is the initial transform. They bound the run, unless bounds are given, by
        four times the error to expect of them, at least 20 mm and 15 degrees.
    fixed_mask, moving_mask : Volume, str or Path, optional
        Zeros and ones in world coordinates, on any grid, or a label map in a file.
    fixed_roi, moving_roi : OrientedBox, str or Path, optional
        Only what lies in the box is used; or a markups file.
    threads : int, optional
        For the search, the verdict and the engines; by default all usable cores, or for an engine as many as leave the
        result reproducible. ``engines`` keep their own number.
    engines : EngineSessions, optional
        Running engines to use, which stay; by default they are started and closed.
    on_progress, on_warning, on_log : callable, optional
        Called as the run goes on; the last one with each line that an engine prints. Warnings go to the logger
        ``MultimodalRegistration`` otherwise.
    cancel : threading.Event, optional
        Set it to stop: within a second while the search or an engine runs, otherwise at the end of the step.
    keep_files : Path, optional
        Folder that gets what the engines were given and wrote.
    **options
        Fields of :class:`~MultimodalRegistrationLib.register.request.RegisterRequest`, as below.

    Returns
    -------
    RegistrationResult
        The transform with its evidence.

    Raises
    ------
    InputError
        Inputs that do not fit together.
    EngineError, EngineNotInstalledError, Cancelled
        From the engines.

    Examples
    --------
    >>> from MultimodalRegistrationLib import api as mr
    >>> result = mr.register("ct.nrrd", "mr.nrrd", preset="rigid")  # doctest: +SKIP
    >>> result.verdict.word  # doctest: +SKIP
    'verified'
    """
    volumes = _volume(fixed), _volume(moving)
    later = [stage if isinstance(stage, NextStage) else NextStage(stage) for stage in then]
    request = RegisterRequest(
        fixed=volumes[0].name,
        moving=volumes[1].name,
        then=tuple(Stage(preset=stage.preset, engine=stage.engine) for stage in later),
        **options,
    )
    initial_lps, name = None, "given"
    if isinstance(initial_transform, str | Path):
        initial_lps, name = read_linear_transform(initial_transform), str(initial_transform)
    elif initial_transform is not None:
        initial_lps = np.asarray(initial_transform, dtype=np.float64)
    masks = Masks(_mask(fixed_mask), _mask(moving_mask), _roi(fixed_roi), _roi(moving_roi))
    inputs = Inputs(*volumes, masks, tuple(stage.masks for stage in later), initial_lps, name, landmarks)
    with EngineSessions(threads) if engines is None else nullcontext(engines) as running:
        run = Run(running, threads, on_warning=on_warning or _LOG.warning, cancel=cancel, keep=keep_files)
        run.on_progress = on_progress or run.on_progress
        run.on_log = on_log or _LOG.debug
        return _register(inputs, request, run)


def _volume(given: Volume | str | Path) -> Volume:
    return given if isinstance(given, Volume) else read_volume(given)


def _mask(given: Volume | str | Path | None) -> Volume | None:
    return given if given is None or isinstance(given, Volume) else read_mask(given)


def _roi(given: OrientedBox | str | Path | None) -> OrientedBox | None:
    return given if given is None or isinstance(given, OrientedBox) else read_roi(given)
