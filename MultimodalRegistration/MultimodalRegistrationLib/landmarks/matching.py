"""Correspondence of two landmark lists without order, labels or start: found or reported as undecided, not guessed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ..core.errors import InputError
from ..core.points import LandmarkList
from ..core.superpose import superpose
from ._candidates import Candidate, find_candidates
from ._evidence import Weigher, weigher_for

__all__ = ["Match", "match_landmarks"]

FEWEST, MOST = 4, 100
_CERTAIN = float(np.log(100.0))
_LEFT_OUT, _TO_CHECK = float(np.log(9.0)), float(np.log(9999.0))
_REMEDY = "Pair by label or by order, or place more landmarks."
_NAMED = 6


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
class _Weighed:
    candidate: Candidate
    log_weight: float

    def contradicts(self, other: _Weighed) -> bool:
        """Whether a point has different partners in both."""
        one = dict(_pairs_of(self.candidate))
        back = {j: i for i, j in one.items()}
        return any(one.get(i, j) != j or back.get(j, i) != i for i, j in _pairs_of(other.candidate))


def match_landmarks(
    fixed: LandmarkList,
    moving: LandmarkList,
    *,
    tolerance_mm: float = 4.0,
    seed: int = 0,
    mirrored_allowed: bool = False,
) -> Match:
    """Find the partners of landmarks that differ in order and number, under any rotation and translation.

    Parameters
    ----------
    fixed, moving : LandmarkList
        Landmarks that are not placed or not selected are left out. At least 4 and at most 100 are needed in each.
    tolerance_mm : float, optional
        Largest root-mean-square distance of partners after alignment. Smaller noise is recognised as such.
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
    Candidates are weighed against each other and against chance (:mod:`._evidence`); the noise is not assumed but
    integrated over. A correspondence is accepted when all that contradict it, chance included, have together less than
    a hundredth of its weight. A single pair that is only ten times as likely as a chance neighbourhood of two points
    without partners is left out with a note; below ten thousand times it is kept with a note. Closer neighbours cannot
    be told from partners by any method.
    """
    used_fixed, used_moving = _usable(fixed), _usable(moving)
    noise_mm = tolerance_mm / np.sqrt(3.0)
    weigher = weigher_for(
        fixed.points_lps[used_fixed], moving.points_lps[used_moving], largest_noise_mm=float(noise_mm)
    )
    found = find_candidates(weigher.fixed_lps, weigher.moving_lps, noise_mm=float(noise_mm), seed=seed)
    hypotheses = [_pruned(weigher, candidate) for candidate in found]
    hypotheses.sort(key=lambda one: -one.log_weight)
    both = _Named(fixed, moving, used_fixed, used_moving)
    if not hypotheses:
        raise InputError(both.subject, "no landmarks of one list fit those of the other", _REMEDY)
    best = hypotheses[0]
    if best.candidate.mirrored and not mirrored_allowed:
        proper = next((one for one in hypotheses if not one.candidate.mirrored), None)
        if proper is None or best.log_weight - max(proper.log_weight, weigher.log_chance) > _CERTAIN:
            raise InputError(
                both.subject,
                f"{len(best.candidate.fixed_index)} landmarks fit as a mirror image only",
                "Check left and right and the coordinate system (RAS or LPS) of both lists.",
            )
        best = proper
    _refuse_rivals(weigher, best, hypotheses, both)
    return _settled(weigher, best, both)


@dataclass(frozen=True)
class _Named:
    """Both lists, for messages."""

    fixed: LandmarkList
    moving: LandmarkList
    used_fixed: list[int]
    used_moving: list[int]

    @property
    def subject(self) -> str:
        return f"{self.fixed.name} and {self.moving.name}"

    def pair(self, i: int, j: int) -> str:
        return f"{self.fixed.called(self.used_fixed[i])} with {self.moving.called(self.used_moving[j])}"


def _usable(landmarks: LandmarkList) -> list[int]:
    used = list(landmarks.used)
    if not FEWEST <= len(used) <= MOST:
        raise InputError(
            landmarks.name,
            f"{len(used)} placed and selected landmarks",
            f"Automatic pairing needs {FEWEST} to {MOST}; pair by label or by order.",
        )
    return used


def _without(candidate: Candidate, position: int) -> Candidate:
    keep = np.arange(len(candidate.fixed_index)) != position
    return Candidate(candidate.fixed_index[keep], candidate.moving_index[keep], candidate.mirrored)


def _weigh(weigher: Weigher, candidate: Candidate) -> _Weighed:
    return _Weighed(
        candidate,
        weigher.log_weight(candidate.fixed_index, candidate.moving_index, mirrored=candidate.mirrored),
    )


def _distances(weigher: Weigher, candidate: Candidate) -> NDArray[np.float64]:
    """Distances in mm of all mapped fixed points (rows) to all moving ones."""
    rotation, translation, _ = superpose(
        weigher.fixed_lps[candidate.fixed_index],
        weigher.moving_lps[candidate.moving_index],
        mirrored=candidate.mirrored,
    )
    return cdist(weigher.fixed_lps @ rotation.T + translation, weigher.moving_lps)


def _pruned(weigher: Weigher, candidate: Candidate) -> _Weighed:
    """Without the pairs that weaken it."""
    best = _weigh(weigher, candidate)
    while len(best.candidate.fixed_index) > 3:
        residuals = _distances(weigher, best.candidate)[best.candidate.fixed_index, best.candidate.moving_index]
        smaller = _weigh(weigher, _without(best.candidate, int(residuals.argmax())))
        if smaller.log_weight <= best.log_weight:
            break
        best = smaller
    return best


def _exchanged(weigher: Weigher, best: _Weighed) -> list[_Weighed]:
    """Correspondences in which two points that lie close together have exchanged their parts."""
    candidate = best.candidate
    reach = 5.0 * weigher.noise_mm[-1]
    distances = _distances(weigher, candidate)
    ones, twos = candidate.fixed_index, candidate.moving_index
    variants = []
    for p, (i, j) in enumerate(zip(ones.tolist(), twos.tolist(), strict=True)):
        for q in range(p + 1, len(ones)):
            if distances[i, twos[q]] < reach and distances[ones[q], j] < reach:
                changed = twos.copy()
                changed[[p, q]] = changed[[q, p]]
                variants.append(Candidate(ones, changed, candidate.mirrored))
        variants.extend(
            Candidate(ones, np.where(twos == j, other, twos), candidate.mirrored)
            for other in set(np.flatnonzero(distances[i] < reach).tolist()) - set(twos.tolist())
        )
        variants.extend(
            Candidate(np.where(ones == i, other, ones), twos, candidate.mirrored)
            for other in set(np.flatnonzero(distances[:, j] < reach).tolist()) - set(ones.tolist())
        )
    return [_weigh(weigher, variant) for variant in variants]


def _refuse_rivals(weigher: Weigher, best: _Weighed, hypotheses: list[_Weighed], both: _Named) -> None:
    """Raise where something else than ``best`` is not a hundred times less likely."""
    if len(best.candidate.fixed_index) < FEWEST or best.log_weight - weigher.log_chance < _CERTAIN:
        raise InputError(
            both.subject,
            f"only {len(best.candidate.fixed_index)} landmarks fit, which chance may explain",
            _REMEDY,
        )
    rivals = [one for one in hypotheses + _exchanged(weigher, best) if best.contradicts(one)]
    if not rivals:
        return
    if best.log_weight - float(np.logaddexp.reduce([one.log_weight for one in rivals])) >= _CERTAIN:
        return
    rival = max(rivals, key=lambda one: one.log_weight).candidate
    mine, others = _pairs_of(best.candidate), _pairs_of(rival)
    touched = [(i, j) for i, j in mine - others if any(i == a or j == b for a, b in others)]
    one, other = (_listed([both.pair(i, j) for i, j in sorted(some)]) for some in (touched, others - mine))
    raise InputError(
        both.subject, f"two ways to pair them fit about as well within the noise: {one}; or {other}", _REMEDY
    )


def _pairs_of(candidate: Candidate) -> set[tuple[int, int]]:
    return set(zip(candidate.fixed_index.tolist(), candidate.moving_index.tolist(), strict=True))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _settled(weigher: Weigher, best: _Weighed, both: _Named) -> Match:
    """Leave out single pairs that may be chance, and name them."""
    candidate = best.candidate
    distances = _distances(weigher, candidate)
    keep, notes = [], []
    for position, (i, j) in enumerate(
        zip(candidate.fixed_index.tolist(), candidate.moving_index.tolist(), strict=True)
    ):
        odds = best.log_weight - _weigh(weigher, _without(candidate, position)).log_weight
        apart = f"{both.pair(i, j)}: {distances[i, j]:.1f} mm apart after alignment"
        if odds >= _LEFT_OUT:
            keep.append(position)
        if odds < _TO_CHECK:
            notes.append(f"{apart}, {'check this pair' if odds >= _LEFT_OUT else 'left out as uncertain'}.")
    free_fixed = sorted(set(range(len(weigher.fixed_lps))) - set(candidate.fixed_index.tolist()))
    free_moving = sorted(set(range(len(weigher.moving_lps))) - set(candidate.moving_index.tolist()))
    for i in free_fixed:
        for j in free_moving:
            more = Candidate(
                np.append(candidate.fixed_index, i), np.append(candidate.moving_index, j), candidate.mirrored
            )
            if _weigh(weigher, more).log_weight - best.log_weight > -_TO_CHECK:
                notes.append(
                    f"{both.pair(i, j)}: {distances[i, j]:.1f} mm apart after alignment, left out as uncertain."
                )
    if len(keep) < FEWEST:
        raise InputError(both.subject, f"only {len(keep)} landmarks have a partner beyond doubt", _REMEDY)
    return Match(
        tuple(both.used_fixed[i] for i in candidate.fixed_index[keep]),
        tuple(both.used_moving[j] for j in candidate.moving_index[keep]),
        candidate.mirrored,
        tuple(notes),
    )
