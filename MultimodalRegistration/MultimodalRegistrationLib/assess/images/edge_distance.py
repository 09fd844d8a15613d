"""How far the edges of one volume lie from those of the other.

Where both modalities show a surface, the distance of its two images is an error in mm, whatever the contrasts. Where
only one shows it, the distance is to some other edge and says nothing: even at the true pose the mean is some mm, and
the 95th percentile far more. Of the two directions, the one from the volume with fewer kinds of edges says more:
bones in CT are seen in MR, while fat and muscle in MR have no strong edge in CT beside bone and air. The median, and
the change from one transform to the other, say more than the mean. A wall of few voxels, such as the skull in coarse
scans, shows as one edge, at its outside in one modality and at its inside in the other; the distance then is lowest
at a pose that is off by up to the thickness of the wall. Edges slide along each other unseen, and far from the true
pose the nearest edge is seldom the right one, so that the distance is bounded by how dense the edges are. Half a
voxel of the working grid is the least that can be told.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .gradients import Edges

__all__ = ["edge_distances_mm"]

_MOST_POINTS = 10_000


def edge_distances_mm(
    edges: Edges, others: Edges, spacing_mm: NDArray[np.float64], marked: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Distances from the edges of one volume to the nearest ones of another on the same grid.

    An edge point stands for the piece of surface in its voxel: the part of a distance along that surface counts only
    beyond half a voxel.

    Parameters
    ----------
    edges : Edges
        Where distances are taken, at 10,000 of them at most.
    others : Edges
        Where they lead to, at least one.
    spacing_mm : array, shape (3,)
        Of the grid, along K, J, I.
    marked : array of bool, shape (K, J, I)
        Only edges in these voxels are asked, while the nearest ones may lie anywhere.

    Returns
    -------
    array, shape (N,)
        In mm.
    """
    asked = edges.within(marked).points_mm
    asked = asked[:: -(-len(asked) // _MOST_POINTS) or 1]
    _, nearest = KDTree(others.points_mm, balanced_tree=False, compact_nodes=False).query(asked)
    apart = asked - others.points_mm[nearest]
    across = np.sum(apart * others.normals[nearest], axis=1)
    sideways = np.abs(apart - across[:, None] * others.normals[nearest])
    beyond = np.maximum(sideways - spacing_mm / 2, 0.0)
    return np.asarray(np.sqrt(across**2 + np.sum(beyond**2, axis=1)))
