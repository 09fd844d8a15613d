"""The nearest point of many triangles, exactly.

Triangles are grouped by size, each group with a k-d tree of its centroids. With :math:`r` the largest distance of a
corner from its centroid in the group, no triangle whose centroid is further than :math:`d + r` from a point can be
nearer than :math:`d`. The triangles of the nearest centroids give :math:`d`; where they are not all that lie within
the bound, the rest is looked at too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["TriangleIndex", "nearest_on_triangles"]

_FIRST = 8
_FIRST_ROUGH = 4
_AT_ONCE = 50_000


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
