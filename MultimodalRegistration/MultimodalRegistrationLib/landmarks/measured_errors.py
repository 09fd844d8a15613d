"""Errors measured apart from the fit, at targets and at landmarks left out of it, against the expected ones.

The first thing said about a registration is the error to expect at the worst place, unless errors were measured that
are more than twice as large as the landmarks suggest: then those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.spatial.distance import cdist

from ..core.errors import InputError
from ..core.points import Pairs
from .accuracy import PointErrors, errors_at
from .error_bounds import CASES, ErrorBounds, Extremes, bounds_message
from .findings import Finding
from .models import UNFITTED, Fit

# Two points this close are one: files keep at least three digits.
_SAME_POINT_MM = 1e-2
_MANY_TIMES = 2.0
# Points agree to three digits of a millimetre at best: an error below is none.
_ROUNDING_MM = 1e-2


@dataclass(frozen=True)
class Targets:
    """Errors at independent pairs.

    Parameters
    ----------
    pairs : Pairs
        The targets.
    before, after : PointErrors
        Target registration error as the files or nodes place the volumes, and with the transform.
    expected_rms_mm : tuple of float
        To be measured if the landmarks are right about the error, target by target: that of the fit and that of placing
        the target; empty where it is not known.
    """

    pairs: Pairs
    before: PointErrors
    after: PointErrors
    expected_rms_mm: tuple[float, ...]


def target_errors(
    fit: Fit, bounds: ErrorBounds | None, targets: Pairs, pairs: Pairs
) -> tuple[Targets, tuple[Finding, ...]]:
    """Errors of a fit at targets; those that are landmarks of the fit are left out.

    Parameters
    ----------
    fit : Fit
        The transform.
    bounds : ErrorBounds or None
        What to expect of it.
    targets, pairs : Pairs
        Independent pairs, and those of the fit.

    Returns
    -------
    targets : Targets
        The errors.
    findings : tuple of Finding
        One that names the targets that were left out, or none.

    Raises
    ------
    InputError
        All targets are landmarks of the fit.
    """
    targets, findings = _independent(targets, pairs)
    moving, fixed = targets.moving_lps, targets.fixed_lps
    found = Targets(
        pairs=targets,
        before=errors_at(UNFITTED, moving, fixed),
        after=errors_at(fit, moving, fixed),
        expected_rms_mm=() if bounds is None else tuple(bounds.typical_mm(fixed).tolist()),
    )
    return found, findings


def _independent(targets: Pairs, pairs: Pairs) -> tuple[Pairs, tuple[Finding, ...]]:
    """The targets that are not landmarks of the fit, and a finding that names the others."""
    same = np.zeros(len(targets), dtype=bool)
    for ours, theirs in ((targets.fixed_lps, pairs.fixed_lps), (targets.moving_lps, pairs.moving_lps)):
        same |= cdist(ours, theirs).min(axis=1) < _SAME_POINT_MM
    if not same.any():
        return targets, ()
    names = tuple(name for name, is_same in zip(targets.labels, same, strict=True) if is_same)
    if same.all():
        raise InputError(
            f"{targets.fixed.name} and {targets.moving.name}",
            "all targets are landmarks of the fit",
            "Give other points: errors at landmarks say nothing about the error elsewhere.",
        )
    fewer = replace(
        targets,
        fixed_index=tuple(np.compress(~same, targets.fixed_index).tolist()),
        moving_index=tuple(np.compress(~same, targets.moving_index).tolist()),
    )
    message = f"The targets {', '.join(names)} are landmarks of the fit and were left out of the target error."
    return fewer, (Finding("target-is-landmark", "warning", names, message, "Give other points as targets."),)


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
    def is_clear(self) -> bool:
        """Whether they are that much larger, and by more than rounding."""
        return self.measured.rms_mm > max(_MANY_TIMES * self.expected_mm, _ROUNDING_MM)

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
    """Errors at targets, where they are more than twice what was expected there, or anywhere in the region."""
    if bounds is None or extremes is None:
        return None
    there = float(np.sqrt(np.mean(np.square(targets.expected_rms_mm))))
    found = Excess("targets", targets.after, targets.pairs.labels, min(there, extremes.worst_mm))
    return found if found.is_clear else None


def excess_left_out(bounds: ErrorBounds | None, left_out: PointErrors | None, names: tuple[str, ...]) -> Excess | None:
    """Leave-one-out errors, where they are more than twice what the localisation error explains."""
    if bounds is None or left_out is None or (bounds.expected.model == "tps" and not bounds.is_known):
        return None
    expected_mm = float(np.sqrt(np.trace(bounds.expected.left_out_covariances(), axis1=1, axis2=2).mean()))
    found = Excess("left-out", left_out, names, expected_mm)
    return found if found.is_clear else None


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
        expected = f"Expected error: {bounds_message(extremes)}, each in {CASES:.0%} of cases.".replace("%", " %")
    source: Literal["targets", "left-out", "expected", "unknown"] = "unknown" if extremes is None else "expected"
    words = (*(excess.words for excess in excesses), expected)
    return Headline(excesses[0].source if excesses else source, words)
