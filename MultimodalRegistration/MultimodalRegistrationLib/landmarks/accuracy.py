"""Errors of a landmark registration, kept apart by what they say.

The error at the landmarks that made the fit (FRE) says how well the model fits them, not how good the registration
is (Fitzpatrick 2009, doi:10.1117/12.813601). The leave-one-out error is the error at each landmark of a fit without it.
The error at independent targets is the one that counts (TRE). All are distances at the fixed points, in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RegistrationError
from .models import MODELS, Fit, FitOptions, ModelName, fit_model, is_determined

if TYPE_CHECKING:
    from typing_extensions import Unpack

_FIRST = MODELS.index("rigid")
# Files keep three digits of a millimetre: points that agree better than that agree.
_ROUNDING_MM = 1e-3


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
    **options: Unpack[FitOptions],
) -> PointErrors | None:
    """Error at each pair of the fit to all others.

    Parameters
    ----------
    model, moving_lps, fixed_lps, options
        As for :func:`MultimodalRegistrationLib.landmarks.models.fit_model`.

    Returns
    -------
    PointErrors or None
        None when the pairs that remain do not determine the model, for one pair or more.
    """
    errors: list[float] = []
    confidence = options.get("confidence")
    for number in range(len(moving_lps)):
        kept = np.arange(len(moving_lps)) != number
        if not is_determined(model, moving_lps[kept], fixed_lps[kept]):
            return None
        if confidence is not None:
            options["confidence"] = confidence.of(kept)
        try:
            fit = fit_model(model, moving_lps[kept], fixed_lps[kept], **options)
            errors += errors_at(fit, moving_lps[~kept], fixed_lps[~kept]).per_point_mm
        except RegistrationError:
            # Without this pair the model mirrors, flattens or folds: it is not one that these landmarks support.
            return None
    return PointErrors(tuple(errors))


def leave_one_out_both_directions(
    model: ModelName,
    moving_lps: NDArray[np.float64],
    fixed_lps: NDArray[np.float64],
    there: PointErrors | None,
    **options: Unpack[FitOptions],
) -> PointErrors | None:
    """Leave-one-out errors that are the same when fixed and moving change places, to compare models by.

    An affine fit and a spline are not the inverse of those in the other direction, and mm in two bodies of different
    size are not the same. So each pair is left out in both directions, each error is taken relative to the extent of
    the landmarks where it is measured, and their root mean square is multiplied by the mean extent.

    Parameters
    ----------
    model, moving_lps, fixed_lps, options
        As for :func:`leave_one_out`.
    there : PointErrors or None
        Its result for them.

    Returns
    -------
    PointErrors or None
        In mm, halfway in size between the two bodies; None when there is no error in one direction.
    """
    confidence = options.get("confidence")
    if confidence is not None:
        options["confidence"] = confidence.exchanged
    back = leave_one_out(model, fixed_lps, moving_lps, **options)
    extents = [float(points.var(axis=0).sum()) for points in (fixed_lps, moving_lps)]
    if there is None or back is None or min(extents) == 0.0:
        return None
    relative = [np.square(one.per_point_mm) / extent for one, extent in zip((there, back), extents, strict=True)]
    mean_extent = np.sqrt(extents[0] * extents[1])
    return PointErrors(tuple(np.sqrt(mean_extent * (relative[0] + relative[1]) / 2.0).tolist()))


@dataclass(frozen=True)
class Recommendation:
    """A model and why.

    Parameters
    ----------
    model : str
        The recommended one.
    words : str
        One sentence.
    """

    model: ModelName
    words: str


def recommend(left_out: dict[ModelName, PointErrors | None]) -> Recommendation:
    """Recommend a model by the leave-one-out errors.

    The fiducial error always falls with a richer model, down to zero for a thin-plate spline, whether or not the
    registration improves. The leave-one-out error falls only while the richer model predicts better. Of all models, the
    simplest one is taken whose mean squared leave-one-out error is within one standard error of the best (the
    one-standard-error rule, Breiman, Friedman, Olshen and Stone 1984, section 3.4.3, doi:10.1201/9781315139470), where
    the standard error is that of the paired difference to the best model. The errors are those of both directions, so
    that the advice stays the same when fixed and moving change places.

    Parameters
    ----------
    left_out : dict
        Leave-one-out errors of each model in both directions (:func:`leave_one_out_both_directions`); None where the
        landmarks do not allow them.

    Returns
    -------
    Recommendation
        Rigid when nothing can be compared: bodies that keep their shape are the safe assumption.
    """
    known = {m: errors for m in MODELS[_FIRST:] if (errors := left_out.get(m)) is not None}
    if not known:
        return Recommendation(
            "rigid",
            "No model can be judged by leaving landmarks out: place at least four that are spread in space. Bodies "
            "that keep their shape are registered rigidly.",
        )
    best = min(known, key=lambda model: known[model].rms_mm)
    chosen = best
    for model in known:
        extra = np.square(known[model].per_point_mm) - np.square(known[best].per_point_mm)
        standard_error = extra.std(ddof=1) / np.sqrt(len(extra)) if len(extra) > 1 else 0.0
        rounding = known[model].rms_mm - known[best].rms_mm < _ROUNDING_MM
        if extra.mean() <= standard_error or rounding:
            chosen = model
            break
    figures = ", ".join(f"{model} {errors.rms_mm:.1f}" for model, errors in known.items())
    reason = "it predicts landmarks left out of the fit best"
    if len(known) == 1:
        reason = "these landmarks allow no comparison with a richer model"
    elif known[chosen].rms_mm < _ROUNDING_MM:
        reason = "it predicts landmarks left out of the fit exactly"
    elif chosen != best:
        reason = f"{best} predicts landmarks left out of the fit only as much better as chance may"
    return Recommendation(chosen, f"Use {chosen}: {reason} (leave-one-out RMS of both directions in mm: {figures}).")
