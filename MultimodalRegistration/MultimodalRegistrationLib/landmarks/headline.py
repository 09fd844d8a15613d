"""What is said first about a landmark registration, in one place for the command, its files and the panel.

That is the error to expect at the worst place, unless errors were measured that are more than twice as large as the
landmarks suggest: then those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .accuracy import PointErrors
from .error_bounds import CASES, ErrorBounds, Extremes
from .findings import Finding
from .targets import Targets

__all__ = ["Excess", "Headline", "excess_at_targets", "excess_left_out", "headline", "range_words"]

_MANY_TIMES = 2.0
# Points agree to three digits of a millimetre at best: an error below is none.
_ROUNDING_MM = 1e-2


@dataclass(frozen=True)
class Excess:
    """Measured errors that are more than twice what the landmarks suggest.

    Parameters
    ----------
    source : {"targets", "left-out"}
        Where they were measured: at independent targets, or at landmarks that were left out of the fit.
    measured : PointErrors
        The errors.
    names : tuple of str
        Of the points, as messages call them.
    expected_mm : float
        RMS that the landmarks suggest at these points.
    """

    source: Literal["targets", "left-out"]
    measured: PointErrors
    names: tuple[str, ...]
    expected_mm: float

    @property
    def where(self) -> str:
        """Where they were measured, with its preposition."""
        return "at the targets" if self.source == "targets" else "at landmarks left out of the fit"

    @property
    def times(self) -> str:
        """How large they are against what is expected."""
        if self.expected_mm < _ROUNDING_MM:
            return "far more than"
        return f"{self.measured.rms_mm / self.expected_mm:.1f} times"

    @property
    def words(self) -> str:
        """The figures."""
        count = len(self.names)
        places = f"{count} independent target{'' if count == 1 else 's'}"
        if self.source == "left-out":
            places = f"{count} landmarks, each left out of the fit in turn"
        worst = self.names[int(np.argmax(self.measured.per_point_mm))]
        largest = f"largest {self.measured.max_mm:.2f} mm at {worst}"
        return (
            f"Error at {places}: {self.measured.rms_mm:.2f} mm (RMS; {largest}). That is {self.times} the "
            f"{self.expected_mm:.2f} mm that the fit of the landmarks suggests there."
        )

    @property
    def finding(self) -> Finding:
        """The same as a finding."""
        if self.source == "targets":
            remedy = (
                "Believe the targets rather than the expected error. Check both for wrong positions and labels; then "
                "place landmarks near the targets, or try a model with more freedoms."
            )
        else:
            remedy = (
                "Believe this error rather than the expected one. Check the landmarks with the largest leave-one-out "
                "errors and the localisation error, if you stated one; then place further landmarks."
            )
        return Finding(f"{self.source}-error-exceeds-expected", "warning", self.names, self.words, remedy)


def excess_at_targets(bounds: ErrorBounds | None, extremes: Extremes | None, targets: Targets) -> Excess | None:
    """Tell whether errors at targets are more than twice what was expected there, or anywhere in the region."""
    if bounds is None or extremes is None:
        return None
    there = float(np.sqrt(np.mean(np.square(targets.expected_rms_mm))))
    expected_mm = min(there, extremes.worst_mm)
    return _excess("targets", targets.after, targets.pairs.labels, expected_mm)


def excess_left_out(bounds: ErrorBounds | None, left_out: PointErrors | None, names: tuple[str, ...]) -> Excess | None:
    """Tell whether leave-one-out errors are more than twice what the localisation error explains."""
    if bounds is None or left_out is None or (bounds.expected.model == "tps" and not bounds.is_known):
        return None
    expected_mm = float(np.sqrt(np.trace(bounds.expected.left_out_covariances(), axis1=1, axis2=2).mean()))
    return _excess("left-out", left_out, names, expected_mm)


def _excess(
    source: Literal["targets", "left-out"], measured: PointErrors, names: tuple[str, ...], expected_mm: float
) -> Excess | None:
    if measured.rms_mm <= max(_MANY_TIMES * expected_mm, _ROUNDING_MM):
        return None
    return Excess(source, measured, names, expected_mm)


@dataclass(frozen=True)
class Headline:
    """What is said first.

    Parameters
    ----------
    source : {"targets", "left-out", "expected", "unknown"}
        What the first sentence goes by.
    words : tuple of str
        Sentences, the most important one first.
    """

    source: Literal["targets", "left-out", "expected", "unknown"]
    words: tuple[str, ...]


def headline(extremes: Extremes | None, excesses: Sequence[Excess]) -> Headline:
    """Say first what matters most.

    Parameters
    ----------
    extremes : Extremes or None
        Bounds of the error in the region that matters; None where nothing can be expected.
    excesses : sequence of Excess
        Measured errors that contradict it.
    """
    if extremes is None:
        expected = (
            "What error to expect cannot be told from these pairs: place more of them, or state the localisation error."
        )
    else:
        expected = f"Expected error: {range_words(extremes)}, each in {CASES:.0%} of cases.".replace("%", " %")
    source: Literal["expected", "unknown"] = "unknown" if extremes is None else "expected"
    words = (*(excess.words for excess in excesses), expected)
    return Headline(excesses[0].source if excesses else source, words)


def range_words(extremes: Extremes) -> str:
    """Bounds at the worst and the best place, as part of a sentence."""
    return (
        f"below {extremes.worst_mm:.1f} mm at the worst place {extremes.region.words}, below {extremes.best_mm:.1f} mm "
        "at the best"
    )
