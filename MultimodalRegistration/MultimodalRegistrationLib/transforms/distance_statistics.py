"""A set of distances in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DistanceStatistics"]


@dataclass(frozen=True)
class DistanceStatistics:
    """Distances in mm.

    Parameters
    ----------
    mean_mm, rms_mm, median_mm, p95_mm, max_mm : float
        Mean, root of the mean square, median, 95th percentile and largest.
    count : int
        How many there are.
    """

    mean_mm: float
    rms_mm: float
    median_mm: float
    p95_mm: float
    max_mm: float
    count: int

    @classmethod
    def of(cls, distances_mm: NDArray[np.floating]) -> DistanceStatistics:
        """Sum up distances, any shape, at least one."""
        d = np.asarray(distances_mm, dtype=np.float64).ravel()
        median, p95 = np.percentile(d, [50, 95])
        return cls(
            mean_mm=float(d.mean()),
            rms_mm=float(np.sqrt(np.mean(d**2))),
            median_mm=float(median),
            p95_mm=float(p95),
            max_mm=float(d.max()),
            count=d.size,
        )
