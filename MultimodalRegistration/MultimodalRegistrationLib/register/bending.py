"""A stage that bends: its run, and the evidence on whether it helped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..core.clock import Clock, stages_of
from ..core.errors import EngineError, InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.marked import some_marked
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..engines.handover import EngineJob, EngineVolume
from ..engines.presets.model import Preset
from ..engines.session import EngineSession
from ..preprocess.foreground import foreground
from ..transforms.distance_statistics import DistanceStatistics
from ..transforms.health.health import jacobian_statistics
from ..transforms.health.inverse import return_errors_mm
from ..transforms.resample import resample
from ..transforms.working_grid import node_grid
from . import prepare
from .fine import follow_engine
from .later_stages import BentStage
from .similarity import compared_information, inside_volume
from .verdict.bending import BendingEvidence, BendingVerdict, judge_bending

__all__ = ["run_bending_stage", "within_reach"]

_EVIDENCE_POINTS = 20_000
_FEWEST_POINTS = 100
# Farther than any stage is expected to bend.
_REACH_MM = 20.0
_COARSE_MM = 3.0
_HAND_OVER = "engine start and hand-over"
_EXCHANGED = "engine, roles exchanged"
_IDENTITY = SpatialTransform("identity", sitk.Transform(3, sitk.sitkIdentity))


def run_bending_stage(
    session: EngineSession,
    fixed: Volume,
    moving: Volume,
    before: SpatialTransform,
    preset: Preset,
    *,
    fixed_mask: Volume | None,
    moving_mask: Volume | None,
    verdict: bool,
    seed: int,
    on_progress: Callable[[str, float], None],
    on_warning: Callable[[str], None],
    on_log: Callable[[str], None] | None,
    cancel: threading.Event | None,
    keep: Path | None,
) -> BentStage:
    """Bend the moving volume onto the fixed one, from where earlier stages have put it.

    Parameters
    ----------
    session : EngineSession
        The running engine.
    fixed, moving : Volume
        World coordinates; not changed.
    before : SpatialTransform
        ``fixed_to_moving_lps`` of the stages before.
    preset : Preset
        All of whose stages for the engine bend.
    fixed_mask, moving_mask : Volume or None
        Zeros and ones, each on the grid of its volume.
    verdict : bool
        Whether to judge the result, which takes a second run.
    seed : int
        Of the engine's random draws.
    on_progress : callable
        Called with words and the share of this stage that is done.
    on_warning : callable
        Called when the second run failed.
    on_log, cancel, keep
        As for :func:`~MultimodalRegistrationLib.register.fine.run_fine_stage`.

    Returns
    -------
    BentStage
        The transform of this stage, and its evidence.

    Raises
    ------
    InputError
        A volume without contrast.
    EngineError, Cancelled
        From the engine.
    """
    clock = Clock()
    percentiles = preset.winsorize_percentiles
    fixed_copy = prepare.engine_copy(fixed, fixed_mask, np.eye(4), percentiles)
    moving_copy = _placed(moving, moving_mask, before, fixed_copy.grid, percentiles)
    # The engine draws its samples in the first volume, and gives up when too few of them lie in the second.
    pair = within_reach(fixed_copy, moving_copy, fixed.name), moving_copy
    stages = preset.engines[session.engine]
    share = 0.5 if verdict else 1.0

    def tell_forward(words: str, fraction: float) -> None:
        on_progress(f"bending: {words}", share * fraction)

    def tell_backward(words: str, fraction: float) -> None:
        on_progress(f"bending, roles exchanged: {words}", share + (0.98 - share) * fraction)

    following: dict[str, Any] = {"on_log": on_log, "cancel": cancel, "keep": keep}
    found, convergence = follow_engine(session, EngineJob(*pair, stages, seed), tell_forward, **following)
    clock.lap(_HAND_OVER, {"engine": found.seconds})
    transform = SpatialTransform(f"{preset.name} ({session.engine})", found.transform.transform)
    judged: BendingVerdict | None = None
    if verdict:
        back: SpatialTransform | None = None
        try:
            exchanged = within_reach(moving_copy, fixed_copy, moving.name), fixed_copy
            job = EngineJob(*exchanged, stages, seed)
            exchanged_run = follow_engine(session, job, tell_backward, **following)[0]
            back = exchanged_run.transform
            clock.lap(_HAND_OVER, {_EXCHANGED: exchanged_run.seconds})
        except EngineError as error:
            on_warning(f"With exchanged roles the engine stopped: {error.found}.")
            clock.lap(_EXCHANGED)
        on_progress("judging the bending", 0.98)
        shown = foreground(fixed) if fixed_mask is None else fixed_mask
        judged = judge_bending(
            _evidence(pair[0], moving_copy, transform, back, shown, symmetric=session.engine == "ants")
        )
    returned = return_errors_mm(transform, node_grid(fixed_copy.grid, _EVIDENCE_POINTS))
    inverse_error = DistanceStatistics.of(returned)
    clock.lap("verdict")
    return BentStage(
        preset=preset,
        engine=session.engine,
        transform=transform,
        convergence=convergence,
        seconds=stages_of(clock.seconds),
        log=found.log,
        verdict=judged,
        inverse_error=inverse_error,
    )


def _placed(
    moving: Volume,
    mask: Volume | None,
    before: SpatialTransform,
    fixed_grid: VolumeGrid,
    percentiles: tuple[float, float],
) -> EngineVolume:
    """The moving volume where the stages before have put it: by its header, or resampled for the engine alone."""
    if before.matrix is not None:
        return prepare.engine_copy(moving, mask, np.asarray(np.linalg.inv(before.matrix)), percentiles)
    grid = _fine_grid(fixed_grid, min(moving.grid.spacing_mm))
    shown = Volume(sitk.Cast(moving.image * 0 + 1, sitk.sitkUInt8), moving.name) if mask is None else mask
    placed = resample(moving, grid, before.transform)
    placed_mask = resample(shown, grid, before.transform, interpolation="nearest")
    return prepare.engine_volume(placed, placed_mask, percentiles)


def _fine_grid(grid: VolumeGrid, spacing_mm: float) -> VolumeGrid:
    """The box of a grid with voxels no larger than a spacing."""
    factor = np.maximum(1, np.ceil(np.asarray(grid.spacing_mm) / spacing_mm - 1e-6)).astype(int)
    matrix = grid.ijk_to_lps
    matrix[:3, :3] /= factor
    size = tuple(int(n) for n in (np.asarray(grid.size) - 1) * factor + 1)
    return VolumeGrid.of_matrix((size[0], size[1], size[2]), matrix)


def within_reach(volume: EngineVolume, other: EngineVolume, name: str) -> EngineVolume:
    """Leave out what lies far from all that another volume shows.

    Parameters
    ----------
    volume, other : EngineVolume
        In one frame.
    name : str
        Of the volume, for messages.

    Returns
    -------
    EngineVolume
        With a mask, unless the other volume covers all of this one: what lies in the box of the other one and, where
        that has a mask, within 20 mm of it.

    Raises
    ------
    InputError
        Nothing is left.
    """
    if other.mask is None:
        shown = sitk.Image(other.grid.size, sitk.sitkUInt8) + 1
        other.grid.place(shown)
    else:
        shown = _widened(other)
    near = resample(Volume(shown, name), volume.grid, _IDENTITY.transform, interpolation="nearest").voxels > 0
    if volume.mask is not None:
        near &= volume.mask > 0
    elif near.all():
        return volume
    if not near.any():
        raise InputError(
            name,
            "nothing that it shows, or that its mask marks, lies near what the other volume shows",
            "Check the masks and the stages before, or leave the bending out.",
        )
    return replace(volume, mask=near.astype(np.uint8))


def _widened(volume: EngineVolume) -> sitk.Image:
    """The mask of a volume and what lies near it, on a coarser grid."""
    assert volume.mask is not None
    image = sitk.GetImageFromArray(volume.mask.astype(np.float32))
    volume.grid.place(image)
    factors = [
        max(1, min(n, round(_COARSE_MM / mm))) for n, mm in zip(volume.grid.size, volume.grid.spacing_mm, strict=True)
    ]
    marked = sitk.BinShrink(image, factors) > 0
    return sitk.SignedMaurerDistanceMap(marked, False, False, True) <= _REACH_MM


def _evidence(
    fixed: EngineVolume,
    moving: EngineVolume,
    transform: SpatialTransform,
    back: SpatialTransform | None,
    shown: Volume,
    *,
    symmetric: bool,
) -> BendingEvidence | None:
    """What is measured where both volumes show something; None where that is little.

    ``shown`` is the mask or the foreground of the fixed volume.
    """
    points = apply_matrix(shown.grid.ijk_to_lps, some_marked(shown.voxels, _EVIDENCE_POINTS))
    bent = transform.to_moving(points)
    to_fixed, to_moving = (np.linalg.inv(volume.grid.ijk_to_lps) for volume in (fixed, moving))
    both = inside_volume(fixed, apply_matrix(to_fixed, points)) & inside_volume(moving, apply_matrix(to_moving, bent))
    if np.count_nonzero(both) < _FEWEST_POINTS:
        return None
    points, bent = points[both], bent[both]
    information = compared_information(fixed, moving, [_IDENTITY, transform])
    returned = None if back is None else back.to_moving(bent)
    return BendingEvidence(
        information_before=None if information is None else information[0],
        information_after=None if information is None else information[1],
        bending=DistanceStatistics.of(np.linalg.norm(bent - points, axis=1)),
        return_error=None if returned is None else DistanceStatistics.of(np.linalg.norm(returned - points, axis=1)),
        jacobian=jacobian_statistics(transform, fixed.grid, region=shown),
        symmetric=symmetric,
    )
