r"""Errors at targets: independent pairs of points that no transform was fitted to.

The error at a target is where its moving point lands in the fixed volume minus where it belongs, in the fixed
volume's space, for any transform (Fitzpatrick, West and Maurer 1998, doi:10.1109/42.736021).

Confidence intervals are found by resampling the targets. With few and skewed errors the plain percentile interval is
too narrow: of 95 % intervals of a mean over ten targets it holds 89 % (measured on Maxwell, log-normal and gamma
distributed errors). The studentised interval holds 94 to 95 %:

.. math:: [\bar x - t^*_{0.975}\, s, \; \bar x - t^*_{0.025}\, s], \quad t^* = (\bar x^* - \bar x) / s^*

where :math:`s` is the standard error and :math:`^*` marks a resample (Efron and Tibshirani 1993, chapter 12,
doi:10.1201/9780429246593; Hall 1988, doi:10.1214/aos/1176350933).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.frames import flip_points_lps_ras
from ..core.points import Pairs
from ..core.spatial import SpatialTransform

LEVEL = 0.95
# With fewer values an interval promises more than it can hold.
MIN_VALUES = 5
# A resample of nearly equal values has next to no spread, and would stretch the interval of a few values with an
# outlier to absurd lengths. On 500 sets of 6, 10 and 20 skewed errors, intervals hold as often with this limit.
_MIN_SPREAD = 0.3
_RESAMPLES = 4000
_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
AXES = ("left-right", "back-front", "foot-head")


@dataclass(frozen=True)
class Tolerance:
    """An acceptable mean error.

    Parameters
    ----------
    name : str
        Where the number is from.
    mm : float
        In millimetres.
    """

    name: str
    mm: float


# Rigid registration of two modalities as practised after AAPM task group 132 (doi:10.1002/mp.12256).
TG_132 = Tolerance("TG-132", 1.3)


def own_tolerance(mm: float) -> Tolerance:
    """The user's own number, in mm.

    Raises
    ------
    InputError
        Not a positive number.
    """
    if not 0 < mm < np.inf:
        raise InputError("The tolerance", f"{mm} mm was given", "Give a number of mm above zero.")
    return Tolerance("your own", float(mm))


@dataclass(frozen=True)
class AxisErrors:
    """Errors along one axis of the patient.

    Parameters
    ----------
    axis : str
        One of :data:`AXES`.
    bias_mm, sd_mm, rms_mm : float
        Mean with its sign (to the right, to the front and upwards are positive), standard deviation, root mean square.
    """

    axis: str
    bias_mm: float
    sd_mm: float
    rms_mm: float


@dataclass(frozen=True)
class TargetErrors:
    """Errors of one transform at targets.

    Parameters
    ----------
    labels : tuple of str
        Of the targets, N of them.
    fixed_lps : array, shape (N, 3)
        Where they are in the fixed volume, LPS, mm.
    vectors_lps_mm : array, shape (N, 3)
        Where the moving points land minus where they belong.
    left_out : tuple of str
        Pairs that the transform was computed from.
    folded : tuple of str
        Targets at which the transform has no inverse; their error is taken in the moving volume.
    seed : int
        Of the resampling.
    """

    labels: tuple[str, ...]
    fixed_lps: NDArray[np.float64]
    vectors_lps_mm: NDArray[np.float64]
    left_out: tuple[str, ...]
    folded: tuple[str, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def errors_mm(self) -> NDArray[np.float64]:
        """Distances, shape (N,)."""
        return np.asarray(np.linalg.norm(self.vectors_lps_mm, axis=1))

    @property
    def mean_mm(self) -> float:
        """Mean distance."""
        return float(self.errors_mm.mean())

    @property
    def rms_mm(self) -> float:
        """Root mean square distance."""
        return float(np.sqrt(np.mean(np.square(self.errors_mm))))

    @property
    def median_mm(self) -> float:
        """Median distance."""
        return float(np.median(self.errors_mm))

    @property
    def p95_mm(self) -> float:
        """Distance that 95 % of the targets stay within (linear between targets)."""
        return float(np.quantile(self.errors_mm, 0.95))

    @property
    def max_mm(self) -> float:
        """Largest distance."""
        return float(self.errors_mm.max())

    @property
    def intervals_mm(self) -> dict[str, Interval | None]:
        """95 % confidence intervals.

        There is none for the largest error, nor for the 95th percentile, which so few targets do not bound.
        """
        errors = self.errors_mm
        mean = mean_interval(errors, seed=self.seed)
        return {
            "mean": None if mean is None else Interval(max(mean.low, 0.0), mean.high),
            "rms": rms_interval(errors, seed=self.seed),
            "median": median_interval(errors, seed=self.seed),
        }

    @property
    def axes(self) -> tuple[AxisErrors, ...]:
        """Errors along the axes of the patient."""
        return tuple(
            AxisErrors(
                axis,
                float(errors.mean()),
                float(errors.std(ddof=1)) if len(errors) > 1 else 0.0,
                float(np.sqrt(np.mean(errors**2))),
            )
            for axis, errors in zip(AXES, flip_points_lps_ras(self.vectors_lps_mm).T, strict=True)
        )

    def share_within(self, mm: float) -> float:
        """Share of the targets whose error is at most this much, 0 to 1."""
        return float(np.mean(self.errors_mm <= mm))


def target_errors(
    pairs: Pairs, transform: SpatialTransform, *, used: frozenset[int] = frozenset(), seed: int = 0
) -> TargetErrors | None:
    """Errors of a transform at targets.

    Parameters
    ----------
    pairs : Pairs
        The targets, world coordinates.
    transform : SpatialTransform
        From fixed to moving.
    used : frozenset of int, optional
        Pairs that the transform was computed from: they are left out.
    seed : int, optional
        Of the resampling for the intervals.

    Returns
    -------
    TargetErrors or None
        None when the transform was computed from all of them.

    Raises
    ------
    InputError
        A target at which the transform gives no finite point.
    """
    keep = [i for i in range(len(pairs)) if i not in used]
    if not keep:
        return None
    fixed, moving = pairs.fixed_lps[keep], pairs.moving_lps[keep]
    names = _different_names(pairs)
    labels = tuple(names[i] for i in keep)
    landed = transform.to_fixed(moving, fixed)
    folded = np.any(np.isnan(landed), axis=1)
    vectors = landed - fixed
    if folded.any():
        vectors[folded] = moving[folded] - transform.to_moving(fixed[folded])
    if not np.all(np.isfinite(vectors)):
        bad = labels[int(np.argmin(np.isfinite(vectors).all(axis=1)))]
        raise InputError(transform.name, f"it gives no finite point at the target {bad}", "Check the transform.")
    return TargetErrors(
        labels=labels,
        fixed_lps=fixed,
        vectors_lps_mm=vectors,
        left_out=tuple(names[i] for i in sorted(used)),
        folded=tuple(label for label, fold in zip(labels, folded.tolist(), strict=True) if fold),
        seed=seed,
    )


def _different_names(pairs: Pairs) -> list[str]:
    """The labels of the fixed points, or their numbers from 1; those that share a label are told apart."""
    names = [
        " ".join(pairs.fixed.landmarks[position].label.split()) or str(position + 1) for position in pairs.fixed_index
    ]
    counts = Counter(names)
    return [
        f"{name} (point {position + 1})" if counts[name] > 1 else name
        for name, position in zip(names, pairs.fixed_index, strict=True)
    ]


@dataclass(frozen=True)
class Interval:
    """Limits of a confidence interval at :data:`LEVEL`, in the unit of the values."""

    low: float
    high: float


def mean_interval(values: ArrayLike, *, seed: int) -> Interval | None:
    """Interval of the mean of values, shape (N,); None with fewer than :data:`MIN_VALUES`."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < MIN_VALUES:
        return None
    mean, error = float(x.mean()), float(_standard_error(x))
    drawn = _drawn(x, seed)
    if error == 0:
        return Interval(mean, mean)
    t = (drawn.mean(axis=-1) - mean) / np.maximum(_standard_error(drawn), _MIN_SPREAD * error)
    low, high = np.quantile(t, _TAILS)
    return Interval(mean - float(high) * error, mean - float(low) * error)


def rms_interval(values: ArrayLike, *, seed: int) -> Interval | None:
    """Interval of the root mean square of values, shape (N,), as :func:`mean_interval` of their squares."""
    squares = mean_interval(np.square(np.asarray(values, dtype=np.float64)), seed=seed)
    return None if squares is None else Interval(*(float(np.sqrt(max(v, 0.0))) for v in (squares.low, squares.high)))


def median_interval(values: ArrayLike, *, seed: int) -> Interval | None:
    """Interval of the median of values, shape (N,), by percentiles of the resamples; None with too few."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < MIN_VALUES:
        return None
    low, high = np.quantile(np.median(_drawn(x, seed), axis=-1), _TAILS)
    return Interval(float(low), float(high))


def _drawn(x: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return x[np.random.default_rng(seed).integers(0, len(x), (_RESAMPLES, len(x)))]


def _standard_error(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x.std(axis=-1, ddof=1) / np.sqrt(x.shape[-1]))
