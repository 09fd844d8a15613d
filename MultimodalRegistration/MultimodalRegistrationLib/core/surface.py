r"""Triangulated surfaces and sets of points: samples of them, and their nearest point to others.

Triangles are grouped by size, each group with a k-d tree of its centroids. With :math:`r` the largest distance of a
corner from its centroid in the group, no triangle whose centroid is further than :math:`d + r` from a point can be
nearer than :math:`d`. The triangles of the nearest centroids give :math:`d`; where they are not all that lie within
the bound, the rest is looked at too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from .errors import InputError
from .linear import apply_matrix

_FIRST = 8
_FIRST_ROUGH = 4
_AT_ONCE = 50_000
_FEWEST_VERTICES = 10


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


def nearest_on_triangles(points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest point of one triangle each.

    Parameters
    ----------
    points : array, shape (N, 3)
        Points in mm.
    corners : array, shape (N, 3, 3)
        The triangle that belongs to each point, corner by corner; also degenerate ones.

    Returns
    -------
    array, shape (N, 3)
        Points of the triangles.
    """
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    ap = points - a
    d00, d01, d11 = (np.einsum("ij,ij->i", u, v) for u, v in ((ab, ab), (ab, ac), (ac, ac)))
    d20, d21 = np.einsum("ij,ij->i", ap, ab), np.einsum("ij,ij->i", ap, ac)
    area = d00 * d11 - d01 * d01
    flat = area <= 1e-14 * d00 * d11
    safe = np.where(flat, 1.0, area)
    v, w = (d11 * d20 - d01 * d21) / safe, (d00 * d21 - d01 * d20) / safe
    inside = ~flat & (v >= 0) & (w >= 0) & (v + w <= 1)
    result = np.asarray(a + v[:, None] * ab + w[:, None] * ac)
    outside = np.flatnonzero(~inside)
    if len(outside):
        result[outside] = _nearest_on_edges(points[outside], corners[outside])
    return result


def _nearest_on_edges(points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    along = np.roll(corners, -1, axis=1) - corners
    squared = np.einsum("ijk,ijk->ij", along, along)
    share = np.einsum("ijk,ijk->ij", points[:, None] - corners, along) / np.where(squared > 0, squared, 1.0)
    on_edges = corners + np.clip(share, 0.0, 1.0)[..., None] * along
    best = np.linalg.norm(points[:, None] - on_edges, axis=2).argmin(axis=1)
    return np.asarray(on_edges[np.arange(len(points)), best])


class TriangleIndex:
    """Finds the nearest of many triangles.

    Parameters
    ----------
    corners : array, shape (M, 3, 3)
        Triangles, corner by corner, mm.
    """

    def __init__(self, corners: NDArray[np.float64]) -> None:
        self._corners = corners
        self._centroids = corners.mean(axis=1)
        self._radii = np.linalg.norm(corners - self._centroids[:, None], axis=2).max(axis=1)
        # Slivers are not worth a tree of their own: one bound serves them and the typical triangle.
        size = np.floor(np.log2(np.maximum(self._radii / max(float(np.median(self._radii)), 1e-12), 1.0)) / 2)
        self._groups = []
        for one in np.unique(size):
            members = np.flatnonzero(size == one)
            self._groups.append((members, cKDTree(self._centroids[members]), float(self._radii[members].max())))

    def nearest(
        self, points: NDArray[np.float64], *, exact: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Find the nearest point of all triangles.

        Parameters
        ----------
        points : array, shape (N, 3)
            Points in mm.
        exact : bool
            Or look at the triangles with the nearest centroids only: at most the radius of a triangle further away, and
            many times faster for points far from the surface.

        Returns
        -------
        nearest : array, shape (N, 3)
            Points of the triangles.
        triangles : array, shape (N,)
            The triangle of each.
        """
        best = _Best(points, self._corners)
        for members, tree, radius in self._groups:
            count = min(_FIRST if exact else _FIRST_ROUGH, len(members))
            answer = tree.query(points, k=np.arange(1, count + 1))
            distances, found = np.asarray(answer[0]), members[np.asarray(answer[1])]
            for columns in (slice(0, 1), slice(1, count)):
                # The nearest centroid first: its triangle rules most of the others out.
                rows, column = np.nonzero(distances[:, columns] <= best.distances[:, None] + radius)
                best.offer(rows, found[:, columns][rows, column])
            if not exact or count == len(members):
                continue
            unsure = np.flatnonzero(distances[:, -1] <= best.distances + radius)
            for some in np.array_split(unsure, max(1, len(unsure) // 500)):
                # A tiny margin: the tree and this file round differently.
                reach = (best.distances[some] + radius) * (1 + 1e-12)
                candidates = tree.query_ball_point(points[some], reach)
                rows = np.repeat(some, [len(c) for c in candidates])
                if len(rows):
                    self._offer_many(best, rows, members[np.concatenate(candidates).astype(np.intp)])
        return best.nearest, best.triangles

    def _offer_many(self, best: _Best, rows: NDArray[np.intp], triangles: NDArray[np.intp]) -> None:
        """Try several triangles for each point, leaving out those that are too far away by their own radius."""
        away = np.linalg.norm(best.points[rows] - self._centroids[triangles], axis=1)
        possible = away <= (best.distances[rows] + self._radii[triangles]) * (1 + 1e-12)
        rows, triangles = rows[possible], triangles[possible]
        for first in range(0, len(rows), _AT_ONCE):
            best.offer(rows[first : first + _AT_ONCE], triangles[first : first + _AT_ONCE])


class _Best:
    """The nearest points so far."""

    def __init__(self, points: NDArray[np.float64], corners: NDArray[np.float64]) -> None:
        self.points, self._corners = points, corners
        self.nearest = np.zeros_like(points)
        self.triangles = np.zeros(len(points), dtype=np.intp)
        self.distances = np.full(len(points), np.inf)

    def offer(self, rows: NDArray[np.intp], triangles: NDArray[np.intp]) -> None:
        """Try one triangle for each of the points ``rows``, which may occur several times."""
        on = nearest_on_triangles(self.points[rows], self._corners[triangles])
        distances = np.linalg.norm(self.points[rows] - on, axis=1)
        order = np.lexsort((distances, rows))
        nearest = order[np.diff(rows[order], prepend=-1) > 0]
        nearest = nearest[distances[nearest] < self.distances[rows[nearest]]]
        kept = rows[nearest]
        self.nearest[kept], self.triangles[kept] = on[nearest], triangles[nearest]
        self.distances[kept] = distances[nearest]


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
