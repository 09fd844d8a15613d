"""A deformable stage: its run, and the evidence on whether it helped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from ..core.clock import Clock, stages_of
from ..core.errors import EngineError, InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.spatial import SpatialTransform
from ..core.volume import Volume, some_marked
from ..engines.jobs import EngineJob, EngineVolume
from ..preprocess.foreground import foreground
from ..transforms.health import jacobian_statistics, return_errors_mm
from ..transforms.propagate import resample
from ..transforms.working_grid import DistanceStatistics, node_grid
from . import prepare
from .fine import follow_engine
from .masks import Masks
from .plan import Part
from .result import DeformableStage
from .run import Run
from .similarity import compared_information, inside_volume
from .verdict.deformable import DeformableEvidence, DeformableVerdict, judge_deformation

__all__ = ["run_deformable_stage", "within_reach"]

_EVIDENCE_POINTS = 20_000
_FEWEST_POINTS = 100
# Farther than any stage is expected to deform.
_REACH_MM = 20.0
_COARSE_MM = 3.0
_HAND_OVER = "engine start and hand-over"
_EXCHANGED = "engine, roles exchanged"
_IDENTITY = SpatialTransform("identity", sitk.Transform(3, sitk.sitkIdentity))


def run_deformable_stage(
    fixed: Volume,
    moving: Volume,
    masks: Masks,
    before: SpatialTransform,
    part: Part,
    run: Run,
    *,
    verdict: bool,
    seed: int,
) -> DeformableStage:
    """Deform the moving volume onto the fixed one, from where earlier stages have put it.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; not changed.
    masks : Masks
        Each on the grid of its volume.
    before : SpatialTransform
        ``fixed_to_moving_lps`` of the stages before.
    part : Part
        All of whose stages are deformable.
    run : Run
        Told of the progress of this stage, and when the second run failed.
    verdict : bool
        Whether to judge the result, which takes a second run.
    seed : int
        Of the engine's random draws.

    Returns
    -------
    DeformableStage
        The transform of this stage, and its evidence.

    Raises
    ------
    InputError
        A volume without contrast.
    EngineError, Cancelled
        From the engine.
    """
    clock, engine, preset = Clock(), part.engine, part.preset
    percentiles, stages = preset.winsorize_percentiles, preset.engines[engine]
    fixed_copy = prepare.engine_copy(fixed, masks.fixed, np.eye(4), percentiles)
    moving_copy = _placed(moving, masks.moving, before, fixed_copy.grid, percentiles)
    # The engine draws its samples in the first volume, and gives up when too few of them lie in the second.
    pair = within_reach(fixed_copy, moving_copy, fixed.name), moving_copy
    share = 0.5 if verdict else 1.0
    session = run.engines.of(engine)
    job = EngineJob(*pair, stages, seed)
    found, convergence = follow_engine(job, session, run.part(0.0, share, prefix="deformable: "))
    clock.lap(_HAND_OVER, {"engine": found.seconds})
    transform = SpatialTransform(f"{preset.name} ({engine})", found.transform.transform)
    judged: DeformableVerdict | None = None
    if verdict:
        back: SpatialTransform | None = None
        try:
            job = EngineJob(within_reach(moving_copy, fixed_copy, moving.name), fixed_copy, stages, seed)
            exchanged = run.part(share, 0.98, prefix="deformable, roles exchanged: ")
            exchanged_run = follow_engine(job, session, exchanged)[0]
            back = exchanged_run.transform
            clock.lap(_HAND_OVER, {_EXCHANGED: exchanged_run.seconds})
        except EngineError as error:
            run.warn(f"With exchanged roles the engine stopped: {error.found}.")
            clock.lap(_EXCHANGED)
        run.tell("judging the deformation", 0.98)
        shown = foreground(fixed) if masks.fixed is None else masks.fixed
        judged = judge_deformation(_evidence(pair[0], moving_copy, transform, back, shown, symmetric=engine == "ants"))
    returned = return_errors_mm(transform, node_grid(fixed_copy.grid, _EVIDENCE_POINTS))
    inverse_error = DistanceStatistics.of(returned)
    clock.lap("verdict")
    return DeformableStage(
        preset=preset,
        engine=engine,
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
            "Check the masks and the stages before, or leave the deformable stage out.",
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
) -> DeformableEvidence | None:
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
    return DeformableEvidence(
        information_before=None if information is None else information[0],
        information_after=None if information is None else information[1],
        bending=DistanceStatistics.of(np.linalg.norm(bent - points, axis=1)),
        return_error=None if returned is None else DistanceStatistics.of(np.linalg.norm(returned - points, axis=1)),
        jacobian=jacobian_statistics(transform, fixed.grid, region=shown),
        symmetric=symmetric,
    )
