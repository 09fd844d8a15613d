r"""A transform as the stages it is made of, each with a domain beyond which it can be continued.

ITK's displacement fields and B-splines end at the border of their grid: beyond it points stay where they are, so that
the mapping jumps there. An iteration that looks for a preimage near the border would fall over that edge. Beyond the
border a stage :math:`T` is therefore continued by its own closest affine transform :math:`A`,

.. math:: T(x) = T(c(x)) + A_{3 \times 3} (x - c(x)),

with :math:`c(x)` the point of the domain that is nearest to :math:`x` along the axes of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .linear import LARGEST_CONDITION, apply_matrix, condition_number, matrix_from_sitk, sitk_from_matrix

__all__ = ["Stage", "affine_of_points", "map_points", "stages_of"]

# From here on one call of SimpleITK for all points beats one call for each.
_MANY_POINTS = 100
_POINTS_PER_AXIS = 12
_INSIDE = 1e-6


@dataclass(frozen=True, eq=False)
class Stage:
    """One transform of a composite.

    Parameters
    ----------
    transform : SimpleITK.Transform
        Not a composite; LPS, mm.
    """

    transform: sitk.Transform

    @cached_property
    def matrix(self) -> NDArray[np.float64] | None:
        """Of a linear stage, shape (4, 4); None for all others."""
        return matrix_from_sitk(self.transform) if self.transform.IsLinear() else None

    @cached_property
    def domain(self) -> NDArray[np.float64] | None:
        """Matrix from the unit cube to where a non-linear stage is defined, shape (4, 4), LPS; None where unknown."""
        name = self.transform.GetName()
        if name == "DisplacementFieldTransform":
            values = np.asarray(self.transform.GetFixedParameters())
            size, origin, spacing, direction = values[:3], values[3:6], values[6:9], values[9:].reshape(3, 3)
            return _cube(direction * spacing * size, origin - direction @ spacing / 2)
        if name == "BSplineTransform":
            spline = sitk.BSplineTransform(self.transform)
            direction = np.reshape(spline.GetTransformDomainDirection(), (3, 3))
            edges = direction * np.asarray(spline.GetTransformDomainPhysicalDimensions())
            return _cube(edges, np.asarray(spline.GetTransformDomainOrigin()))
        return None

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """The closest affine transform over the domain, shape (4, 4); the identity where that cannot be inverted."""
        if self.matrix is not None:
            return self.matrix
        if self.domain is None:
            return np.eye(4)
        axis = (np.arange(_POINTS_PER_AXIS) + 0.5) / _POINTS_PER_AXIS
        points = apply_matrix(self.domain, np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3))
        affine = affine_of_points(points, map_points(self.transform, points))
        return affine if condition_number(affine) < LARGEST_CONDITION else np.eye(4)

    def continued(self, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points, shape (N, 3), LPS, mm, by the stage as it is continued beyond its border."""
        if self.matrix is not None:
            return apply_matrix(self.matrix, points_lps)
        if self.domain is None:
            return map_points(self.transform, points_lps)
        cube = apply_matrix(np.linalg.inv(self.domain), points_lps)
        nearest = apply_matrix(self.domain, np.clip(cube, _INSIDE, 1 - _INSIDE))
        outside = np.any((cube < _INSIDE) | (cube > 1 - _INSIDE), axis=1)
        nearest[~outside] = points_lps[~outside]
        return map_points(self.transform, nearest) + (points_lps - nearest) @ self.affine[:3, :3].T


def stages_of(transform: sitk.Transform) -> tuple[Stage, ...]:
    """Take a transform apart.

    Parameters
    ----------
    transform : SimpleITK.Transform
        Three-dimensional, also a composite of composites.

    Returns
    -------
    tuple of Stage
        The one that points go through first comes first: the reverse of the order in a composite.
    """
    if transform.GetName() != "CompositeTransform":
        return (Stage(transform.Downcast()),)
    if transform.IsLinear():
        # SimpleITK shows a transform of a class that it does not know as a composite of itself, without end.
        return (Stage(sitk_from_matrix(matrix_from_sitk(transform))),)
    composite = sitk.CompositeTransform(transform)
    count = composite.GetNumberOfTransforms()
    return tuple(stage for n in reversed(range(count)) for stage in stages_of(composite.GetNthTransform(n)))


def map_points(transform: sitk.Transform, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map points, shape (N, 3), LPS, mm, by a transform of any kind."""
    if len(points_lps) < _MANY_POINTS:
        return np.array([transform.TransformPoint(point) for point in points_lps.tolist()]).reshape(-1, 3)
    # All in one call: a field on a row of N voxels takes each voxel to its point first.
    row = np.zeros((len(points_lps), 3))
    row[:, 0] = np.arange(len(points_lps))
    to_points = sitk.DisplacementFieldTransform(sitk.GetImageFromArray((points_lps - row)[None, None], isVector=True))
    field = sitk.TransformToDisplacementField(
        sitk.CompositeTransform([transform, to_points]), sitk.sitkVectorFloat64, (len(points_lps), 1, 1)
    )
    return np.asarray(sitk.GetArrayFromImage(field)[0, 0] + row)


def affine_of_points(points_lps: NDArray[np.float64], mapped_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine transform, shape (4, 4), that takes points to others best, both of shape (N, 3), by least squares."""
    center = points_lps.mean(axis=0)
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.lstsq(points_lps - center, mapped_lps - mapped_lps.mean(axis=0), rcond=None)[0].T
    matrix[:3, 3] = mapped_lps.mean(axis=0) - matrix[:3, :3] @ center
    return matrix


def _cube(edges: NDArray[np.float64], corner: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = edges, corner
    return matrix
