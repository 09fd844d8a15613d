"""Errors at pairs that a fit did not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.points import Pairs
from .accuracy import PointErrors, errors_at
from .error_bounds import ErrorBounds
from .findings import Finding
from .models import Fit, LinearFit

__all__ = ["Targets", "errors_at_targets"]

# Two points this close are one: files keep at least three digits.
_SAME_POINT_MM = 1e-2
_UNFITTED = LinearFit(np.eye(4))


@dataclass(frozen=True)
class Targets:
    """Errors at pairs that the fit did not see.

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


def errors_at_targets(
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
        before=errors_at(_UNFITTED, moving, fixed),
        after=errors_at(fit, moving, fixed),
        expected_rms_mm=() if bounds is None else tuple(bounds.typical_mm(fixed).tolist()),
    )
    return found, findings


def _independent(targets: Pairs, pairs: Pairs) -> tuple[Pairs, tuple[Finding, ...]]:
    """The targets that are not landmarks of the fit, and a finding that names the others."""
    same = np.zeros(len(targets), dtype=bool)
    for ours, theirs in ((targets.fixed_lps, pairs.fixed_lps), (targets.moving_lps, pairs.moving_lps)):
        same |= _distances(ours, theirs).min(axis=1) < _SAME_POINT_MM
    if not same.any():
        return targets, ()
    names = tuple(name for name, is_same in zip(targets.labels, same, strict=True) if is_same)
    if same.all():
        raise InputError(
            f"{targets.fixed.name} and {targets.moving.name}",
            "all targets are landmarks of the fit",
            "Give other points: errors at landmarks say nothing about the error elsewhere.",
        )
    kept = np.flatnonzero(~same)
    fewer = Pairs(
        targets.fixed,
        targets.moving,
        tuple(targets.fixed_index[i] for i in kept),
        tuple(targets.moving_index[i] for i in kept),
        targets.how,
        targets.notes,
    )
    message = f"The targets {', '.join(names)} are landmarks of the fit and were left out of the target error."
    return fewer, (Finding("target-is-landmark", "warning", names, message, "Give other points as targets."),)


def _distances(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(points[:, None] - others[None], axis=2))
