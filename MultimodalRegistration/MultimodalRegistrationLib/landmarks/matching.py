"""Correspondence of two landmark lists without order, labels or start: found or reported as undecided, not guessed.

Each point without a partner lies anywhere in a region of volume ``V``; a partner lies at the image of its point plus
normal noise of standard deviation ``s`` on each axis. Integrated over all rotations, the translations in ``V`` and
``s``, and with each way of choosing ``k`` partners equally likely, the weight of a correspondence against chance is

    w = V^(k-1) E_s[ (2 pi s^2)^(-3k/2) exp(-Q / 2s^2) (2 pi s^2 / k)^(3/2) prod_i (2 pi s^2 / J_i)^(1/2) / 8 pi^2 ]
        / (C(n, k) C(m, k) k!)

with ``Q`` the sum of squared residuals and ``J`` the moments of inertia about the centroid (Laplace's approximation of
the integral over the pose; Kass and Raftery 1995, doi:10.1080/01621459.1995.10476572). Where two sets have nothing to
do with each other, the expected sum of ``w`` over all correspondences of ``k`` pairs is one, so ``w`` compares directly
with the number of chance matches that are to be expected. Before the points are looked at, one couple of lists in a
hundred is thought to be unrelated, and one in a hundred to be a mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.special import gammaln, logsumexp

from ..core.errors import InputError
from ..core.linear import superpose
from ..core.points import LandmarkList

_MIN_LANDMARKS, _MAX_LANDMARKS = 4, 100
# Largest root-mean-square distance of partners after alignment. Smaller noise is recognised as such.
_TOLERANCE_MM = 4.0
_CERTAIN = float(np.log(100.0))
_LEFT_OUT, _TO_CHECK = float(np.log(9.0)), float(np.log(9999.0))
_REMEDY = "Pair by label or by order, or place more landmarks."
_NAMED = 6
_MIRRORED_SHARE, _UNRELATED_SHARE = 0.01, 0.01
_NOISE_STEPS, _MIN_NOISE_SHARE = 10, 0.08
_MAX_POSES, _MIN_TRIPLES, _MANY_TRIPLES = 8000, 40, 400
_SCORED, _REFINED = 400, 50
_CHUNK = 1000


@dataclass(frozen=True)
class Match:
    """Partners in two lists.

    Parameters
    ----------
    fixed_index, moving_index : tuple of int
        Index into the landmarks of each list, pair by pair.
    mirrored : bool
        Whether the moving points are a mirror image.
    notes : tuple of str
        Pairs that were left out or that should be looked at, a sentence each.
    """

    fixed_index: tuple[int, ...]
    moving_index: tuple[int, ...]
    mirrored: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """Partners under one pose.

    Parameters
    ----------
    fixed_index, moving_index : array of int, shape (K,)
        Pair by pair, sorted by the first.
    mirrored : bool
        Whether the pose has a reflection.
    log_weight : float
        Natural logarithm of the weight against chance, once it is known.
    """

    fixed_index: NDArray[np.intp]
    moving_index: NDArray[np.intp]
    mirrored: bool
    log_weight: float = -np.inf

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Fixed and moving index, pair by pair."""
        return list(zip(self.fixed_index.tolist(), self.moving_index.tolist(), strict=True))

    def contradicts(self, other: Candidate) -> bool:
        """Whether a point has different partners in both."""
        forward = dict(self.pairs)
        backward = {j: i for i, j in self.pairs}
        return any(forward.get(i, j) != j or backward.get(j, i) != i for i, j in other.pairs)


def match_landmarks(
    fixed: LandmarkList,
    moving: LandmarkList,
    *,
    seed: int = 0,
    mirrored_allowed: bool = False,
) -> Match:
    """Find the partners of landmarks that differ in order and number, under any rotation and translation.

    Parameters
    ----------
    fixed, moving : LandmarkList
        Landmarks that are not placed or not selected are left out. At least 4 and at most 100 are needed in each.
    seed : int, optional
        Of the choice of triangles to start from, where there are many.
    mirrored_allowed : bool, optional
        Accept a mirror image; otherwise it is reported.

    Returns
    -------
    Match
        Every point without a partner is simply absent.

    Raises
    ------
    InputError
        Too few or too many landmarks; another correspondence fits as well, or chance explains the best one, at
        odds of less than 100 to 1; the lists fit as mirror images only.

    Notes
    -----
    Candidates are weighed against each other and against chance (see the module); the noise is not assumed but
    integrated over. A correspondence is accepted when all that contradict it, chance included, have together less than
    a hundredth of its weight. A single pair that is only ten times as likely as a chance neighbourhood of two points
    without partners is left out with a note; below ten thousand times it is kept with a note. Closer neighbours cannot
    be told from partners by any method.
    """
    both = _Matcher(fixed, moving, float(_TOLERANCE_MM / np.sqrt(3.0)))
    found = find_candidates(both.fixed_lps, both.moving_lps, noise_mm=both.max_noise_mm, seed=seed)
    candidates = sorted(map(both.pruned, found), key=lambda one: -one.log_weight)
    if not candidates:
        raise InputError(both.subject, "no landmarks of one list fit those of the other", _REMEDY)
    best = candidates[0]
    if best.mirrored and not mirrored_allowed:
        proper = next((one for one in candidates if not one.mirrored), None)
        if proper is None or best.log_weight - max(proper.log_weight, both.log_chance) > _CERTAIN:
            raise InputError(
                both.subject,
                f"{len(best.fixed_index)} landmarks fit as a mirror image only",
                "Check left and right and the coordinate system (RAS or LPS) of both lists.",
            )
        best = proper
    _refuse_rivals(both, best, candidates)
    return _certain_pairs(both, best)


class _Matcher:
    """Two landmark lists, and the weight of correspondences between their placed and selected points.

    The noise on each axis is at most ``max_noise_mm``. The region is the ellipsoid whose uniform filling has the
    scatter of the points, the smaller one of both lists.
    """

    def __init__(self, fixed: LandmarkList, moving: LandmarkList, max_noise_mm: float) -> None:
        self.lists, self.max_noise_mm = (fixed, moving), max_noise_mm
        for one in self.lists:
            if not _MIN_LANDMARKS <= len(one.used) <= _MAX_LANDMARKS:
                raise InputError(
                    one.name,
                    f"{len(one.used)} placed and selected landmarks",
                    f"Automatic pairing needs {_MIN_LANDMARKS} to {_MAX_LANDMARKS}; pair by label or by order.",
                )
        self.subject = f"{fixed.name} and {moving.name}"
        self.fixed_lps, self.moving_lps = (one.points_lps[list(one.used)] for one in self.lists)
        self.noise_mm = np.geomspace(_MIN_NOISE_SHARE, 1.0, _NOISE_STEPS) * max_noise_mm
        volumes = []
        for points in (self.fixed_lps, self.moving_lps):
            spread = np.maximum(np.linalg.eigvalsh(np.cov(points.T)), max_noise_mm**2)
            volumes.append(np.log(4 * np.pi / 3) + 0.5 * float(np.log(5 * spread).sum()))
        self.log_volume = min(volumes)
        # Of lists that have nothing to do with each other.
        smaller = min(len(self.fixed_lps), len(self.moving_lps))
        self.log_chance = float(np.log((smaller + 1) * _UNRELATED_SHARE))

    def called(self, i: int, j: int) -> str:
        """How messages call a pair of used points."""
        fixed, moving = self.lists
        return f"{fixed.called(fixed.used[i])} with {moving.called(moving.used[j])}"

    def weighed(self, fixed_index: NDArray[np.intp], moving_index: NDArray[np.intp], mirrored: bool) -> Candidate:
        """A candidate with its weight; pair by pair, three pairs or more."""
        fixed, moving = self.fixed_lps[fixed_index], self.moving_lps[moving_index]
        _, _, squares = superpose(fixed, moving, mirrored=mirrored)
        k, n, m = len(fixed), len(self.fixed_lps), len(self.moving_lps)
        scatter = np.cov(fixed.T, bias=True) * k
        inertia = np.maximum(np.linalg.eigvalsh(np.trace(scatter) * np.eye(3) - scatter), 1e-9)
        unit = 2 * np.pi * self.noise_mm**2
        # A rotation about an axis that the points do not determine costs nothing: the whole turn is one.
        turns = np.minimum(0.5 * np.log(unit[:, None] / inertia[None, :]), np.log(8 * np.pi**2) / 3).sum(axis=1)
        logs = -1.5 * k * np.log(unit) - squares / (2 * self.noise_mm**2) + 1.5 * np.log(unit / k) + turns
        value = float(logsumexp(logs)) - np.log(len(self.noise_mm)) - np.log(8 * np.pi**2)
        choices = gammaln(n + 1) - gammaln(n - k + 1) + gammaln(m + 1) - gammaln(m - k + 1) - gammaln(k + 1)
        value += (k - 1) * self.log_volume - float(choices)
        return Candidate(fixed_index, moving_index, mirrored, value + (np.log(_MIRRORED_SHARE) if mirrored else 0.0))

    def without(self, candidate: Candidate, position: int) -> Candidate:
        """The candidate without one of its pairs."""
        keep = np.arange(len(candidate.fixed_index)) != position
        return self.weighed(candidate.fixed_index[keep], candidate.moving_index[keep], candidate.mirrored)

    def distances(self, candidate: Candidate) -> NDArray[np.float64]:
        """Distances in mm of all mapped fixed points (rows) to all moving ones."""
        ones, twos = self.fixed_lps[candidate.fixed_index], self.moving_lps[candidate.moving_index]
        rotation, translation, _ = superpose(ones, twos, mirrored=candidate.mirrored)
        return cdist(self.fixed_lps @ rotation.T + translation, self.moving_lps)

    def pruned(self, candidate: Candidate) -> Candidate:
        """Without the pairs that weaken it."""
        best = self.weighed(candidate.fixed_index, candidate.moving_index, candidate.mirrored)
        while len(best.fixed_index) > 3:
            residuals = self.distances(best)[best.fixed_index, best.moving_index]
            smaller = self.without(best, int(residuals.argmax()))
            if smaller.log_weight <= best.log_weight:
                break
            best = smaller
        return best

    def exchanged(self, best: Candidate) -> list[Candidate]:
        """Correspondences in which two points that lie close together have exchanged their parts."""
        near = self.distances(best) < 5.0 * self.noise_mm[-1]
        ones, twos = best.fixed_index, best.moving_index
        variants = []
        for p, (i, j) in enumerate(best.pairs):
            for q in range(p + 1, len(ones)):
                if near[i, twos[q]] and near[ones[q], j]:
                    changed = twos.copy()
                    changed[[p, q]] = changed[[q, p]]
                    variants.append((ones, changed))
            others = set(np.flatnonzero(near[i]).tolist()) - set(twos.tolist())
            variants += [(ones, np.where(twos == j, other, twos)) for other in others]
            others = set(np.flatnonzero(near[:, j]).tolist()) - set(ones.tolist())
            variants += [(np.where(ones == i, other, ones), twos) for other in others]
        return [self.weighed(*variant, best.mirrored) for variant in variants]


def _refuse_rivals(both: _Matcher, best: Candidate, candidates: list[Candidate]) -> None:
    """Raise where something else than ``best`` is not a hundred times less likely."""
    count = len(best.fixed_index)
    if count < _MIN_LANDMARKS or best.log_weight - both.log_chance < _CERTAIN:
        raise InputError(both.subject, f"only {count} landmarks fit, which chance may explain", _REMEDY)
    rivals = [one for one in candidates + both.exchanged(best) if best.contradicts(one)]
    if not rivals or best.log_weight - float(np.logaddexp.reduce([one.log_weight for one in rivals])) >= _CERTAIN:
        return
    mine, others = set(best.pairs), set(max(rivals, key=lambda one: one.log_weight).pairs)
    touched = [(i, j) for i, j in mine - others if any(i == a or j == b for a, b in others)]
    ways = []
    for pairs in (sorted(touched), sorted(others - mine)):
        more = f" and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
        ways.append(", ".join(both.called(i, j) for i, j in pairs[:_NAMED]) + more)
    found = f"two ways to pair them fit about as well within the noise: {'; or '.join(ways)}"
    raise InputError(both.subject, found, _REMEDY)


def _certain_pairs(both: _Matcher, best: Candidate) -> Match:
    """Leave out single pairs that may be chance, and name them."""
    distances = both.distances(best)
    keep, notes = [], []

    def note(i: int, j: int, what: str) -> None:
        notes.append(f"{both.called(i, j)}: {distances[i, j]:.1f} mm apart after alignment, {what}.")

    for position, (i, j) in enumerate(best.pairs):
        odds = best.log_weight - both.without(best, position).log_weight
        if odds >= _LEFT_OUT:
            keep.append(position)
        if odds < _TO_CHECK:
            note(i, j, "check this pair" if odds >= _LEFT_OUT else "left out as uncertain")
    for i in sorted(set(range(len(both.fixed_lps))) - set(best.fixed_index.tolist())):
        for j in sorted(set(range(len(both.moving_lps))) - set(best.moving_index.tolist())):
            more = both.weighed(np.append(best.fixed_index, i), np.append(best.moving_index, j), best.mirrored)
            if more.log_weight - best.log_weight > -_TO_CHECK:
                note(i, j, "left out as uncertain")
    if len(keep) < _MIN_LANDMARKS:
        raise InputError(both.subject, f"only {len(keep)} landmarks have a partner beyond doubt", _REMEDY)
    fixed, moving = both.lists
    return Match(
        tuple(fixed.used[i] for i in best.fixed_index[keep]),
        tuple(moving.used[j] for j in best.moving_index[keep]),
        best.mirrored,
        tuple(notes),
    )


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
        if number + 1 >= _MIN_TRIPLES and sum(map(len, ones)) >= _MAX_POSES:
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
