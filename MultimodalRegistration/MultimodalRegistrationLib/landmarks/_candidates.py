"""Correspondences between two point sets that a rotation and a translation could explain."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ..core.superpose import superpose

__all__ = ["Candidate", "find_candidates"]

_LARGEST_POSES = 8000
_FEWEST_TRIPLES = 40
_MANY_TRIPLES = 400
_SCORED, _REFINED = 400, 50
_CHUNK = 1000


@dataclass(frozen=True)
class Candidate:
    """Partners under one pose.

    Parameters
    ----------
    fixed_index, moving_index : array of int, shape (K,)
        Pair by pair, sorted by the first.
    mirrored : bool
        Whether the pose has a reflection.
    """

    fixed_index: NDArray[np.intp]
    moving_index: NDArray[np.intp]
    mirrored: bool


def find_candidates(
    fixed_lps: NDArray[np.float64], moving_lps: NDArray[np.float64], *, noise_mm: float, seed: int
) -> list[Candidate]:
    """Find correspondences that fit, from triangles with equal sides in both sets.

    Parameters
    ----------
    fixed_lps, moving_lps : array, shape (N, 3) and (M, 3), N and M at least 3
        The points, LPS, mm.
    noise_mm : float
        Largest standard deviation on each axis of the distance between partners.
    seed : int
        Of the choice of triangles where there are many.

    Returns
    -------
    list of Candidate
        All different, the most promising first; with and without reflection. Each has three pairs or more.

    Notes
    -----
    Triangles whose sides agree within the noise give poses (Fischler and Bolles 1981, doi:10.1145/358669.358692, with
    all triangles instead of random ones as far as they are few). Poses are ranked by how many points land near another
    one; the best are refined by optimal assignment (Crouse 2016, doi:10.1109/TAES.2016.140952) and a new fit in turn.
    """
    triples_fixed, triples_moving = _equal_triangles(fixed_lps, moving_lps, 3.0 * noise_mm, seed)
    found: dict[bytes, Candidate] = {}
    if len(triples_fixed) == 0:
        return []
    for mirrored in (False, True):
        rotation, translation, _ = superpose(fixed_lps[triples_fixed], moving_lps[triples_moving], mirrored=mirrored)
        for pose in _promising(fixed_lps, moving_lps, rotation, translation, 4.0 * noise_mm):
            candidate = _refine(fixed_lps, moving_lps, rotation[pose], translation[pose], 4.0 * noise_mm, mirrored)
            if candidate is not None:
                key = bytes([mirrored]) + candidate.fixed_index.tobytes() + candidate.moving_index.tobytes()
                found.setdefault(key, candidate)
    return list(found.values())


def _equal_triangles(
    fixed: NDArray[np.float64], moving: NDArray[np.float64], tolerance_mm: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Triangles with equal sides, as corner indices, shape (T, 3) each."""
    triples = np.array(list(combinations(range(len(fixed)), 3)), dtype=np.intp)
    if len(triples) > _MANY_TRIPLES:
        # Wide triangles give poses that hold far away; the narrower half is left out.
        sides = np.sort(_sides(fixed, triples), axis=1)
        wide = triples[np.argsort(sides[:, 2] - sides[:, 1] - sides[:, 0], kind="stable")[: len(triples) // 2]]
        triples = np.random.default_rng(seed).permutation(wide)
    others = np.array(list(permutations(range(len(moving)), 3)), dtype=np.intp)
    tree = cKDTree(_sides(moving, others))
    ones, twos = [], []
    for number, (triple, sides) in enumerate(zip(triples, _sides(fixed, triples), strict=True)):
        hits = np.sort(np.array(tree.query_ball_point(sides, tolerance_mm, p=np.inf), dtype=np.intp))
        ones.append(np.tile(triple, (len(hits), 1)))
        twos.append(others[hits])
        if number + 1 >= _FEWEST_TRIPLES and sum(map(len, ones)) >= _LARGEST_POSES:
            break
    return np.concatenate(ones), np.concatenate(twos)


def _sides(points: NDArray[np.float64], triples: NDArray[np.intp]) -> NDArray[np.float64]:
    a, b, c = (points[triples[:, corner]] for corner in range(3))
    return np.stack([np.linalg.norm(p - q, axis=1) for p, q in ((a, b), (b, c), (c, a))], axis=1)


def _promising(
    fixed: NDArray[np.float64],
    moving: NDArray[np.float64],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    reach_mm: float,
) -> list[int]:
    """Indices of the poses with the most points that land near another one, the best first, all different."""
    scores = np.empty(len(rotation))
    partners = np.empty((len(rotation), len(fixed)), dtype=np.int16)
    squares = np.sum(moving**2, axis=1)
    for begin in range(0, len(rotation), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        mapped = fixed @ np.swapaxes(rotation[part], -1, -2) + translation[part, None, :]
        reduced = squares - 2.0 * (mapped @ moving.T)
        nearest = reduced.argmin(axis=-1)
        distance2 = np.take_along_axis(reduced, nearest[..., None], -1)[..., 0] + np.sum(mapped**2, axis=-1)
        closeness = np.maximum(0.0, 1.0 - distance2 / reach_mm**2)
        scores[part] = closeness.sum(axis=1)
        partners[part] = np.where(closeness > 0, nearest, -1)
    order = np.argsort(-scores, kind="stable")[:_SCORED]
    _, first = np.unique(partners[order], axis=0, return_index=True)
    return [int(order[i]) for i in np.sort(first)[:_REFINED]]


def _refine(
    fixed: NDArray[np.float64],
    moving: NDArray[np.float64],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    reach_mm: float,
    mirrored: bool,
) -> Candidate | None:
    """Assign and fit in turn until the partners stay; None when fewer than three are left."""
    before: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
    for _ in range(8):
        distance2 = np.minimum(cdist(fixed @ rotation.T + translation, moving, "sqeuclidean"), reach_mm**2)
        ones, twos = linear_sum_assignment(distance2)
        near = distance2[ones, twos] < reach_mm**2
        ones, twos = ones[near], twos[near]
        if len(ones) < 3:
            return None
        if before is not None and np.array_equal(before[0], ones) and np.array_equal(before[1], twos):
            break
        before = ones, twos
        rotation, translation, _ = superpose(fixed[ones], moving[twos], mirrored=mirrored)
    return Candidate(ones, twos, mirrored)
