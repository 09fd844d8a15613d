r"""Confidence intervals of errors, by resampling the targets.

With few and skewed errors the plain percentile interval is too narrow: of 95 % intervals of a mean over ten targets it
holds 89 % (measured on Maxwell, log-normal and gamma distributed errors). The studentised interval holds 94 to 95 %:

.. math:: [\bar x - t^*_{0.975}\, s, \; \bar x - t^*_{0.025}\, s], \quad t^* = (\bar x^* - \bar x) / s^*

where :math:`s` is the standard error and :math:`^*` marks a resample (Efron and Tibshirani 1993, chapter 12,
doi:10.1201/9780429246593; Hall 1988, doi:10.1214/aos/1176350933).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FEWEST", "LEVEL", "Interval", "mean_interval", "median_interval", "rms_interval"]

LEVEL = 0.95
# With fewer values an interval promises more than it can hold.
FEWEST = 5
# A resample of nearly equal values has next to no spread, and would stretch the interval of a few values with an
# outlier to absurd lengths. On 500 sets of 6, 10 and 20 skewed errors, intervals hold as often with this limit.
_LEAST_SPREAD = 0.3
_RESAMPLES = 4000
_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


@dataclass(frozen=True)
class Interval:
    """Limits of a confidence interval at :data:`LEVEL`, in the unit of the values."""

    low: float
    high: float


def mean_interval(values: ArrayLike, *, seed: int) -> Interval | None:
    """Interval of the mean of values, shape (N,); None with fewer than :data:`FEWEST`."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < FEWEST:
        return None
    mean, error = float(x.mean()), float(_standard_error(x))
    drawn = _drawn(x, seed)
    if error == 0:
        return Interval(mean, mean)
    t = (drawn.mean(axis=-1) - mean) / np.maximum(_standard_error(drawn), _LEAST_SPREAD * error)
    low, high = np.quantile(t, _TAILS)
    return Interval(mean - float(high) * error, mean - float(low) * error)


def rms_interval(values: ArrayLike, *, seed: int) -> Interval | None:
    """Interval of the root mean square of values, shape (N,), as :func:`mean_interval` of their squares."""
    squares = mean_interval(np.square(np.asarray(values, dtype=np.float64)), seed=seed)
    return None if squares is None else Interval(*(float(np.sqrt(max(v, 0.0))) for v in (squares.low, squares.high)))


def median_interval(values: ArrayLike, *, seed: int) -> Interval | None:
    """Interval of the median of values, shape (N,), by percentiles of the resamples; None with too few."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < FEWEST:
        return None
    low, high = np.quantile(np.median(_drawn(x, seed), axis=-1), _TAILS)
    return Interval(float(low), float(high))


def _drawn(x: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return x[np.random.default_rng(seed).integers(0, len(x), (_RESAMPLES, len(x)))]


def _standard_error(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x.std(axis=-1, ddof=1) / np.sqrt(x.shape[-1]))
