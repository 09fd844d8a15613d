"""The nodes of a displacement grid, and which of them carry a structure.

A displacement grid is interpolated linearly. At the centre of a voxel it is rigid, to the last digit, if the nodes
around that centre move rigidly: where nodes and voxels coincide this is the node itself, elsewhere the eight corners of
the cell. These nodes carry the structure.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, translation_matrix

__all__ = ["carrying_nodes", "field_grid"]

# In cells; a node so close to a voxel carries it alone.
_COINCIDE = 1e-4
_HALVINGS = 40


def field_grid(grid: VolumeGrid, most_nodes: int) -> VolumeGrid:
    """Nodes over the whole box of a volume.

    Parameters
    ----------
    grid : VolumeGrid
        Of the volume.
    most_nodes : int
        How many there may be.

    Returns
    -------
    VolumeGrid
        As fine as the number allows: along each axis the voxels themselves and one more at both ends, or fewer nodes
        from border to border; the finest axes are coarsened first.
    """
    finest = min(grid.spacing_mm)
    low, high = finest, float(grid.extent_mm.max())
    if _count(grid, finest) <= most_nodes:
        high = finest
    else:
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if _count(grid, middle) <= most_nodes else (middle, high)
    return _nodes(grid, high)


def _axis(count: int, spacing_mm: float, wanted_mm: float) -> tuple[int, float, float]:
    """Number of nodes along an axis, index of the first one, and their distance in voxels."""
    if wanted_mm <= spacing_mm * (1 + 1e-9):
        return count + 2, -1.0, 1.0
    coarse = max(3, int(np.ceil(count * spacing_mm / wanted_mm - 1e-9)) + 1)
    return coarse, -0.5, count / (coarse - 1)


def _count(grid: VolumeGrid, wanted_mm: float) -> float:
    return float(np.prod([_axis(n, h, wanted_mm)[0] for n, h in zip(grid.size, grid.spacing_mm, strict=True)]))


def _nodes(grid: VolumeGrid, wanted_mm: float) -> VolumeGrid:
    axes = [_axis(n, h, wanted_mm) for n, h in zip(grid.size, grid.spacing_mm, strict=True)]
    first, step = np.array([axis[1] for axis in axes]), np.array([axis[2] for axis in axes])
    matrix = grid.ijk_to_lps @ translation_matrix(first) @ np.diag([*step, 1.0])
    return VolumeGrid.of_matrix((axes[0][0], axes[1][0], axes[2][0]), matrix)


def carrying_nodes(nodes: VolumeGrid, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the nodes that carry points.

    Parameters
    ----------
    nodes : VolumeGrid
        The nodes.
    points_lps : array, shape (N, 3)
        LPS, mm; those outside of the grid are left out.

    Returns
    -------
    array of bool, shape (K, J, I)
        True at nodes on whose displacement that of a point depends.
    """
    marked = np.zeros(nodes.size[::-1], dtype=bool)
    index = apply_matrix(np.linalg.inv(nodes.ijk_to_lps), points_lps)
    last = np.asarray(nodes.size) - 1
    index = index[np.all((index > -_COINCIDE) & (index < last + _COINCIDE), axis=1)]
    low = np.floor(index + _COINCIDE).astype(np.intp)
    between = index - low > _COINCIDE
    for corner in product((0, 1), repeat=3):
        i, j, k = np.minimum(low + np.asarray(corner) * between, last).T
        marked[k, j, i] = True
    return marked
