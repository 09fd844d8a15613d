"""Boxes in space, along any axes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .linear import apply_matrix

__all__ = ["OrientedBox"]


@dataclass(frozen=True)
class OrientedBox:
    """A box in world coordinates.

    Parameters
    ----------
    center_lps : array, shape (3,)
        Middle, LPS, mm.
    axes : array, shape (3, 3)
        Unit vectors along its edges, as columns, at right angles; left-handed ones are allowed.
    size_mm : array, shape (3,)
        Edge lengths along the axes.
    """

    center_lps: NDArray[np.float64]
    axes: NDArray[np.float64]
    size_mm: NDArray[np.float64]

    @classmethod
    def around(cls, points_lps: ArrayLike, axes: ArrayLike, margin_mm: float = 0.0) -> OrientedBox:
        """Smallest box along given axes, shape (3, 3), around points, shape (N, 3), LPS, mm, with a margin."""
        directions = np.asarray(axes, dtype=np.float64)
        along = np.asarray(points_lps, dtype=np.float64) @ directions
        low, high = along.min(axis=0) - margin_mm, along.max(axis=0) + margin_mm
        return cls(directions @ ((low + high) / 2), directions, high - low)

    @property
    def corners_lps(self) -> NDArray[np.float64]:
        """The eight corners, shape (8, 3), LPS, mm."""
        signs = np.array(list(product((-0.5, 0.5), repeat=3)))
        return np.asarray(self.center_lps + (signs * self.size_mm) @ self.axes.T)

    def contains(self, points_lps: ArrayLike) -> NDArray[np.bool_]:
        """Which points, shape (N, 3), LPS, mm, lie inside."""
        along = (np.asarray(points_lps, dtype=np.float64) - self.center_lps) @ self.axes
        return np.asarray((np.abs(along) <= self.size_mm / 2 + 1e-9).all(axis=1))

    def seen_from(self, matrix: ArrayLike, axes: ArrayLike) -> OrientedBox:
        """The box along other axes that holds this one after a linear transform, shape (4, 4)."""
        return OrientedBox.around(apply_matrix(matrix, self.corners_lps), axes)
