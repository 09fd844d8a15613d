"""Composing, inverting and comparing transforms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import OrientedBox, VolumeGrid
from ..core.linear import apply_matrix, closest_rotation, rotation_angle_deg
from ..core.spatial import SpatialTransform, displacement_grid
from ..core.stages import affine_of_points
from ..core.volume import Volume
from .health import displacement_difference
from .working_grid import DistanceStatistics, region_points

_SAMPLED_PROBES = 100_000
DEFAULT_TOLERANCE_MM = 0.1
_MOST_POINTS = 125_000
_PROBES = 20_000
_MOST_NODES = 16_000_000
_POINTS_A_STEP = 200_000
_COARSEST = 4.0
_FEWEST_NODES = 4
_LEVELS = 8
# Where the transform has a kink, as at the border of its own grid, its inverse on a grid is off by more than elsewhere.
_MOST_POINTS_PERCENT = 95
_ALL_POINTS_FACTOR = 5
# Preimages are found this much better than the tolerance.
_SOLVED = 0.02
# Whoever comes back further away was at another point that is mapped to the same place.
_OWN_MM = 0.5
_CENTER_POINTS = 100_000


@dataclass(frozen=True)
class SampledTransform:
    """A transform as one grid of displacements.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``; beyond the grid points stay where they are.
    error : DistanceStatistics
        Distance from what was sampled, at random points between the nodes.
    """

    transform: SpatialTransform
    error: DistanceStatistics


def compose(transforms: Sequence[SpatialTransform]) -> SpatialTransform:
    """Put transforms one after the other, exactly.

    Parameters
    ----------
    transforms : sequence of SpatialTransform
        The one that points go through first comes first. With ``fixed_to_moving_lps`` transforms that is the one of the
        last registration: points of the fixed volume go through it into the prealigned moving volume, and from there
        through the prealignment into the moving volume itself.

    Returns
    -------
    SpatialTransform
        As exact as what it is made of. One matrix where all are linear, else a ``SimpleITK.CompositeTransform`` with
        all stages as they are; it lists them the other way round, since ITK applies the last one first.

    Raises
    ------
    InputError
        There are none.
    """
    if not transforms:
        raise InputError("The composite", "no transforms were given", "Give at least one.")
    name = ", then ".join(one.name for one in transforms)
    matrices = [one.matrix for one in transforms]
    product = np.eye(4)
    for matrix in matrices:
        if matrix is None:
            stages = [stage.transform for one in transforms for stage in one.stages]
            return SpatialTransform(
                name, sitk.CompositeTransform(stages[::-1]), sum(one.error_mm for one in transforms)
            )
        product = matrix @ product
    return SpatialTransform.of_matrix(name, product)


def sample_on_grid(transform: SpatialTransform, grid: VolumeGrid, *, seed: int = 0) -> SampledTransform:
    """Sample a transform at the voxel centres of a volume.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``, of any kind.
    grid : VolumeGrid
        Of the fixed volume.
    seed : int
        Of the points at which the result is compared with the transform.

    Returns
    -------
    SampledTransform
        Exact for points at voxel centres, by linear interpolation elsewhere.
    """
    image = sitk.GetImageFromArray(transform.displacements_mm(grid), isVector=True)
    grid.place(image)
    sampled = SpatialTransform(f"{transform.name} on a grid", sitk.DisplacementFieldTransform(image))
    index = np.random.default_rng(seed).uniform(0, np.asarray(grid.size) - 1, (_SAMPLED_PROBES, 3))
    points = apply_matrix(grid.ijk_to_lps, index)
    apart = np.linalg.norm(sampled.to_moving(points) - transform.to_moving(points), axis=1)
    return SampledTransform(sampled, DistanceStatistics.of(apart))


@dataclass(frozen=True)
class Inverse:
    """An inverse with how well points come back.

    Parameters
    ----------
    transform : SpatialTransform
        ``moving_to_fixed_lps``.
    grid : VolumeGrid or None
        Nodes of its displacements, in the frame of the moving volume; None where it is a matrix.
    tolerance_mm : float or None
        What was asked for; None where it is a matrix.
    return_error : DistanceStatistics or None
        Over the points of the region: from a point, through the transform and the inverse, to where it comes back. None
        without a region.
    lost_share : float
        Share of these points that have no way back of their own, because the transform folds there, or another point
        is mapped to the same place: 0 to 1.
    """

    transform: SpatialTransform
    grid: VolumeGrid | None
    tolerance_mm: float | None
    return_error: DistanceStatistics | None
    lost_share: float

    @property
    def within_tolerance(self) -> bool:
        """Whether 95 % of the points of the region come back within the tolerance, and all within five times that."""
        if self.tolerance_mm is None or self.return_error is None:
            return True
        return max(self.return_error.p95_mm, self.return_error.max_mm / _ALL_POINTS_FACTOR) <= self.tolerance_mm


def invert(
    transform: SpatialTransform,
    *,
    over: Volume | VolumeGrid | None = None,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    seed: int = 0,
) -> Inverse:
    """Invert a transform.

    The inverse of a linear transform, also of several in a row, is a matrix. That of any other is sampled on a grid
    that covers where the region is mapped to, with a margin as wide as the transform's largest departure from an
    affine one, and that is refined until 95 % of the points of the region come back within the tolerance, and all
    within five times that.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    over : Volume or VolumeGrid, optional
        The region in the frame of the fixed volume for which the way back is needed: voxels above zero, or a whole
        grid. Only a linear transform does without.
    tolerance_mm : float
        How close 95 % of the points of the region are to come back.
    seed : int
        Of the points that are tried while the grid is refined.

    Raises
    ------
    InputError
        No region, an empty one, a tolerance that is not above zero, or points that are mapped nowhere.
    """
    name = f"inverse of {transform.name}"
    if not tolerance_mm > 0:
        raise InputError("The tolerance", f"{tolerance_mm:g} mm was given", "Give a number above zero.")
    points = None if over is None else region_points(over, _MOST_POINTS)
    if transform.matrix is not None:
        inverse = SpatialTransform.of_matrix(name, np.linalg.inv(transform.matrix))
        errors = None if points is None else _statistics(inverse, transform.to_moving(points), points)
        return Inverse(inverse, None, None, errors, 0.0)
    if over is None or points is None:
        raise InputError(
            transform.name, "a non-linear transform", "State the region for which its inverse is needed (--over)."
        )
    moving = transform.to_moving(points)
    if not np.all(np.isfinite(moving)):
        raise InputError(transform.name, "it maps some points nowhere (not a number)", "Check the transform.")
    own_mm = min(tolerance_mm, _OWN_MM)
    solved_mm = own_mm * _SOLVED
    own = np.linalg.norm(transform.preimages(moving, solved_mm=solved_mm).points_lps - points, axis=1) <= own_mm
    chosen = np.flatnonzero(own)
    # Where every point is lost, the grid is as fine as the region and its error says the rest.
    chosen = np.random.default_rng(seed).permutation(chosen if len(chosen) else len(points))[:_PROBES]
    grid = over.grid if isinstance(over, Volume) else over
    made = displacement_grid(
        lambda wanted: transform.preimages(wanted, solved_mm=solved_mm, continued=True).points_lps,
        _grids(grid, points, moving),
        moving[chosen],
        good_enough_mm=tolerance_mm,
        most_nodes=_MOST_NODES,
        points_a_step=_POINTS_A_STEP,
        error_of=_counted,
    )
    if made is None:
        raise InputError(
            over.name if isinstance(over, Volume) else "The region",
            "the region is too large for an inverse grid",
            "Give the part where it is needed.",
        )
    inverse = SpatialTransform(name, made.transform)
    return Inverse(inverse, made.grid, tolerance_mm, _statistics(inverse, moving, points), float(np.mean(~own)))


def _counted(distances_mm: NDArray[np.floating]) -> float:
    return float(max(np.percentile(distances_mm, _MOST_POINTS_PERCENT), distances_mm.max() / _ALL_POINTS_FACTOR))


def _statistics(
    inverse: SpatialTransform, moving_lps: NDArray[np.float64], fixed_lps: NDArray[np.float64]
) -> DistanceStatistics:
    return DistanceStatistics.of(np.linalg.norm(inverse.to_moving(moving_lps) - fixed_lps, axis=1))


def _grids(fixed: VolumeGrid, fixed_lps: NDArray[np.float64], moving_lps: NDArray[np.float64]) -> Iterator[VolumeGrid]:
    """Grids around the mapped points, coarse ones first, each with half the spacing of the one before."""
    affine = affine_of_points(fixed_lps, moving_lps)
    departure_mm = float(np.linalg.norm(moving_lps - apply_matrix(affine, fixed_lps), axis=1).max())
    axes = closest_rotation(affine) @ np.asarray(fixed.direction).reshape(3, 3)
    spacing = np.asarray(fixed.spacing_mm)
    box = OrientedBox.around(moving_lps, axes, departure_mm + float(spacing.max()))
    for level in range(_LEVELS):
        wanted = spacing * _COARSEST / 2**level
        size = np.maximum(np.ceil(box.size_mm / wanted).astype(int) + 1, _FEWEST_NODES)
        matrix = np.eye(4)
        matrix[:3, :3] = axes * (box.size_mm / (size - 1))
        matrix[:3, 3] = box.center_lps - axes @ (box.size_mm / 2)
        yield VolumeGrid.of_matrix((int(size[0]), int(size[1]), int(size[2])), matrix)


@dataclass(frozen=True)
class LinearDifference:
    """What leads from where one linear transform puts the region to where the other does.

    Parameters
    ----------
    rotation_deg : float
        Angle of the rotation nearest to ``B A^-1``.
    translation_mm : float
        Distance between where the two put the centre of the region; unlike the entries of the matrices it does not
        depend on where the origin of the coordinates lies.
    volume_ratio : float
        Volume under ``B`` over that under ``A``.
    """

    rotation_deg: float
    translation_mm: float
    volume_ratio: float


@dataclass(frozen=True)
class TransformDifference:
    """Two transforms over the same region.

    Parameters
    ----------
    first, second : str
        Their names.
    displacement : DistanceStatistics
        Distances between where they put the same points of the region.
    linear : LinearDifference or None
        None unless both are linear.
    """

    first: str
    second: str
    displacement: DistanceStatistics
    linear: LinearDifference | None


def compare(a: SpatialTransform, b: SpatialTransform, *, over: Volume | VolumeGrid) -> TransformDifference:
    """Compare two transforms by where they put points, in mm.

    Parameters
    ----------
    a, b : SpatialTransform
        ``fixed_to_moving_lps``, with the same fixed and moving volumes.
    over : Volume or VolumeGrid
        Voxels above zero, or a whole grid, in the frame of the fixed volume.

    Raises
    ------
    InputError
        The region marks nothing.
    """
    linear = None
    if a.matrix is not None and b.matrix is not None:
        center = region_points(over, _CENTER_POINTS).mean(axis=0)
        between = b.matrix @ np.linalg.inv(a.matrix)
        shift = apply_matrix(b.matrix, center) - apply_matrix(a.matrix, center)
        linear = LinearDifference(
            rotation_angle_deg(between), float(np.linalg.norm(shift)), float(np.linalg.det(between[:3, :3]))
        )
    return TransformDifference(a.name, b.name, displacement_difference(a, b, region=over), linear)
