"""Registration of one volume to another: from checked inputs to the transform and its evidence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from MultimodalRegistrationLib.engines.catalogue import PREFERENCE, choose_engine
from MultimodalRegistrationLib.engines.handover import EngineJob, EngineResult
from MultimodalRegistrationLib.engines.logs import Iteration, LogReader
from MultimodalRegistrationLib.engines.session import EngineSession
from MultimodalRegistrationLib.errors import Cancelled, InputError
from MultimodalRegistrationLib.geometry.frames import modelling_ras_from_resampling_lps
from MultimodalRegistrationLib.geometry.linear import displacement_mm, rotation_angle_deg
from MultimodalRegistrationLib.io.volume_checks import check_pair
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.presets.model import Preset
from MultimodalRegistrationLib.registration import prepare
from MultimodalRegistrationLib.registration.convergence import Convergence, judge_convergence
from MultimodalRegistrationLib.registration.memory_need import memory_warning
from MultimodalRegistrationLib.registration.overlap import check_overlap, overlap_fraction
from MultimodalRegistrationLib.registration.similarity import mutual_information

__all__ = ["DEFAULT_SEED", "Progress", "RegistrationResult", "fallback_warning", "register", "select_engine"]

DEFAULT_SEED = 20_250_101


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Parameters
    ----------
    stage : str
        In words.
    fraction : float
        Of the whole run, 0 to 1.
    """

    stage: str
    fraction: float


@dataclass(frozen=True)
class RegistrationResult:
    """A transform and what is known about it.

    Parameters
    ----------
    fixed_to_moving_lps : array, shape (4, 4)
        Resampling direction, LPS, mm: maps points of the fixed volume to the moving one.
    engine : str
        Name.
    preset : Preset
        The settings used.
    seed : int
        Of every random draw.
    sampled : str
        ``"fixed"`` or ``"moving"``: the volume in which the engine sampled its metric.
    overlap_at_start, overlap_at_end : float
        Share of the smaller volume that lies inside the other, 0 to 1.
    mutual_information_at_start, mutual_information_at_end : float or None
        In nats, computed alike for every engine; None when the overlap is too small.
    moved_mm, rotated_deg : float
        How far the engine moved from the start: mean over the sampled volume, and rotation.
    convergence : Convergence
        Whether the optimiser had settled.
    seconds : dict
        Time of each stage; ``"engine"`` is the engine's own.
    warnings : tuple of str
        What the user should know.
    log : str
        What the engine printed.
    """

    fixed_to_moving_lps: NDArray[np.float64]
    engine: str
    preset: Preset
    seed: int
    sampled: str
    overlap_at_start: float
    overlap_at_end: float
    mutual_information_at_start: float | None
    mutual_information_at_end: float | None
    moved_mm: float
    rotated_deg: float
    convergence: Convergence
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    log: str = field(repr=False, default="")

    @property
    def moving_to_fixed_ras(self) -> NDArray[np.float64]:
        """Matrix of the MRML transform node that is applied to the moving volume, shape (4, 4)."""
        return modelling_ras_from_resampling_lps(self.fixed_to_moving_lps)


def select_engine(preset: Preset, engine: str | None) -> str:
    """The engine to use.

    Parameters
    ----------
    preset : Preset
        Must have settings for it.
    engine : str or None
        What the user asked for; None for the best one installed.

    Raises
    ------
    InputError
        The preset has no settings for the engine.
    EngineNotInstalledError
        None of the preset's engines is installed.
    """
    if engine is None:
        return choose_engine(list(preset.engines))
    if engine not in preset.engines:
        raise InputError(
            preset.path,
            f"the preset has no settings for the engine '{engine}'",
            f"Use one of {', '.join(preset.engines)}, or another preset.",
        )
    return engine


def fallback_warning(preset: Preset, asked: str | None, engine: str) -> str | None:
    """A sentence when another engine than the best one runs because that one is not installed, otherwise None."""
    best = next((name for name in PREFERENCE if name in preset.engines), engine)
    if asked is not None or engine == best:
        return None
    return f"The engine {best} is not installed; {engine} is used. See: multimodal-registration doctor"


def register(
    fixed: Volume,
    moving: Volume,
    *,
    preset: Preset,
    engine: str | None = None,
    session: EngineSession | None = None,
    initial_fixed_to_moving_lps: ArrayLike | None = None,
    initial_name: str = "given",
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
    seed: int = DEFAULT_SEED,
    threads: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    keep_job_files: Path | None = None,
) -> RegistrationResult:
    """Find the linear transform that puts the moving volume onto the fixed one.

    Parameters
    ----------
    fixed, moving : Volume
        In world coordinates; not changed.
    preset : Preset
        Settings.
    engine : str, optional
        Name of the engine; by default the best one installed.
    session : EngineSession, optional
        A running engine to use, which stays open; by default one is started and closed.
    initial_fixed_to_moving_lps : array, shape (4, 4), optional
        Start, in the resampling direction, LPS, mm; by default the centres of the two volumes are aligned.
    initial_name : str
        What messages call the start: its file or node.
    fixed_mask, moving_mask : Volume, optional
        Zeros and ones in world coordinates, on any grid.
    seed : int
        Same seed, inputs and machine: same transform.
    threads : int, optional
        For the engine; by default as many as leave the result reproducible. Unused with ``session``.
    on_progress, on_warning : callable, optional
        Called as the run goes on.
    cancel : threading.Event, optional
        Set it to stop: within a second while the engine runs, otherwise at the end of the step.
    keep_job_files : Path, optional
        Folder that gets what the engine was given and wrote.

    Returns
    -------
    RegistrationResult
        The transform with its evidence.

    Raises
    ------
    InputError
        Inputs that do not fit together.
    EngineError, EngineNotInstalledError, Cancelled
        From the engine.
    """
    name = session.engine if session is not None else select_engine(preset, engine)
    seconds: dict[str, float] = {}
    warnings: list[str] = []

    def warn(message: str | None) -> None:
        if message is not None:
            warnings.append(message)
            if on_warning is not None:
                on_warning(message)

    def tell(stage: str, fraction: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled()
        if on_progress is not None:
            on_progress(Progress(stage, fraction))

    began = time.perf_counter()
    tell("checking the inputs", 0.0)
    check_pair(fixed.grid, fixed.name, moving.grid, moving.name)
    warn(memory_warning(name, fixed.grid, moving.grid))
    if initial_fixed_to_moving_lps is None:
        start, start_words = prepare.center_start(fixed.grid, moving.grid), "the centres aligned"
    else:
        start = np.asarray(initial_fixed_to_moving_lps, dtype=np.float64)
        start_words = f"the initial transform {initial_name}"
    fixed_mask, moving_mask = (
        _placed_mask(mask, volume, warn) for mask, volume in ((fixed_mask, fixed), (moving_mask, moving))
    )
    masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    overlap_at_start = overlap_fraction(fixed, moving, start, **masks)
    mask_names = [mask.name for mask in masks.values() if mask is not None]
    check_overlap(overlap_at_start, fixed.name, moving.name, start_words, mask_names)
    seconds["check"] = time.perf_counter() - began

    began = time.perf_counter()
    tell("preparing the volumes", 0.02)
    sample_moving = prepare.sample_moving(fixed, moving, **masks)
    job = _make_job(fixed, fixed_mask, moving, moving_mask, start, sample_moving, preset, name, seed)
    at_start = mutual_information(job.fixed, job.moving, np.eye(4))
    seconds["prepare"] = time.perf_counter() - began

    began = time.perf_counter()
    with EngineSession(name, threads=threads) if session is None else nullcontext(session) as running:
        engine_result, convergence = _run_engine(running, job, tell, cancel, keep_job_files)
    seconds["engine"] = engine_result.seconds
    seconds["engine start and hand-over"] = time.perf_counter() - began - engine_result.seconds

    began = time.perf_counter()
    tell("judging the result", 0.97)
    found = engine_result.fixed_to_moving_lps
    fixed_to_moving_lps = np.linalg.inv(found) @ start if sample_moving else start @ found
    at_end = mutual_information(job.fixed, job.moving, found)
    overlap_at_end = overlap_fraction(fixed, moving, fixed_to_moving_lps, **masks)
    if convergence.settled is False:
        warn(convergence.words)
    if at_start is not None and (at_end is None or at_end < at_start):
        warn(
            "The volumes agree less after the registration than at its start (mutual information "
            f"{at_start:.3f} before, {'none' if at_end is None else f'{at_end:.3f}'} after): do not trust this result "
            "before looking at it."
        )
    points = job.fixed.grid.sample_points_lps(8)
    seconds["judge"] = time.perf_counter() - began
    return RegistrationResult(
        fixed_to_moving_lps=fixed_to_moving_lps,
        engine=name,
        preset=preset,
        seed=seed,
        sampled="moving" if sample_moving else "fixed",
        overlap_at_start=overlap_at_start,
        overlap_at_end=overlap_at_end,
        mutual_information_at_start=at_start,
        mutual_information_at_end=at_end,
        moved_mm=float(displacement_mm(found, np.eye(4), points).mean()),
        rotated_deg=rotation_angle_deg(found),
        convergence=convergence,
        seconds=seconds,
        warnings=tuple(warnings),
        log=engine_result.log,
    )


def _placed_mask(mask: Volume | None, volume: Volume, warn: Callable[[str], None]) -> Volume | None:
    if mask is None:
        return None
    placed, resampled = prepare.mask_on_grid(mask, volume)
    if resampled:
        warn(f"The mask {mask.name} is on another grid than {volume.name}; it was resampled (nearest neighbour).")
    return placed


def _make_job(
    fixed: Volume,
    fixed_mask: Volume | None,
    moving: Volume,
    moving_mask: Volume | None,
    start: NDArray[np.float64],
    sample_moving: bool,
    preset: Preset,
    engine: str,
    seed: int,
) -> EngineJob:
    if sample_moving:
        sampled, other, other_goes = (moving, moving_mask), (fixed, fixed_mask), start
    else:
        sampled, other, other_goes = (fixed, fixed_mask), (moving, moving_mask), np.asarray(np.linalg.inv(start))
    volumes = []
    for (volume, mask), matrix in ((sampled, np.eye(4)), (other, other_goes)):
        placed_mask = None if mask is None else prepare.orthogonal_volume(mask, matrix, nearest=True)
        placed = prepare.orthogonal_volume(volume, matrix)
        volumes.append(prepare.engine_volume(placed, placed_mask, preset.winsorize_percentiles))
    return EngineJob(volumes[0], volumes[1], preset.engines[engine], seed)


def _run_engine(
    session: EngineSession,
    job: EngineJob,
    tell: Callable[[str, float], None],
    cancel: threading.Event | None,
    keep: Path | None,
) -> tuple[EngineResult, Convergence]:
    reader = LogReader(session.engine, job.stages)
    trace: list[Iteration] = []
    levels_told: set[tuple[int, int]] = set()

    def on_line(line: str) -> None:
        iteration = reader.feed(line)
        if iteration is None:
            return
        trace.append(iteration)
        level = (iteration.stage, iteration.level)
        if level not in levels_told or iteration.number % 10 == 0:
            levels_told.add(level)
            stage = f"{session.engine}: stage {level[0] + 1} of {len(job.stages)}, level {level[1] + 1}"
            tell(stage, 0.05 + 0.9 * reader.fraction(iteration))

    tell(f"{session.engine}: starting", 0.05)
    result = session.run(job, on_line=on_line, cancel=cancel, keep=keep)
    return result, judge_convergence(trace, reader.stop_reason)
