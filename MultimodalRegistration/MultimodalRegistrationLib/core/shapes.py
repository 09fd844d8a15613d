"""What registration by shape asks of a surface or a set of points: samples, and the nearest point with its normal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from .errors import InputError

__all__ = ["Nearest", "PointSet", "Samples", "Shape"]


class Samples(NamedTuple):
    """Points of a shape.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        LPS, mm.
    normals_lps : array, shape (N, 3), or None
        Unit normals; None where the shape has none.
    """

    points_lps: NDArray[np.float64]
    normals_lps: NDArray[np.float64] | None


class Nearest(NamedTuple):
    """The points of a shape that are nearest to given ones.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        LPS, mm.
    normals_lps : array, shape (N, 3), or None
        Unit normals there.
    distances_mm : array, shape (N,)
        How far away they are.
    """

    points_lps: NDArray[np.float64]
    normals_lps: NDArray[np.float64] | None
    distances_mm: NDArray[np.float64]


class Shape(Protocol):
    """A surface or a set of points."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def samples(self, count: int, *, seed: int) -> Samples:
        """Draw at most ``count`` points of it, evenly and in random order."""

    def nearest(self, points_lps: ArrayLike, *, exact: bool = True) -> Nearest:
        """Find its nearest point, or one about as near, to each of ``points_lps``, shape (N, 3), LPS, mm."""


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points of a shape, with or without normals: landmarks, or a dense sample that stands for a surface.

    Parameters
    ----------
    name : str
        What messages call it.
    points_lps : array, shape (N, 3)
        LPS, mm.
    normals_lps : array, shape (N, 3), optional
        Unit normals.

    Raises
    ------
    InputError
        Not a list of points in space, or coordinates that are not finite.
    """

    name: str
    points_lps: NDArray[np.float64]
    normals_lps: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.points_lps.ndim != 2 or self.points_lps.shape[1] != 3:
            raise InputError(
                self.name, f"an array of shape {self.points_lps.shape}", "Give points as rows of three coordinates."
            )
        bad = np.flatnonzero(~np.isfinite(self.points_lps).all(axis=1))
        if len(bad):
            raise InputError(
                self.name,
                f"{len(bad)} of {len(self.points_lps)} points have coordinates that are not finite, first number "
                f"{bad[0] + 1}",
                "Leave out points that were not placed.",
            )

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points_lps)

    def samples(self, count: int, *, seed: int) -> Samples:
        """Draw at most ``count`` of the points, in random order."""
        chosen = np.random.default_rng(seed).permutation(len(self.points_lps))[:count]
        normals = None if self.normals_lps is None else self.normals_lps[chosen]
        return Samples(self.points_lps[chosen], normals)

    def nearest(self, points_lps: ArrayLike, *, exact: bool = True) -> Nearest:
        """Find the nearest of the points to each of ``points_lps``, shape (N, 3), LPS, mm; always exact."""
        distances, index = self._tree.query(np.asarray(points_lps, dtype=np.float64))
        normals = None if self.normals_lps is None else self.normals_lps[index]
        return Nearest(self.points_lps[index], normals, np.asarray(distances))
