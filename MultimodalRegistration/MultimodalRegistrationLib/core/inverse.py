r"""The numerical inverse of a transform: the points that are mapped to given ones.

The stages of a composite are inverted one by one, the last one first. A linear stage has its inverse matrix. A preimage
of :math:`y` under another stage :math:`T` is sought by :math:`x \leftarrow x - \omega A^{-1} (T(x) - y)` from
:math:`A^{-1} y`, with the closest affine transform :math:`A` of the stage and a step :math:`\omega` that is halved
where it fails (Chen et al. 2008, doi:10.1118/1.2816107, without the affine part); where that does not arrive, by
damped Newton steps. Both work on the stage as it is continued beyond its border
(:mod:`~MultimodalRegistrationLib.core.stages`); what is found is then judged by the transform as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .linear import apply_matrix
from .stages import Stage, map_points

__all__ = ["Preimages", "find_preimages", "newton"]

_STEPS = 40
_NEWTON_STEPS = 60
_SMALLEST_STEP = 1e-2
_DIFFERENCE_MM = 0.01
_SHORTER = (1.0, 0.5, 0.25, 0.125, 0.0625)
# A stage is solved this much better than the whole, for errors that later stages enlarge.
_BETTER = 0.1

Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]


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
