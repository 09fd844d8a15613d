r"""Iterative closest points with trimming (Besl and McKay 1992, doi:10.1109/34.121791).

Each round pairs samples with their nearest points, keeps the share of pairs that is closest, and takes one step of
the transform: of points to points, which converges from afar, or of points to planes, which converges fast (Chen and
Medioni 1992, doi:10.1016/0262-8856(92)90066-C). An automatic share :math:`s` minimises

.. math:: (\mathrm{RMS}(s) + f) / s^{3/2},

the objective of Chetverikov et al. 2005 (doi:10.1016/j.imavis.2004.05.007) with its weight of 2, and a floor f below
which distances are not told apart: without it a perfect fit of few points would beat a good one of many. It is
minimised in every round, as in Phillips et al. 2007 (doi:10.1109/3DIM.2007.39).

A pose W maps the target to the sampled shape. Everything is measured at the sampled shape, so that the scale of W
cannot shrink to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.linear import LARGEST_CONDITION, apply_matrix, condition_number, displacement_mm
from ...core.point_fit import fit_affine, fit_rigid, fit_similarity
from ...core.shapes import Nearest, Shape
from .planes import FEWEST_POINTS, Model, step_to_planes

__all__ = ["Fit", "Matching", "Overlap", "iterate", "kept_share"]

Overlap = float | Literal["auto"]
_FITS = {"rigid": fit_rigid, "similarity": fit_similarity, "affine": fit_affine}
_SMALLEST_SHARE = 0.3
_WEIGHT = 1.5


@dataclass(frozen=True, eq=False)
class Matching:
    """What is matched with what.

    Parameters
    ----------
    sampled, target : Shape
        The shapes; a pose maps target to sampled.
    sampled_lps : array, shape (N, 3)
        Samples that look for a counterpart on the target, LPS, mm.
    target_lps : array, shape (K, 3)
        Samples of the target that look for one on the sampled shape; none to match in one direction only.
    overlap : float or "auto"
        Share of the samples that is kept.
    floor_mm : float
        Distances below are not told apart.
    """

    sampled: Shape
    target: Shape
    sampled_lps: NDArray[np.float64]
    target_lps: NDArray[np.float64]
    overlap: Overlap
    floor_mm: float


class Fit(NamedTuple):
    """Where the iterations ended.

    Parameters
    ----------
    matrix_lps : array, shape (4, 4)
        From target to sampled shape.
    residual_mm : float
        The objective: RMS distance over what was kept plus the floor, raised where less was kept. Infinite where a
        round would have mirrored or flattened space.
    iterations : int
        Rounds taken.
    """

    matrix_lps: NDArray[np.float64]
    residual_mm: float
    iterations: int


class _Pairs(NamedTuple):
    source: NDArray[np.float64]
    goal: NDArray[np.float64]
    normals: NDArray[np.float64] | None
    residual_mm: float


def kept_share(distances_mm: NDArray[np.float64], overlap: Overlap, floor_mm: float) -> tuple[int, float]:
    """How many of the closest pairs to keep.

    Parameters
    ----------
    distances_mm : array, shape (N,)
        In rising order.
    overlap : float or "auto"
        The share, or let the objective choose it.
    floor_mm : float
        Distances below are not told apart.

    Returns
    -------
    count : int
        The number of pairs.
    residual_mm : float
        The objective.
    """
    total = len(distances_mm)
    rms = np.sqrt(np.cumsum(np.square(distances_mm)) / np.arange(1, total + 1))
    if overlap != "auto":
        count = max(1, round(overlap * total))
        return count, float(rms[count - 1]) + floor_mm
    share = np.arange(1, total + 1) / total
    objective = (rms + floor_mm) / share**_WEIGHT
    first = max(round(_SMALLEST_SHARE * total), 1) - 1
    count = first + 1 + int(objective[first:].argmin())
    return count, float(objective[count - 1])


def iterate(
    matching: Matching,
    start_lps: NDArray[np.float64],
    *,
    model: Model,
    to_points: int,
    to_planes: int,
    tolerance_mm: float,
) -> Fit:
    """Improve a pose.

    Parameters
    ----------
    matching : Matching
        The shapes.
    start_lps : array, shape (4, 4)
        From target to sampled shape.
    model : {"rigid", "similarity", "affine"}
        What may change.
    to_points, to_planes : int
        Largest number of rounds of either kind, in this order. Shapes without normals take both to points.
    tolerance_mm : float
        Ends either kind once a round moves the samples by less on average.

    Returns
    -------
    Fit
        The pose and the objective there.
    """
    matrix, rounds = start_lps, 0
    for planes, limit in ((False, to_points), (True, to_planes)):
        for _ in range(limit):
            pairs = _pairs(matching, matrix, model)
            if planes and pairs.normals is not None:
                moved = step_to_planes(matrix, pairs.source, pairs.goal, pairs.normals, model)
            else:
                # From far away one point may be nearest to all: no scale fits, which is told below.
                with np.errstate(divide="ignore", invalid="ignore"):
                    moved = _FITS[model](pairs.source, pairs.goal)
            rounds += 1
            if condition_number(moved) > LARGEST_CONDITION or np.linalg.det(moved[:3, :3]) < 0:
                return Fit(matrix, np.inf, rounds)
            step = float(displacement_mm(moved, matrix, pairs.source).mean())
            matrix = moved
            if step < tolerance_mm:
                break
    return Fit(matrix, _pairs(matching, matrix, model).residual_mm, rounds)


def _pairs(matching: Matching, matrix: NDArray[np.float64], model: Model) -> _Pairs:
    linear = matrix[:3, :3]
    scale = float(np.cbrt(abs(np.linalg.det(linear))))
    fewest = 2 * FEWEST_POINTS[model]
    back = apply_matrix(np.linalg.inv(matrix), matching.sampled_lps)
    found = matching.target.nearest(back, exact=False)
    kept, residual = _closest(found.distances_mm * scale, matching, fewest)
    source, goal = found.points_lps[kept], matching.sampled_lps[kept]
    normals = _normals(found, kept)
    if normals is not None:
        normals = normals @ np.linalg.inv(linear)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = normals / np.where(length > 0, length, 1.0)
    if len(matching.target_lps):
        found = matching.sampled.nearest(apply_matrix(matrix, matching.target_lps), exact=False)
        kept, second = _closest(found.distances_mm, matching, fewest)
        source = np.concatenate([source, matching.target_lps[kept]])
        goal = np.concatenate([goal, found.points_lps[kept]])
        other = _normals(found, kept)
        normals = None if normals is None or other is None else np.concatenate([normals, other])
        residual = (residual + second) / 2
    return _Pairs(source, goal, normals, residual)


def _normals(found: Nearest, kept: NDArray[np.intp]) -> NDArray[np.float64] | None:
    return None if found.normals_lps is None else found.normals_lps[kept]


def _closest(distances_mm: NDArray[np.float64], matching: Matching, fewest: int) -> tuple[NDArray[np.intp], float]:
    order = np.argsort(distances_mm)
    count, residual = kept_share(distances_mm[order], matching.overlap, matching.floor_mm)
    return order[: max(count, fewest)], residual
