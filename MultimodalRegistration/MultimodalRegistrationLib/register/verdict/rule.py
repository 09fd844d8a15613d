"""The rule that turns the evidence into a verdict, an estimated error and words.

Its numbers were chosen on runs with known answers and on hopeless ones; ``Resources/Docs/verdict.md`` tells how, and
``Testing/Benchmarks/capture_range.py`` measures what the rule catches and what it misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .evidence import Evidence

__all__ = [
    "SHARP",
    "WORSE_THAN_START",
    "Verdict",
    "Word",
    "judge",
    "verdict_warning",
    "with_doubts",
    "with_optimum_unmasked",
]

Word = Literal["verified", "uncertain", "failed"]

# Agreement that two unrelated volumes reach by chance.
_CHANCE_NATS = 0.06
_SMALLEST_OVERLAP = 0.25
_DOUBTFUL_OVERLAP = 0.35
# Shares by which the agreement drops. A blunt optimum needs a clearer margin than a sharp one.
_CLEAR_MARGIN = 0.09
_CLEAR_MARGIN_AND_SHARPNESS = 0.25
SHARP = 0.15
_RIVAL_WINS = -0.02
_MIRROR_WINS = -0.05
_MIRROR_EQUAL = 0.03
# Distances of restarts, in steps of the search.
_APART = 0.5
_SCATTERED = 0.26
# Optima that are the same but for noise.
_SAME_OPTIMUM = 0.1
# Median over correct runs: the optimum of the volumes is off, too, by what restarts cannot see.
_ERROR_PER_SCATTER = 1.4
_ELSEWHERE = 0.75
# Share by which the agreement may be below that of the start: a start at the optimum is not improved, and sampled anew.
WORSE_THAN_START = 0.02


@dataclass(frozen=True)
class Verdict:
    """How far a result can be trusted.

    Parameters
    ----------
    word : str
        ``"verified"``: nothing speaks against it; ``"uncertain"``: something does, look closely; ``"failed"``: do not
        use it.
    against : tuple of str
        Sentences that speak against the result; empty when it is verified.
    facts : tuple of str
        The main measurements, as sentences.
    estimated_error_mm : float or None
        Expected mean error over the region that both volumes show, if the basin is the right one; None when the volumes
        do not overlap enough to tell, and for what has failed.
    evidence : Evidence
        Everything that was measured.
    """

    word: Word
    against: tuple[str, ...]
    facts: tuple[str, ...]
    estimated_error_mm: float | None
    evidence: Evidence


def judge(evidence: Evidence, bounds_touched: tuple[str, ...] = ()) -> Verdict:
    """Weigh the evidence.

    Parameters
    ----------
    evidence : Evidence
        From the examiner.
    bounds_touched : tuple of str
        Limits of the movement that the result is at, in words.

    Returns
    -------
    Verdict
        In words.
    """
    against = _fatal(evidence)
    word: Word = "failed"
    if not against:
        against = _doubts(evidence)
        word = "uncertain" if against or bounds_touched else "verified"
    against += [f"The result is at {bound}; the true pose may lie beyond." for bound in bounds_touched]
    scatter_mm = _scatter_mm(evidence)
    # Of a pose that is wrong, how near its restarts end says nothing.
    error_mm = None if scatter_mm is None or word == "failed" else _ERROR_PER_SCATTER * scatter_mm
    return Verdict(word, tuple(against), _facts(evidence), error_mm, evidence)


def with_doubts(verdict: Verdict, sentences: Sequence[str]) -> Verdict:
    """The verdict where something beside the volumes' agreement speaks against the result: uncertain at best."""
    if not sentences:
        return verdict
    word: Word = "failed" if verdict.word == "failed" else "uncertain"
    return replace(verdict, word=word, against=(*verdict.against, *sentences))


def verdict_warning(verdict: Verdict) -> str | None:
    """What whoever runs a registration is warned of; None for what is verified."""
    if verdict.word == "verified":
        return None
    advice = ": do not use it" if verdict.word == "failed" else ""
    return f"The verdict is {verdict.word}{advice}. {' '.join(verdict.against)}"


def with_optimum_unmasked(verdict: Verdict, distance_mm: float) -> Verdict:
    """The verdict where the volumes without the user's masks agree best at some distance, mean over what these mark.

    Both are optima of one basin and nothing tells which is right, so that the estimated error includes the distance.
    """
    error_mm = verdict.estimated_error_mm
    if error_mm is None or distance_mm <= _SAME_OPTIMUM * verdict.evidence.step_mm:
        return verdict
    fact = (
        f"Without the masks the volumes agree best {distance_mm:.1f} mm from the result. The estimated error includes "
        "this distance."
    )
    weighed = replace(verdict, facts=(*verdict.facts, fact), estimated_error_mm=float(np.hypot(error_mm, distance_mm)))
    if distance_mm <= _APART * verdict.evidence.step_mm:
        return weighed
    return with_doubts(weighed, [f"With the masks and without them the results lie {distance_mm:.1f} mm apart."])


def _fatal(e: Evidence) -> list[str]:
    if e.overlap < _SMALLEST_OVERLAP:
        return [f"Only {e.overlap:.0%} of the smaller volume lies inside the other."]
    if e.agreement_best_nearby < _CHANCE_NATS:
        return [
            f"The volumes share {e.agreement_best_nearby:.2f} nat of information, no more than unrelated ones do: they "
            "may not show the same part."
        ]
    words = []
    if e.rival_agreement is not None and e.margin < _RIVAL_WINS:
        words.append(f"{_rival(e)} agrees better, by {-e.margin:.0%}.")
        if e.sharpness < SHARP:
            words.append("Neither stands out: the volumes may not show the same part.")
    if e.mirror_margin is not None and e.mirror_margin < _MIRROR_WINS:
        words.append(
            f"The mirrored volume fits better, by {-e.mirror_margin:.0%}: one of the volumes may be mirrored, or they "
            "do not show the same part."
        )
    if e.distances_mm and np.median(e.distances_mm) > _ELSEWHERE * e.step_mm:
        words.append(f"Restarts from nearby end elsewhere: {_restarts(e)}.")
    return words


def _doubts(e: Evidence) -> list[str]:
    words = []
    if e.rival_agreement is not None and _RIVAL_WINS <= e.margin < _CLEAR_MARGIN:
        words.append(f"{_rival(e)} agrees almost as well, {abs(e.margin):.0%} {'less' if e.margin >= 0 else 'more'}.")
    elif e.sharpness < SHARP:
        words.append(
            f"The optimum is blunt: moved by {e.step_mm:.0f} mm the agreement falls by {e.sharpness:.0%} only."
        )
    elif e.margin + e.sharpness < _CLEAR_MARGIN_AND_SHARPNESS:
        words.append(
            f"The optimum does not stand out: moved by {e.step_mm:.0f} mm the agreement falls by {e.sharpness:.0%}, "
            f"and the best other pose agrees only {e.margin:.0%} less."
        )
    if e.agreement < (1 - WORSE_THAN_START) * e.agreement_at_start:
        words.append(f"The volumes agreed better at the start: {e.agreement_at_start:.2f}, now {e.agreement:.2f}.")
    if not e.distances_mm:
        words.append("Too few points lie in both volumes for restarts.")
    scatter_mm = _scatter_mm(e) or 0.0
    if _APART * e.step_mm < max(e.distances_mm, default=0.0) or _SCATTERED * e.step_mm < scatter_mm:
        words.append(f"Restarts end apart: {_restarts(e)}.")
    if _SMALLEST_OVERLAP <= e.overlap < _DOUBTFUL_OVERLAP:
        words.append(f"Only {e.overlap:.0%} of the smaller volume lies inside the other.")
    return words


def _facts(e: Evidence) -> tuple[str, ...]:
    facts = []
    if e.rival_agreement is not None and e.margin >= _CLEAR_MARGIN:
        facts.append(f"{_rival(e)} agrees {e.margin:.0%} less.")
    elif e.rival_agreement is None:
        facts.append("No other pose came near.")
    if e.agreement <= 0:
        facts.append("Too little of the volumes, or of what their masks mark, overlaps at the result to compare them.")
    else:
        facts.append(
            f"Agreement {e.agreement:.2f}, {max(e.agreement_at_start, 0.0):.2f} at the start, {e.sharpness:.0%} less "
            f"when moved by {e.step_mm:.0f} mm."
        )
    if e.distances_mm:
        facts.append(f"Restarts with other samples and with the roles exchanged: {_restarts(e)}.")
    if e.mirror_margin is None:
        return tuple(facts)
    if _MIRROR_WINS <= e.mirror_margin <= _MIRROR_EQUAL:
        facts.append(
            "The images alone do not tell left from right, because a mirrored volume would fit as well. Left and right "
            "follow the headers of the files."
        )
    elif e.mirror_margin > 0:
        facts.append(f"Mirrored, the volume agrees {e.mirror_margin:.0%} less.")
    return tuple(facts)


def _rival(e: Evidence) -> str:
    return f"The best other pose ({e.rival_distance_mm:.0f} mm and {e.rival_rotation_deg:.0f} degrees away)"


def _restarts(e: Evidence) -> str:
    return f"{min(e.distances_mm):.1f} to {max(e.distances_mm):.1f} mm from the result"


def _scatter_mm(e: Evidence) -> float | None:
    """Root mean square distance of the restarts from the result."""
    if not e.distances_mm:
        return None
    return float(np.sqrt(np.mean(np.square(e.distances_mm))))
