r"""The stages of a transform, each with a domain beyond which it can be continued, and the numerical inverse.

ITK's displacement fields and B-splines end at the border of their grid: beyond it points stay where they are, so that
the mapping jumps there. An iteration that looks for a preimage near the border would fall over that edge. Beyond the
border a stage :math:`T` is therefore continued by its own closest affine transform :math:`A`,

.. math:: T(x) = T(c(x)) + A_{3 \times 3} (x - c(x)),

with :math:`c(x)` the point of the domain that is nearest to :math:`x` along the axes of the grid.

The stages of a composite are inverted one by one, the last one first. A linear stage has its inverse matrix. A preimage
of :math:`y` under another stage is sought by :math:`x \leftarrow x - \omega A^{-1} (T(x) - y)` from :math:`A^{-1} y`,
with a step :math:`\omega` that is halved where it fails (Chen et al. 2008, doi:10.1118/1.2816107, without the affine
part); where that does not arrive, by damped Newton steps. Both work on the continued stage; what is found is then
judged by the transform as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .linear import LARGEST_CONDITION, apply_matrix, condition_number, matrix_from_sitk, sitk_from_matrix

# From here on one call of SimpleITK for all points beats one call for each.
_MANY_POINTS = 100
_POINTS_PER_AXIS = 12
_INSIDE = 1e-6
_STEPS = 40
_NEWTON_STEPS = 60
_SMALLEST_STEP = 1e-2
_DIFFERENCE_MM = 0.01
_SHORTER = (1.0, 0.5, 0.25, 0.125, 0.0625)
# A stage is solved this much better than the whole, for errors that later stages enlarge.
_BETTER = 0.1
Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]


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


class Preimages(NamedTuple):
    """Points that are mapped to given ones.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        LPS, mm; where the transform folds or jumps and nothing is mapped there, a point that comes close, or that of
        the transform as it is continued beyond its border.
    misses_mm : array, shape (N,)
        How far from the given point each is mapped.
    """

    points_lps: NDArray[np.float64]
    misses_mm: NDArray[np.float64]


def find_preimages(
    stages: Sequence[Stage], wanted_lps: NDArray[np.float64], *, solved_mm: float, continued: bool = False
) -> Preimages:
    """Find the points that a transform maps to given ones.

    Parameters
    ----------
    stages : sequence of Stage
        Of the transform, the one that is applied first first.
    wanted_lps : array, shape (N, 3)
        LPS, mm.
    solved_mm : float
        Points that are mapped this close are good enough.
    continued : bool
        Whether the continued transform is inverted where the border of a grid is crossed, so that the inverse does not
        jump there. By default points beyond the border stay where they are.

    Returns
    -------
    Preimages
        For each of them.
    """
    found = np.array(wanted_lps, dtype=np.float64)
    for stage in reversed(stages):
        back = np.asarray(np.linalg.inv(stage.affine), dtype=np.float64)
        start = apply_matrix(back, found)
        found = start if stage.matrix is not None else _solve(stage, found, start, back[:3, :3], solved_mm * _BETTER)

    def forward(points: NDArray[np.float64]) -> NDArray[np.float64]:
        for stage in stages:
            points = apply_matrix(stage.matrix, points) if stage.matrix is not None else _map(stage, points)
        return points

    misses = np.linalg.norm(forward(found) - wanted_lps, axis=1)
    # Beyond the border points stay where they are, which the continued transform does not know.
    missed = np.flatnonzero((misses > solved_mm) & (not continued))
    if len(missed):
        still = np.array(wanted_lps[missed])
        for stage in reversed(stages):
            still = still if stage.matrix is None else apply_matrix(np.linalg.inv(stage.matrix), still)
        left = np.linalg.norm(forward(still) - wanted_lps[missed], axis=1)
        better = left <= solved_mm
        found[missed[better]], misses[missed[better]] = still[better], left[better]
    return Preimages(found, misses)


def _map(stage: Stage, points: NDArray[np.float64]) -> NDArray[np.float64]:
    return map_points(stage.transform, points)


def _solve(
    stage: Stage,
    wanted: NDArray[np.float64],
    start: NDArray[np.float64],
    back: NDArray[np.float64],
    solved_mm: float,
) -> NDArray[np.float64]:
    found = start.copy()
    residual = stage.continued(found) - wanted
    length = np.linalg.norm(residual, axis=1)
    step = np.ones(len(found))
    active = np.flatnonzero(length > solved_mm)
    for _ in range(_STEPS):
        if len(active) == 0:
            return found
        tried = found[active] - step[active, None] * (residual[active] @ back.T)
        left = stage.continued(tried) - wanted[active]
        distance = np.linalg.norm(left, axis=1)
        better = distance < length[active]
        step[active[~better]] /= 2
        moved = active[better]
        found[moved], residual[moved], length[moved] = tried[better], left[better], distance[better]
        active = active[(length[active] > solved_mm) & (step[active] > _SMALLEST_STEP)]
    unsolved = np.flatnonzero(length > solved_mm)
    if len(unsolved):
        found[unsolved] = newton(stage.continued, wanted[unsolved], found[unsolved], solved_mm=solved_mm).points_lps
    return found


def newton(
    mapping: Mapping, wanted_lps: NDArray[np.float64], start_lps: NDArray[np.float64], *, solved_mm: float
) -> Preimages:
    """Go from given points to those that are mapped to others, by damped Newton steps.

    Parameters
    ----------
    mapping : callable
        Of points, shape (N, 3), LPS, mm.
    wanted_lps, start_lps : array, shape (N, 3)
        What is to be reached, and from where, LPS, mm.
    solved_mm : float
        Points that are mapped this close are good enough.

    Returns
    -------
    Preimages
        As near as the steps get.
    """
    found = np.array(start_lps, dtype=np.float64)
    residual = wanted_lps - mapping(found)
    length = np.linalg.norm(residual, axis=1)
    active = np.flatnonzero(length > solved_mm)
    offsets = np.concatenate([np.eye(3), -np.eye(3)]) * _DIFFERENCE_MM
    for _ in range(_NEWTON_STEPS):
        if len(active) == 0:
            break
        mapped = mapping((found[active, None] + offsets).reshape(-1, 3)).reshape(-1, 2, 3, 3)
        slopes = np.swapaxes(mapped[:, 0] - mapped[:, 1], 1, 2) / (2 * _DIFFERENCE_MM)
        steps = np.einsum("nij,nj->ni", np.linalg.pinv(slopes, rcond=1e-9), residual[active])
        waiting = np.arange(len(active))
        for shorter in _SHORTER:
            tried = found[active[waiting]] + shorter * steps[waiting]
            left = wanted_lps[active[waiting]] - mapping(tried)
            distance = np.linalg.norm(left, axis=1)
            better = distance < length[active[waiting]]
            moved = active[waiting[better]]
            found[moved], residual[moved], length[moved] = tried[better], left[better], distance[better]
            waiting = waiting[~better]
            if len(waiting) == 0:
                break
        stuck = np.zeros(len(active), dtype=bool)
        stuck[waiting] = True
        active = active[~stuck & (length[active] > solved_mm)]
    return Preimages(found, length)
