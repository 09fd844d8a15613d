"""Triangulated surfaces in world coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .linear import apply_matrix
from .shapes import Nearest, Samples
from .triangles import TriangleIndex

__all__ = ["Surface"]

_FEWEST_VERTICES = 10


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangulated surface, open or closed.

    Parameters
    ----------
    name : str
        File or node, for messages.
    vertices_lps : array, shape (N, 3)
        World coordinates, LPS, mm.
    triangles : array of int, shape (M, 3)
        Vertices of each triangle. Normals point to where they run counter-clockwise, outward in surfaces made here;
        registration works with either.

    Raises
    ------
    InputError
        Fewer than ten vertices, no triangle with an area, a vertex that is not finite or does not exist.
    """

    name: str
    vertices_lps: NDArray[np.float64]
    triangles: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.vertices_lps)
        if count == 0 or len(self.triangles) == 0:
            raise InputError(
                self.name,
                f"the surface is empty ({count} vertices, {len(self.triangles)} triangles)",
                "Give a surface of triangles; check that the right one was saved.",
            )
        if count < _FEWEST_VERTICES:
            raise InputError(
                self.name,
                f"the surface has only {count} vertices",
                f"A shape can be registered from {_FEWEST_VERTICES} vertices on; give a finer surface.",
            )
        bad = np.flatnonzero(~np.isfinite(self.vertices_lps).all(axis=1))
        if len(bad):
            raise InputError(
                self.name,
                f"{len(bad)} of {count} vertices have coordinates that are not finite, first number {bad[0] + 1}",
                "Repair the surface, or make it again from its segmentation.",
            )
        if self.triangles.min() < 0 or self.triangles.max() >= count:
            raise InputError(
                self.name,
                f"a triangle names vertex {self.triangles.max()} of {count}",
                "The file is damaged; save the surface again.",
            )
        if not self.area_mm2 > 0:
            raise InputError(self.name, "the surface has no area", "Check that the right surface was saved.")

    @cached_property
    def corners_lps(self) -> NDArray[np.float64]:
        """Corners of the triangles, shape (M, 3, 3), LPS, mm."""
        return np.asarray(self.vertices_lps[self.triangles])

    @cached_property
    def _area_vectors(self) -> NDArray[np.float64]:
        corners = self.corners_lps
        return np.asarray(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2)

    @cached_property
    def triangle_areas_mm2(self) -> NDArray[np.float64]:
        """Area of each triangle, shape (M,)."""
        return np.asarray(np.linalg.norm(self._area_vectors, axis=1))

    @cached_property
    def normals_lps(self) -> NDArray[np.float64]:
        """Unit normals of the triangles, shape (M, 3); zero where a triangle has no area."""
        areas = self.triangle_areas_mm2[:, None]
        return np.asarray(self._area_vectors / np.where(areas > 0, areas, 1.0))

    @cached_property
    def area_mm2(self) -> float:
        """Area of the whole surface."""
        return float(self.triangle_areas_mm2.sum())

    @cached_property
    def _index(self) -> TriangleIndex:
        return TriangleIndex(self.corners_lps)

    def samples(self, count: int, *, seed: int) -> Samples:
        """Draw points with normals, evenly over the area, in random order.

        Parameters
        ----------
        count : int
            Number of points. Each lies in its own equal share of the area.
        seed : int
            Of the random draw.

        Returns
        -------
        Samples
            Points of the surface, LPS, mm.
        """
        rng = np.random.default_rng(seed)
        position = (np.arange(count) + rng.random(count)) / count * self.area_mm2
        chosen = np.minimum(np.searchsorted(np.cumsum(self.triangle_areas_mm2), position), len(self.triangles) - 1)
        rng.shuffle(chosen)
        root, v = np.sqrt(rng.random(count)), rng.random(count)
        weights = np.stack([1 - root, root * (1 - v), root * v], axis=1)
        return Samples(np.einsum("ij,ijk->ik", weights, self.corners_lps[chosen]), self.normals_lps[chosen])

    def nearest(self, points_lps: ArrayLike, *, exact: bool = True) -> Nearest:
        """Find the nearest point of the surface to given ones.

        Parameters
        ----------
        points_lps : array, shape (N, 3)
            LPS, mm.
        exact : bool
            Or take a point that may be further away by up to the radius of a triangle, which is faster.

        Returns
        -------
        Nearest
            Points of the surface with the normals of their triangles.
        """
        points = np.asarray(points_lps, dtype=np.float64).reshape(-1, 3)
        found, triangles = self._index.nearest(points, exact=exact)
        return Nearest(found, self.normals_lps[triangles], np.linalg.norm(points - found, axis=1))

    def moved(self, matrix_lps: ArrayLike) -> Surface:
        """The surface moved by a linear transform, shape (4, 4), LPS; normals keep their side."""
        matrix = np.asarray(matrix_lps, dtype=np.float64)
        mirrored = np.linalg.det(matrix[:3, :3]) < 0
        triangles = self.triangles[:, ::-1] if mirrored else self.triangles
        return Surface(self.name, apply_matrix(matrix, self.vertices_lps), triangles)
