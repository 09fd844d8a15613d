r"""Bounds that the error of a landmark registration keeps at one place in 95 % of cases, and where it is worst.

The expected error of :mod:`.expected_error` is a root mean square for a known localisation error. Mostly that error is
itself estimated, from the misfit of a few pairs, and the misfit need not come from placing the points: two people, or
tissue that has moved, differ between the landmarks as much as at them. So with :math:`\Sigma(p)` the covariance of the
fitted point and :math:`s^2` the variance of the misfit on each axis, the error at :math:`p` is taken to have the
covariance :math:`\Lambda(p) = \Sigma(p) + s^2 I`, the misfit counting once for the fit and once for the place itself:
the prediction variance of regression. The bound is

.. math:: B^2(p) = \operatorname{tr}\Lambda\; F_{0.95}(h, \nu), \qquad
    h = (\operatorname{tr}\Lambda)^2 / \operatorname{tr}\Lambda^2,

with :math:`\nu = 3N - K` degrees of freedom of :math:`s^2`: with three pairs the bound is 2 to 3 times the root mean
square, with twenty 1.6 to 2 times (Satterthwaite 1946, doi:10.2307/3002019, for the sum of squares of unequal
variances). :math:`\Sigma` is that of Fitzpatrick, West and Maurer 1998 (doi:10.1109/42.736021); that the error at a
target is normal with this covariance is Fitzpatrick and West 2001 (doi:10.1109/42.952729). Where leave-one-out errors
are larger than :math:`\Lambda` explains, it is scaled up to them.

A localisation error that is stated is known: it enters :math:`\Sigma` with the quantile of chi-squared, and only the
misfit above it counts as :math:`s^2`.

Bodies differ smoothly: neighbours misfit alike, so N pairs inform less than N independent ones. With the correlation
:math:`\rho` of the misfit of neighbours, where it is more than chance, :math:`\Sigma` is divided and :math:`\nu`
multiplied by :math:`(1 - \rho) / (1 + \rho)`, the share of independent ones in a series of this correlation (Bayley and
Hammersley 1946, doi:10.2307/2983560).

Points within their noise of a line determine the rotation about it worse than first order says, because the noise that
spreads them passes for shape. The cosine of the angle has the likelihood :math:`\exp(\kappa\cos\theta)` (von Mises,
Mardia and Jupp 1999, doi:10.1002/9780470316979) with :math:`\kappa = 1/\sigma_\theta^2`. Noise, as much in either
volume, adds :math:`N` to the :math:`\kappa` that the fixed points seem to have, and makes one of up to
:math:`\sqrt{N \ln 10}` in 90 % of cases where the points have none (the length of a sum of N random vectors is Rayleigh
distributed); both are taken off. The same is done with the scales and shears of richer models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from scipy.stats import chi2, f

from .accuracy import PointErrors
from .confidence import Confidence
from .expected_error import ExpectedError, expected_error, localisation_error_from_fit
from .models import PARAMETERS, Fit, ModelName

CASES = 0.95
_REACH = 2.0
_DIRECTIONS = 400
# In standard errors: one set in twenty has a correlation of neighbours like this by chance.
_CHANCE = 1.645
# Few pairs show no more than that neighbours agree.
_MAX_CORRELATION = 0.5
# Of an angle that may be anything.
_MAX_VARIANCE = np.pi**2 / 3
# How many parameters, from the first, are angles, scales and shears.
_SHAPES = {"translation": 0, "rigid": 3, "similarity": 4, "affine": 9, "tps": 0}


@dataclass(frozen=True)
class Region:
    """Where the error matters.

    Parameters
    ----------
    points_lps : array, shape (M, 3)
        Places in it, LPS of the fixed volume, mm; its edge is among them.
    words : str
        What messages call it, with its preposition.
    """

    points_lps: NDArray[np.float64]
    words: str


def region_of_volume(points_lps: NDArray[np.float64], name: str | None = None) -> Region:
    """A volume, by places in it and its name."""
    return Region(points_lps, "in the reference volume" if name is None else f'in "{name}"')


def region_around(fixed_lps: NDArray[np.float64]) -> Region:
    """A ball around the middle of landmarks, shape (N, 3), twice as far as the farthest of them.

    For points on a line that reaches as far to its sides as the line is long.
    """
    if len(fixed_lps) == 1:
        return Region(fixed_lps, "at the point")
    center = fixed_lps.mean(axis=0)
    radius_mm = _REACH * float(np.linalg.norm(fixed_lps - center, axis=1).max())
    # Directions spread evenly over the sphere: the golden angle, at equal steps of height.
    height = 1.0 - (2.0 * np.arange(_DIRECTIONS) + 1.0) / _DIRECTIONS
    turn = np.pi * (1.0 + np.sqrt(5.0)) * np.arange(_DIRECTIONS)
    width = np.sqrt(1.0 - height**2)
    directions = np.stack([width * np.cos(turn), width * np.sin(turn), height], axis=1)
    words = f"within {radius_mm:.0f} mm of the middle of the points (twice as far as the farthest of them)"
    return Region(np.concatenate([center[None], fixed_lps, center + radius_mm * directions]), words)


@dataclass(frozen=True)
class Extremes:
    """Bounds at the worst and at the best place of a region, mm, and the places, LPS.

    ``placement_mm`` is the bound at the worst place if the misfit came from placing the points alone; None where that
    is not known.
    """

    region: Region
    worst_mm: float
    worst_lps: tuple[float, ...]
    best_mm: float
    best_lps: tuple[float, ...]
    placement_mm: float | None


def bounds_message(extremes: Extremes) -> str:
    """Bounds at the worst and the best place, as part of a sentence."""
    return (
        f"below {extremes.worst_mm:.1f} mm at the worst place {extremes.region.words}, below {extremes.best_mm:.1f} mm "
        "at the best"
    )


@dataclass(frozen=True)
class ErrorBounds:
    """What the error of a fit stays below in 95 % of cases, place by place.

    Parameters
    ----------
    expected : ExpectedError
        For the localisation error, or, where that is not known, for its estimate.
    misfit_ratio : float
        Mean squared misfit over what ``expected`` explains: of the residuals or the leave-one-out errors, whichever is
        larger. 0 where nothing shows it.
    freedom : int
        Degrees of freedom of the misfit.
    is_known : bool
        Whether the localisation error was stated rather than estimated from the misfit.
    independent_share : float
        How many independent pairs each pair counts for, by the correlation of the misfits of neighbours.
    """

    expected: ExpectedError
    misfit_ratio: float
    freedom: int
    is_known: bool
    independent_share: float = 1.0

    @property
    def point_variance_mm2(self) -> float:
        """Variance on each axis of the localisation error of a pair of mean weight, mm^2."""
        return float(1.0 / np.mean(3.0 / np.trace(self.expected.covariances, axis1=1, axis2=2)))

    def typical_mm(self, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """RMS of the error to measure at fixed points, shape (M, 3), as (M,), mm, if all misfit is localisation error.

        The points are placed as well as the landmarks.
        """
        # Of a spline, only the leave-one-out errors show the localisation error.
        scale = self.misfit_ratio if self.expected.model == "tps" and not self.is_known else 1.0
        covariances = self.expected.target_covariances(points_lps)
        return np.asarray(np.sqrt(scale * (_trace(covariances) + 3.0 * self.point_variance_mm2)))

    def bound_mm(self, points_lps: NDArray[np.float64], *, placement_only: bool = False) -> NDArray[np.float64]:
        """Bound at fixed points, shape (M, 3), LPS, mm, as (M,), mm.

        Parameters
        ----------
        points_lps : array, shape (M, 3)
            Places.
        placement_only : bool, optional
            Whether the misfit is taken to come from placing the points alone.
        """
        own, share = (0.0, 1.0) if placement_only else (self.point_variance_mm2, self.independent_share)
        found = self._bound(self._covariances(points_lps), own, share)
        if self.expected.model in ("rigid", "similarity"):
            # No rotation moves a point farther than to the other side of the center.
            center = self.expected.center_lps
            at_center = self._bound(self.expected.target_covariances(center[None]), own, share)
            found = np.minimum(found, 2.0 * np.linalg.norm(points_lps - center, axis=1) + at_center)
        return found

    def over(self, region: Region) -> Extremes:
        """Bounds at the worst and at the best place of a region."""
        values = self.bound_mm(region.points_lps)
        worst, best = int(np.argmax(values)), int(np.argmin(values))
        placement_mm = None
        if self.expected.model != "tps":
            placement_mm = float(self.bound_mm(region.points_lps, placement_only=True).max())
        places = [tuple(region.points_lps[number].tolist()) for number in (worst, best)]
        return Extremes(region, float(values[worst]), places[0], float(values[best]), places[1], placement_mm)

    def _bound(self, covariances: NDArray[np.float64], own: float, share: float) -> NDArray[np.float64]:
        squares = np.zeros(len(covariances))
        if self.is_known:
            shape = _shape(covariances)
            squares += _trace(covariances) * chi2.ppf(CASES, shape) / shape
        excess = max(0.0, self.misfit_ratio - 1.0) if self.is_known else self.misfit_ratio
        if excess > 0.0:
            predicted = excess * (covariances / share + own * np.eye(3))
            squares += _trace(predicted) * f.ppf(CASES, _shape(predicted), max(1.0, share * self.freedom))
        return np.asarray(np.sqrt(squares))

    def _covariances(self, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariances of the fitted points, with what noise may pass off as shape taken off."""
        covariances, count = self.expected.target_covariances(points_lps), _SHAPES[self.expected.model]
        scale = max(1.0, self.misfit_ratio) if self.is_known else self.misfit_ratio
        if count == 0 or scale == 0.0:
            return covariances
        values, vectors = np.linalg.eigh(scale * self.expected.parameter_covariance[:count, :count])
        values = np.maximum(values, np.finfo(float).tiny)
        pairs = len(self.expected.fixed_lps)
        concentration = 1.0 / values - pairs - np.sqrt(np.log(10.0) * pairs)
        widened = 1.0 / np.maximum(concentration, 1.0 / np.maximum(_MAX_VARIANCE, values))
        jacobian = self.expected.jacobian(points_lps)[:, :, :count]
        extra = (vectors * ((widened - values) / scale)) @ vectors.T
        return covariances + jacobian @ extra @ jacobian.swapaxes(1, 2)


def error_bounds(
    model: ModelName,
    fit: Fit,
    moving_lps: NDArray[np.float64],
    fixed_lps: NDArray[np.float64],
    left_out: PointErrors | None,
    *,
    localisation_error_mm: float | None = None,
    confidence: Confidence | None = None,
    stiffness_mm: float = 0.0,
) -> ErrorBounds | None:
    """Bounds for a fit.

    Parameters
    ----------
    model : str
        Model of the fit.
    fit : Fit
        The transform.
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs, LPS, mm.
    left_out : PointErrors or None
        Leave-one-out errors of the model.
    localisation_error_mm, confidence, stiffness_mm
        As for :func:`~MultimodalRegistrationLib.landmarks.expected_error.expected_error`. A stated localisation error
        of 0 leaves all misfit to other causes, as no statement does.

    Returns
    -------
    ErrorBounds or None
        None where neither a localisation error nor a misfit shows what to expect.
    """
    confidence = confidence or Confidence()
    is_known = confidence.is_absolute or bool(localisation_error_mm)
    if not is_known:
        estimate_mm = localisation_error_from_fit(model, fit, moving_lps, fixed_lps, confidence.weights)
        # Any size will do where there is no estimate: the leave-one-out errors scale it.
        localisation_error_mm = estimate_mm or 1.0
    expected = expected_error(
        model,
        fit,
        fixed_lps,
        localisation_error_mm=localisation_error_mm,
        confidence=confidence,
        stiffness_mm=stiffness_mm,
    )
    freedom = 3 * len(fixed_lps) - PARAMETERS["affine" if model == "tps" else model]
    ratios, share = [], 1.0
    if freedom > 0:
        if model != "tps":
            residuals = fit.to_fixed(moving_lps) - fixed_lps
            squares = np.einsum("ni,nij,nj->", residuals, np.linalg.inv(expected.covariances), residuals)
            ratios.append(float(squares) / freedom)
            share = _independent_share(fixed_lps, residuals)
        if left_out is not None:
            ratios.append(float(np.mean(np.square(left_out.per_point_mm) / _trace(expected.left_out_covariances()))))
    if not ratios and not is_known:
        return None
    return ErrorBounds(expected, max(ratios, default=0.0), max(freedom, 1), is_known, share)


def _independent_share(fixed_lps: NDArray[np.float64], residuals: NDArray[np.float64]) -> float:
    """How many independent pairs each pair counts for, from the correlation of nearest neighbours."""
    squares = float(np.square(residuals).sum())
    if squares == 0.0:
        return 1.0
    distances = squareform(pdist(fixed_lps))
    np.fill_diagonal(distances, np.inf)
    correlation = float((residuals * residuals[distances.argmin(axis=1)]).sum()) / squares
    if correlation < _CHANCE / np.sqrt(residuals.size):
        return 1.0
    correlation = min(correlation, _MAX_CORRELATION)
    return (1.0 - correlation) / (1.0 + correlation)


def _trace(covariances: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.trace(covariances, axis1=1, axis2=2))


def _shape(covariances: NDArray[np.float64]) -> NDArray[np.float64]:
    """In how many directions the variance is spread, 1 to 3."""
    squares = np.maximum(np.square(covariances).sum(axis=(1, 2)), np.finfo(float).tiny)
    return np.asarray(np.clip(_trace(covariances) ** 2 / squares, 1.0, 3.0))
