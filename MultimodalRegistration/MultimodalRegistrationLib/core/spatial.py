"""A transform of any kind, linear or not, with a name, and its sampling on a grid of displacements."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from .grid import VolumeGrid
from .linear import apply_matrix, matrix_from_sitk, sitk_from_matrix
from .stages import Preimages, Stage, affine_of_points, find_preimages, map_points, newton, stages_of

_SOLVED_MM = 1e-6
_POINTS_PER_AXIS = 16
_POINTS_A_STEP = 1000
Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]
ErrorOf = Callable[[NDArray[np.floating]], float]


@dataclass(frozen=True)
class SpatialTransform:
    """Where the points of the fixed volume lie in the moving one.

    Parameters
    ----------
    name : str
        File or node.
    transform : SimpleITK.Transform
        ``fixed_to_moving_lps``: resampling direction, LPS, mm. Not to be changed.
    error_mm : float, optional
        Largest difference that was found from what its file describes, where SimpleITK has no transform of that kind.
    """

    name: str
    transform: sitk.Transform
    error_mm: float = 0.0
    matrix: NDArray[np.float64] | None = field(init=False, repr=False)
    """Of a linear transform, shape (4, 4); None for all others."""

    def __post_init__(self) -> None:
        linear = self.transform.IsLinear()
        object.__setattr__(self, "matrix", matrix_from_sitk(self.transform) if linear else None)

    @classmethod
    def of_matrix(cls, name: str, fixed_to_moving_lps: ArrayLike) -> SpatialTransform:
        """Name a linear transform, shape (4, 4), LPS, mm."""
        return cls(name, sitk_from_matrix(fixed_to_moving_lps))

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """What it is made of; points of the fixed volume go through the first one first."""
        return stages_of(self.transform)

    def to_moving(self, fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map points of the fixed volume, shape (N, 3), LPS, mm, to the moving one."""
        points = np.asarray(fixed_lps, dtype=np.float64).reshape(-1, 3)
        return map_points(self.transform, points) if self.matrix is None else apply_matrix(self.matrix, points)

    def to_fixed(self, moving_lps: ArrayLike, near_fixed_lps: ArrayLike | None = None) -> NDArray[np.float64]:
        """Map points of the moving volume to the fixed one.

        Parameters
        ----------
        moving_lps : array, shape (N, 3)
            LPS, mm.
        near_fixed_lps : array, shape (N, 3), optional
            Where to begin to look when the transform is not linear: where it folds, several points are mapped to one.

        Returns
        -------
        array, shape (N, 3)
            LPS, mm; rows are NaN where no point is found that is mapped there within 1e-6 mm, as in a fold.
        """
        points = np.asarray(moving_lps, dtype=np.float64).reshape(-1, 3)
        if self.matrix is not None:
            return apply_matrix(np.linalg.inv(self.matrix), points)
        found = np.full(points.shape, np.nan)
        left = np.arange(len(points))
        if near_fixed_lps is not None:
            near = np.asarray(near_fixed_lps, dtype=np.float64).reshape(-1, 3)
            steps = newton(self.to_moving, points, near, solved_mm=_SOLVED_MM)
            solved = steps.misses_mm <= _SOLVED_MM
            found[solved], left = steps.points_lps[solved], left[~solved]
        if len(left):
            others = self.preimages(points[left], solved_mm=_SOLVED_MM)
            solved = others.misses_mm <= _SOLVED_MM
            found[left[solved]] = others.points_lps[solved]
        return found

    def preimages(self, moving_lps: ArrayLike, *, solved_mm: float, continued: bool = False) -> Preimages:
        """Find the fixed points that are mapped to moving ones, shape (N, 3), or come close.

        See :func:`~MultimodalRegistrationLib.core.stages.find_preimages`.
        """
        points = np.asarray(moving_lps, dtype=np.float64).reshape(-1, 3)
        return find_preimages(self.stages, points, solved_mm=solved_mm, continued=continued)

    def displacements_mm(self, grid: VolumeGrid) -> NDArray[np.float64]:
        """Displacement at every voxel centre of a grid, from fixed to moving: shape (K, J, I, 3), LPS, mm."""
        field = sitk.TransformToDisplacementField(
            self.transform, sitk.sitkVectorFloat64, grid.size, grid.origin_lps, grid.spacing_mm, grid.direction
        )
        return np.asarray(sitk.GetArrayFromImage(field))


def closest_affine(transform: SpatialTransform, grid: VolumeGrid) -> NDArray[np.float64]:
    """The affine transform nearest to one of any kind over a grid, by least squares.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    grid : VolumeGrid
        Where they are compared, at points spread evenly.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``, mm; the matrix itself when the transform is linear.
    """
    if transform.matrix is not None:
        return transform.matrix
    points = grid.sample_points_lps(_POINTS_PER_AXIS)
    return affine_of_points(points, transform.to_moving(points))


def _largest(distances_mm: NDArray[np.floating]) -> float:
    return float(distances_mm.max())


@dataclass(frozen=True)
class DisplacementGrid:
    """Displacements at the nodes of a grid.

    Parameters
    ----------
    transform : SimpleITK.DisplacementFieldTransform
        Maps fixed to moving points, LPS; outside of its grid points stay where they are.
    grid : VolumeGrid
        Its nodes.
    error_mm : float
        Difference from what was sampled, at the points where that was looked at: the largest, if nothing else was
        asked.
    """

    transform: sitk.DisplacementFieldTransform
    grid: VolumeGrid
    error_mm: float


def displacement_grid(
    to_moving: Mapping,
    grids: Iterable[VolumeGrid],
    probes_lps: NDArray[np.float64],
    *,
    good_enough_mm: float,
    most_nodes: int,
    points_a_step: int = _POINTS_A_STEP,
    error_of: ErrorOf = _largest,
) -> DisplacementGrid | None:
    """Sample a mapping on the first of some grids that is fine enough.

    Parameters
    ----------
    to_moving : callable
        From fixed points, shape (N, 3), LPS, mm, to moving ones.
    grids : iterable of VolumeGrid
        Coarse ones first, all over the same box.
    probes_lps : array, shape (N, 3)
        Points inside of the grids at which they are compared with the mapping.
    good_enough_mm : float
        No finer grid is tried within this error.
    most_nodes : int
        No grid with more nodes is tried.
    points_a_step : int
        How many points are mapped at once.
    error_of : callable
        What counts of the distances at the probes, shape (N,); by default the largest.

    Returns
    -------
    DisplacementGrid or None
        The last one tried; None where the coarsest has too many nodes.
    """
    steps = displacement_grid_steps(
        to_moving,
        grids,
        probes_lps,
        good_enough_mm=good_enough_mm,
        most_nodes=most_nodes,
        points_a_step=points_a_step,
        error_of=error_of,
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: DisplacementGrid | None = end.value
            return found


def displacement_grid_steps(
    to_moving: Mapping,
    grids: Iterable[VolumeGrid],
    probes_lps: NDArray[np.float64],
    *,
    good_enough_mm: float,
    most_nodes: int,
    points_a_step: int = _POINTS_A_STEP,
    error_of: ErrorOf = _largest,
) -> Generator[None, None, DisplacementGrid | None]:
    """Do as :func:`displacement_grid`, in steps between which a window can live."""
    exact = to_moving(probes_lps)
    found: DisplacementGrid | None = None
    for grid in grids:
        if np.prod(np.asarray(grid.size, dtype=float)) > most_nodes:
            break
        transform = yield from _sampled(to_moving, grid, points_a_step)
        yield
        mapped = map_points(transform, probes_lps)
        found = DisplacementGrid(transform, grid, error_of(np.linalg.norm(mapped - exact, axis=1)))
        if found.error_mm <= good_enough_mm:
            break
        yield
    return found


def _sampled(
    to_moving: Mapping, grid: VolumeGrid, points_a_step: int
) -> Generator[None, None, sitk.DisplacementFieldTransform]:
    displacements = np.empty((int(np.prod(grid.size)), 3))
    # The kernel matrix of a spline at all nodes at once would not fit into memory.
    for first in range(0, len(displacements), points_a_step):
        number = np.arange(first, min(first + points_a_step, len(displacements)))
        nodes = grid.points_at(number)
        displacements[number] = to_moving(nodes) - nodes
        yield
    image = sitk.GetImageFromArray(displacements.reshape(*grid.size[::-1], 3), isVector=True)
    grid.place(image)
    yield
    return sitk.DisplacementFieldTransform(image)
