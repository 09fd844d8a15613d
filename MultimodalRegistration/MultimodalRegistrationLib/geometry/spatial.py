"""A transform of any kind, linear or not, with a name."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.linear import apply_matrix, matrix_from_sitk, sitk_from_matrix

__all__ = ["SpatialTransform", "closest_affine"]

_STEPS = 60
_SOLVED_MM = 1e-6
_DIFFERENCE_MM = 0.01
_POINTS_PER_AXIS = 16
# From here on one call of SimpleITK for all points beats one call for each.
_MANY_POINTS = 100


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

    def to_moving(self, fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map points of the fixed volume, shape (N, 3), LPS, mm, to the moving one."""
        points = np.asarray(fixed_lps, dtype=np.float64).reshape(-1, 3)
        if self.matrix is not None:
            return apply_matrix(self.matrix, points)
        if len(points) >= _MANY_POINTS:
            return self._map_many(points)
        return np.array([self.transform.TransformPoint(point) for point in points.tolist()]).reshape(-1, 3)

    def to_fixed(self, moving_lps: ArrayLike, near_fixed_lps: ArrayLike) -> NDArray[np.float64]:
        """Map points of the moving volume to the fixed one.

        Parameters
        ----------
        moving_lps : array, shape (N, 3)
            LPS, mm.
        near_fixed_lps : array, shape (N, 3)
            Where to begin to look when the transform is not linear.

        Returns
        -------
        array, shape (N, 3)
            LPS, mm; rows are NaN where damped Newton steps find no point within 1e-6 mm, as in a fold.
        """
        points = np.asarray(moving_lps, dtype=np.float64).reshape(-1, 3)
        if self.matrix is not None:
            return apply_matrix(np.linalg.inv(self.matrix), points)
        near = np.asarray(near_fixed_lps, dtype=np.float64).reshape(-1, 3)
        return np.array([self._solve(point, start) for point, start in zip(points, near, strict=True)]).reshape(-1, 3)

    def displacements_mm(self, grid: VolumeGrid) -> NDArray[np.float64]:
        """Displacement at every voxel centre of a grid, from fixed to moving: shape (K, J, I, 3), LPS, mm."""
        field = sitk.TransformToDisplacementField(
            self.transform, sitk.sitkVectorFloat64, grid.size, grid.origin_lps, grid.spacing_mm, grid.direction
        )
        return np.asarray(sitk.GetArrayFromImage(field))

    def _map_many(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points, shape (N, 3), in one call: a field on a row of N voxels takes each voxel to its point first."""
        row = np.zeros((len(points), 3))
        row[:, 0] = np.arange(len(points))
        to_points = sitk.DisplacementFieldTransform(sitk.GetImageFromArray((points - row)[None, None], isVector=True))
        field = sitk.TransformToDisplacementField(
            sitk.CompositeTransform([self.transform, to_points]), sitk.sitkVectorFloat64, (len(points), 1, 1)
        )
        return np.asarray(sitk.GetArrayFromImage(field)[0, 0] + row)

    def _solve(self, wanted: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
        point = start
        residual = wanted - self.to_moving(point)[0]
        for _ in range(_STEPS):
            distance = float(np.linalg.norm(residual))
            if distance < _SOLVED_MM:
                return point
            probes = point + np.concatenate([np.eye(3), -np.eye(3)]) * _DIFFERENCE_MM
            mapped = self.to_moving(probes)
            slope = (mapped[:3] - mapped[3:]).T / (2 * _DIFFERENCE_MM)
            step = np.linalg.lstsq(slope, residual, rcond=None)[0]
            for shorter in (1.0, 0.5, 0.25, 0.125, 0.0625):
                tried = point + shorter * step
                left = wanted - self.to_moving(tried)[0]
                if np.linalg.norm(left) < distance:
                    point, residual = tried, left
                    break
            else:
                break
        return np.full(3, np.nan)


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
    center = points.mean(axis=0)
    mapped = transform.to_moving(points)
    linear = np.linalg.lstsq(points - center, mapped - mapped.mean(axis=0), rcond=None)[0].T
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = mapped.mean(axis=0) - linear @ center
    return matrix
