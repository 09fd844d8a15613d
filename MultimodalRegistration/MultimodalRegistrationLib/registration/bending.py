"""A stage that bends: its run, and the evidence on whether it helped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from MultimodalRegistrationLib.engines.handover import EngineJob, EngineVolume
from MultimodalRegistrationLib.engines.session import EngineSession
from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.linear import apply_matrix
from MultimodalRegistrationLib.geometry.marked import some_marked
from MultimodalRegistrationLib.geometry.spatial import SpatialTransform
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.preprocess.masks.foreground import foreground
from MultimodalRegistrationLib.presets.model import Preset
from MultimodalRegistrationLib.quality.distance_statistics import DistanceStatistics
from MultimodalRegistrationLib.quality.health.health import jacobian_statistics
from MultimodalRegistrationLib.quality.health.inverse import return_errors_mm
from MultimodalRegistrationLib.quality.working_grid import node_grid
from MultimodalRegistrationLib.registration import prepare
from MultimodalRegistrationLib.registration.fine import follow_engine
from MultimodalRegistrationLib.registration.similarity import compared_information
from MultimodalRegistrationLib.verdict.bending import BendingEvidence, BendingVerdict, judge_bending
from MultimodalRegistrationLib.verdict.convergence import Convergence

__all__ = ["BentStage", "run_bending_stage"]

_EVIDENCE_POINTS = 20_000
_FEWEST_POINTS = 100
_IDENTITY = SpatialTransform("identity", sitk.Transform(3, sitk.sitkIdentity))


@dataclass(frozen=True)
class BentStage:
    """What a stage that bends found.

    Parameters
    ----------
    preset : Preset
        Its settings.
    engine : str
        Name.
    transform : SpatialTransform
        Of this stage alone: acts on points of the fixed volume, before the stages that came earlier.
    verdict : BendingVerdict or None
        Whether it helped; None when no verdict was asked for.
    inverse_error : DistanceStatistics
        From points of the fixed volume through the stage and through its numerical inverse to where they come back.
    convergence : Convergence
        Whether the optimiser had settled.
    seconds : float
        The engine's own time.
    log : str
        What it printed.
    """

    preset: Preset
    engine: str
    transform: SpatialTransform
    verdict: BendingVerdict | None
    inverse_error: DistanceStatistics
    convergence: Convergence
    seconds: float
    log: str


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
    on_log, cancel, keep
        As for :func:`~MultimodalRegistrationLib.registration.fine.run_fine_stage`.

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
    percentiles = preset.winsorize_percentiles
    fixed_copy = _engine_copy(fixed, fixed_mask, np.eye(4), percentiles)
    moving_copy = _placed(moving, moving_mask, before, fixed_copy.grid, percentiles)
    stages = preset.engines[session.engine]
    share = 0.5 if verdict else 1.0

    def tell_forward(words: str, fraction: float) -> None:
        on_progress(f"bending: {words}", share * fraction)

    def tell_backward(words: str, fraction: float) -> None:
        on_progress(f"bending, roles exchanged: {words}", share + (0.98 - share) * fraction)

    following: dict[str, Any] = {"on_log": on_log, "cancel": cancel, "keep": keep}
    found, convergence = follow_engine(
        session, EngineJob(fixed_copy, moving_copy, stages, seed), tell_forward, **following
    )
    transform = SpatialTransform(f"{preset.name} ({session.engine})", found.transform.transform)
    judged: BendingVerdict | None = None
    if verdict:
        back, _ = follow_engine(session, EngineJob(moving_copy, fixed_copy, stages, seed), tell_backward, **following)
        on_progress("judging the bending", 0.98)
        points = _shown_points(fixed, fixed_mask, fixed_copy, moving_copy, transform)
        judged = judge_bending(_evidence(fixed_copy, moving_copy, transform, back.transform, points))
    returned = return_errors_mm(transform, node_grid(fixed_copy.grid, _EVIDENCE_POINTS))
    inverse_error = DistanceStatistics.of(returned)
    return BentStage(preset, session.engine, transform, judged, inverse_error, convergence, found.seconds, found.log)


def _engine_copy(
    volume: Volume, mask: Volume | None, matrix_lps: NDArray[np.float64], percentiles: tuple[float, float]
) -> EngineVolume:
    placed_mask = None if mask is None else prepare.orthogonal_volume(mask, matrix_lps, nearest=True)
    return prepare.engine_volume(prepare.orthogonal_volume(volume, matrix_lps), placed_mask, percentiles)


def _placed(
    moving: Volume,
    mask: Volume | None,
    before: SpatialTransform,
    fixed_grid: VolumeGrid,
    percentiles: tuple[float, float],
) -> EngineVolume:
    """The moving volume where the stages before have put it: by its header, or resampled for the engine alone."""
    if before.matrix is not None:
        return _engine_copy(moving, mask, np.asarray(np.linalg.inv(before.matrix)), percentiles)
    grid = _fine_grid(fixed_grid, min(moving.grid.spacing_mm))
    shown = moving.image * 0 + 1 if mask is None else mask.image
    image = _resampled(moving.image, before, grid, sitk.sitkLinear, float(moving.voxels.min()))
    marked = _resampled(sitk.Cast(shown, sitk.sitkUInt8), before, grid, sitk.sitkNearestNeighbor, 0.0)
    return prepare.engine_volume(Volume(image, moving.name), Volume(marked, moving.name), percentiles)


def _fine_grid(grid: VolumeGrid, spacing_mm: float) -> VolumeGrid:
    """The box of a grid with voxels no larger than a spacing."""
    factor = np.maximum(1, np.round(np.asarray(grid.spacing_mm) / spacing_mm)).astype(int)
    matrix = grid.ijk_to_lps
    matrix[:3, :3] /= factor
    size = tuple(int(n) for n in (np.asarray(grid.size) - 1) * factor + 1)
    return VolumeGrid.of_matrix((size[0], size[1], size[2]), matrix)


def _resampled(
    image: sitk.Image, transform: SpatialTransform, grid: VolumeGrid, interpolator: int, outside: float
) -> sitk.Image:
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(grid.size)
    resampler.SetOutputSpacing(grid.spacing_mm)
    resampler.SetOutputOrigin(grid.origin_lps)
    resampler.SetOutputDirection(grid.direction)
    resampler.SetTransform(transform.transform)
    resampler.SetInterpolator(interpolator)
    resampler.SetDefaultPixelValue(outside)
    return resampler.Execute(image)


def _shown_points(
    fixed: Volume,
    mask: Volume | None,
    fixed_copy: EngineVolume,
    moving_copy: EngineVolume,
    transform: SpatialTransform,
) -> NDArray[np.float64]:
    """Points of what the fixed volume shows that the moving one shows, too, shape (N, 3), LPS."""
    marked = foreground(fixed) if mask is None else mask
    points = apply_matrix(marked.grid.ijk_to_lps, some_marked(marked.voxels, _EVIDENCE_POINTS))
    inside = moving_copy.grid.contains(transform.to_moving(points)) & fixed_copy.grid.contains(points)
    if np.count_nonzero(inside) < _FEWEST_POINTS:
        raise InputError(
            fixed.name,
            "hardly anything of what it shows lies in the moving volume after the bending",
            "Check the stages before, or leave the bending out.",
        )
    return np.asarray(points[inside])


def _evidence(
    fixed: EngineVolume,
    moving: EngineVolume,
    transform: SpatialTransform,
    back: SpatialTransform,
    points_lps: NDArray[np.float64],
) -> BendingEvidence:
    bent = transform.to_moving(points_lps)
    returned = back.to_moving(bent)
    information = compared_information(fixed, moving, [_IDENTITY, transform])
    return BendingEvidence(
        information_before=None if information is None else information[0],
        information_after=None if information is None else information[1],
        bending=DistanceStatistics.of(np.linalg.norm(bent - points_lps, axis=1)),
        return_error=DistanceStatistics.of(np.linalg.norm(returned - points_lps, axis=1)),
        jacobian=jacobian_statistics(transform, fixed.grid),
    )
