"""Errors of a landmark registration, kept apart by what they say.

The error at the landmarks that made the fit (FRE) says how well the model bends to them, not how good the registration
is (Fitzpatrick 2009, doi:10.1117/12.813601). The leave-one-out error is the error at each landmark of a fit without it.
The error at targets, which no fit saw, is the one that counts (TRE). All are distances at the fixed points, in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RegistrationError
from .models import Confidence, Fit, ModelName, fit_model, is_determined

__all__ = ["PointErrors", "errors_at", "leave_one_out", "left_out_both_ways"]


@dataclass(frozen=True)
class PointErrors:
    """Distances in mm, point by point.

    Parameters
    ----------
    per_point_mm : tuple of float
        In the order of the pairs.
    """

    per_point_mm: tuple[float, ...]

    @property
    def rms_mm(self) -> float:
        """Root of the mean square."""
        return float(np.sqrt(np.mean(np.square(self.per_point_mm))))

    @property
    def mean_mm(self) -> float:
        """Mean."""
        return float(np.mean(self.per_point_mm))

    @property
    def max_mm(self) -> float:
        """Largest."""
        return float(np.max(self.per_point_mm))


def errors_at(fit: Fit, moving_lps: NDArray[np.float64], fixed_lps: NDArray[np.float64]) -> PointErrors:
    """Distance of each moved moving point from its fixed partner.

    Parameters
    ----------
    fit : Fit
        The transform.
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs, LPS, mm: those of the fit for the fiducial error, independent ones for the target error.

    Returns
    -------
    PointErrors
        In mm, at the fixed points.
    """
    distances = np.linalg.norm(fit.to_fixed(moving_lps) - fixed_lps, axis=1)
    return PointErrors(tuple(distances.tolist()))


def leave_one_out(
    model: ModelName,
    moving_lps: NDArray[np.float64],
    fixed_lps: NDArray[np.float64],
    *,
    confidence: Confidence | None = None,
    stiffness_mm: float = 0.0,
    reflection: bool = False,
) -> PointErrors | None:
    """Error at each pair of the fit to all others.

    Parameters
    ----------
    model, moving_lps, fixed_lps, confidence, stiffness_mm, reflection
        As for :func:`MultimodalRegistrationLib.landmarks.models.fit_model`.

    Returns
    -------
    PointErrors or None
        None when the pairs that remain do not determine the model, for one pair or more.
    """
    errors: list[float] = []
    for number in range(len(moving_lps)):
        kept = np.arange(len(moving_lps)) != number
        if not is_determined(model, moving_lps[kept], fixed_lps[kept]):
            return None
        try:
            fit = fit_model(
                model,
                moving_lps[kept],
                fixed_lps[kept],
                confidence=None if confidence is None else confidence.of(kept),
                stiffness_mm=stiffness_mm,
                reflection=reflection,
            )
            errors += errors_at(fit, moving_lps[~kept], fixed_lps[~kept]).per_point_mm
        except RegistrationError:
            # Without this pair the model mirrors, flattens or folds: it is not one that these landmarks support.
            return None
    return PointErrors(tuple(errors))


def left_out_both_ways(
    model: ModelName,
    moving_lps: NDArray[np.float64],
    fixed_lps: NDArray[np.float64],
    there: PointErrors | None,
    *,
    confidence: Confidence | None = None,
    stiffness_mm: float = 0.0,
    reflection: bool = False,
) -> PointErrors | None:
    """Leave-one-out errors that are the same when fixed and moving change places, to compare models by.

    An affine fit and a spline are not the inverse of those in the other direction, and mm in two bodies of different
    size are not the same. So each pair is left out in both directions, each error is taken relative to the extent of
    the landmarks where it is measured, and their root mean square is multiplied by the mean extent.

    Parameters
    ----------
    model, moving_lps, fixed_lps, confidence, stiffness_mm, reflection
        As for :func:`leave_one_out`.
    there : PointErrors or None
        Its result for them.

    Returns
    -------
    PointErrors or None
        In mm, halfway in size between the two bodies; None when there is no error in one direction.
    """
    back = leave_one_out(
        model,
        fixed_lps,
        moving_lps,
        confidence=None if confidence is None else confidence.exchanged,
        stiffness_mm=stiffness_mm,
        reflection=reflection,
    )
    extents = [float(points.var(axis=0).sum()) for points in (fixed_lps, moving_lps)]
    if there is None or back is None or min(extents) == 0.0:
        return None
    relative = [np.square(one.per_point_mm) / extent for one, extent in zip((there, back), extents, strict=True)]
    mean_extent = np.sqrt(extents[0] * extents[1])
    return PointErrors(tuple(np.sqrt(mean_extent * (relative[0] + relative[1]) / 2.0).tolist()))
