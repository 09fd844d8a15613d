"""Errors at targets: independent pairs of points that no transform was fitted to.

The error at a target is where its moving point lands in the fixed volume minus where it belongs, in the fixed
volume's space, for any transform (Fitzpatrick, West and Maurer 1998, doi:10.1109/42.736021).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.frames import flip_points_lps_ras
from ..core.points import Pairs
from ..core.spatial import SpatialTransform
from .bootstrap import Interval, mean_interval, median_interval, rms_interval

__all__ = ["AXES", "AxisErrors", "TargetErrors", "target_errors", "target_name"]

AXES = ("left-right", "back-front", "foot-head")


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
        ras = flip_points_lps_ras(self.vectors_lps_mm)
        return tuple(
            AxisErrors(
                axis,
                float(ras[:, i].mean()),
                float(ras[:, i].std(ddof=1)) if len(ras) > 1 else 0.0,
                float(np.sqrt(np.mean(ras[:, i] ** 2))),
            )
            for i, axis in enumerate(AXES)
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
    """How tables call the pairs; those that share a label, as a point may share its number, are told apart."""
    names = [target_name(pairs, i) for i in range(len(pairs))]
    counts = Counter(names)
    return [
        f"{name} (point {position + 1})" if counts[name] > 1 else name
        for name, position in zip(names, pairs.fixed_index, strict=True)
    ]


def target_name(pairs: Pairs, index: int) -> str:
    """How tables call a pair: the label of its fixed point, or its number from 1 where it has none."""
    position = pairs.fixed_index[index]
    return " ".join(pairs.fixed.landmarks[position].label.split()) or str(position + 1)
