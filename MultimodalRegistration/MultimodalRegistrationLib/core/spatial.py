"""A transform of any kind, linear or not, with a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from .grid import VolumeGrid
from .inverse import Preimages, find_preimages, newton
from .linear import apply_matrix, matrix_from_sitk, sitk_from_matrix
from .stages import Stage, affine_of_points, map_points, stages_of

__all__ = ["SpatialTransform", "closest_affine"]

_SOLVED_MM = 1e-6
_POINTS_PER_AXIS = 16


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

        See :func:`~MultimodalRegistrationLib.core.inverse.find_preimages`.
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
