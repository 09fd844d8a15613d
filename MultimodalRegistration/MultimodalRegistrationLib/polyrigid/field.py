"""A displacement field on a grid: its nodes, the sampling of a smooth mapping at them, and whether it folds.

The field is interpolated linearly. At the centre of a voxel it is rigid, to the last digit, if the nodes around that
centre move rigidly: where nodes and voxels coincide this is the node itself, elsewhere the eight corners of the cell.

A mapping is computed at every fourth node along each axis. Where the second differences there say that linear
interpolation between them is good enough, the nodes between are interpolated; elsewhere every second node is computed,
and then every one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, translation_matrix
from ..transforms.derivatives import determinants, displacement_gradients

_STRIDES = (4, 2, 1)
# The error of linear interpolation is an eighth of the second difference.
_SECOND_DIFFERENCES = 8
_NODES_AT_ONCE = 500_000
_MIN_SHOWN_SHARE = 5e-5
# In cells; so close to a voxel, a node is the only one that it depends on.
_COINCIDE = 1e-4
_HALVINGS = 40

Axes = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def field_grid(grid: VolumeGrid, max_nodes: int) -> VolumeGrid:
    """Nodes over the whole box of a volume.

    Parameters
    ----------
    grid : VolumeGrid
        Of the volume.
    max_nodes : int
        How many there may be.

    Returns
    -------
    VolumeGrid
        As fine as the number allows: along each axis the voxels themselves and one more at both ends, or fewer nodes
        from border to border; the finest axes are coarsened first.
    """
    finest = min(grid.spacing_mm)
    low, high = finest, float(grid.extent_mm.max())
    if math.prod(_nodes(grid, finest).size) <= max_nodes:
        return _nodes(grid, finest)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if math.prod(_nodes(grid, middle).size) <= max_nodes else (middle, high)
    return _nodes(grid, high)


def _axis(count: int, spacing_mm: float, wanted_mm: float) -> tuple[int, float, float]:
    """Number of nodes along an axis, index of the first one, and their distance in voxels."""
    if wanted_mm <= spacing_mm * (1 + 1e-9):
        return count + 2, -1.0, 1.0
    coarse = max(3, int(np.ceil(count * spacing_mm / wanted_mm - 1e-9)) + 1)
    return coarse, -0.5, count / (coarse - 1)


def _nodes(grid: VolumeGrid, wanted_mm: float) -> VolumeGrid:
    axes = [_axis(n, h, wanted_mm) for n, h in zip(grid.size, grid.spacing_mm, strict=True)]
    first, step = np.array([axis[1] for axis in axes]), np.array([axis[2] for axis in axes])
    matrix = grid.ijk_to_lps @ translation_matrix(first) @ np.diag([*step, 1.0])
    return VolumeGrid.of_matrix((axes[0][0], axes[1][0], axes[2][0]), matrix)


def structure_nodes(nodes: VolumeGrid, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the nodes that have to move rigidly for points to do so.

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


def sample_displacements(
    displace: Mapping, nodes: VolumeGrid, tolerance_mm: float, *, on_fraction: Callable[[float], None]
) -> NDArray[np.float64]:
    """Sample a displacement.

    Parameters
    ----------
    displace : callable
        Displacements, shape (N, 3), of points, shape (N, 3), LPS, mm.
    nodes : VolumeGrid
        Where to.
    tolerance_mm : float
        Error of an interpolated displacement, as its second differences tell it.
    on_fraction : callable
        Called with the share that is done.

    Returns
    -------
    array, shape (K, J, I, 3)
        Displacements in mm.
    """
    axes: Axes | None = None
    found: NDArray[np.float64] = np.zeros((0, 0, 0, 3))
    for number, stride in enumerate(_STRIDES):
        finer = _axes(nodes, stride)
        if axes is None:
            shape = tuple(map(len, finer))
            field: NDArray[np.float64] = np.empty((*shape, 3))
            wanted: NDArray[np.bool_] = np.ones(shape, dtype=bool)
        else:
            field, wanted = _interpolated(found, axes, finer), _uncertain(found, axes, finer, tolerance_mm)
        index = np.argwhere(wanted)
        places = np.stack([along[column] for along, column in zip(finer, index.T, strict=True)], axis=-1)
        field[wanted] = displace(apply_matrix(nodes.ijk_to_lps, places[:, ::-1]))
        axes, found = finer, field
        on_fraction((number + 1) / len(_STRIDES))
    return found


def _axes(nodes: VolumeGrid, stride: int) -> Axes:
    """Indices of the nodes along K, J, I at a stride; the last one always."""
    k, j, i = (np.unique(np.append(np.arange(0, n, stride), n - 1)) for n in nodes.size[::-1])
    return k, j, i


def _interpolated(field: NDArray[np.float64], axes: Axes, finer: Axes) -> NDArray[np.float64]:
    for axis, (coarse, fine) in enumerate(zip(axes, finer, strict=True)):
        low = np.clip(np.searchsorted(coarse, fine, side="right") - 1, 0, len(coarse) - 2)
        share = (fine - coarse[low]) / (coarse[low + 1] - coarse[low])
        shape = [1] * field.ndim
        shape[axis] = len(fine)
        share = share.reshape(shape)
        field = (1 - share) * np.take(field, low, axis=axis) + share * np.take(field, low + 1, axis=axis)
    return field


def _uncertain(field: NDArray[np.float64], axes: Axes, finer: Axes, tolerance_mm: float) -> NDArray[np.bool_]:
    """New nodes near to coarse ones where the field is curved; nodes that were already there are none of them."""
    curved = np.zeros(field.shape[:3], dtype=bool)
    for axis in range(3):
        middle = np.moveaxis(curved, axis, 0)[1:-1]
        along = np.moveaxis(field, axis, 0)
        second = along[2:] - 2 * along[1:-1] + along[:-2]
        middle |= np.einsum("abcd,abcd->abc", second, second) > (_SECOND_DIFFERENCES * tolerance_mm) ** 2
    curved = ndimage.binary_dilation(curved, np.ones((3, 3, 3), dtype=bool))
    nearest = [
        np.minimum(np.searchsorted(coarse, fine), len(coarse) - 1) for coarse, fine in zip(axes, finer, strict=True)
    ]
    wanted = curved[np.ix_(*nearest)]
    wanted[np.ix_(*(np.searchsorted(fine, coarse) for coarse, fine in zip(axes, finer, strict=True)))] = False
    return np.asarray(wanted)


@dataclass(frozen=True, eq=False)
class FieldJacobian:
    """Jacobian determinants of a displacement field.

    Parameters
    ----------
    minimum, maximum : float
        At the nodes, of central differences.
    folded_share : float
        Share of the nodes in ``folded``: the one figure that is told of folds.
    cell_minimum : float
        Least one of the linear interpolation between the nodes: at the corners of its cells, of one-sided differences.
    folded_cell_share : float
        Share of these corners where it is not above zero.
    folded : array of bool, shape (K, J, I)
        Nodes where the determinant is not above zero, by either measure.
    """

    minimum: float
    maximum: float
    folded_share: float
    cell_minimum: float
    folded_cell_share: float
    folded: NDArray[np.bool_] = field(repr=False)


def share_text(share: float) -> str:
    """A share of folded space in percent; what is more than nothing never reads like nothing."""
    return "less than 0.01%" if 0 < share < _MIN_SHOWN_SHARE else f"{share:.2%}"


def field_jacobian(displacements_mm: NDArray[np.float64], nodes: VolumeGrid) -> FieldJacobian:
    """Measure a field slab by slab.

    Parameters
    ----------
    displacements_mm : array, shape (K, J, I, 3)
        LPS, mm; at least three nodes along each axis.
    nodes : VolumeGrid
        The grid.
    """
    count = len(displacements_mm)
    thick = max(3, _NODES_AT_ONCE // (nodes.size[0] * nodes.size[1]))
    least, most, least_cell, folded_corners = np.inf, -np.inf, np.inf, 0
    folded = np.zeros(displacements_mm.shape[:3], dtype=bool)
    for first in range(0, count, thick):
        # One plane more on both sides, so that all but the outermost differences are central.
        low, high = max(0, min(first - 1, count - 3)), min(count, max(first + thick + 1, 3))
        central = determinants(displacement_gradients(displacements_mm[low:high], nodes))
        central = central[first - low : first - low + thick]
        least, most = min(least, float(central.min())), max(most, float(central.max()))
        folded[first : first + thick] |= central <= 0
        for corner, place in _cell_corners(displacements_mm[first : first + thick + 1], nodes):
            least_cell = min(least_cell, float(corner.min(initial=np.inf)))
            folded_corners += int(np.count_nonzero(corner <= 0))
            folded[first : first + thick + 1][place] |= corner <= 0
    corners = 8 * np.prod(np.asarray(nodes.size) - 1)
    return FieldJacobian(least, most, float(np.mean(folded)), least_cell, folded_corners / float(corners), folded)


def _cell_corners(
    slab: NDArray[np.float64], nodes: VolumeGrid
) -> list[tuple[NDArray[np.float64], tuple[slice, slice, slice]]]:
    """Determinants at the eight corners of all cells, of the edges that meet there, and which nodes they are."""
    inverse = np.linalg.inv(nodes.ijk_to_lps[:3, :3])
    along_k, along_j, along_i = (np.diff(slab, axis=axis) for axis in range(3))
    k, j, i = (n - 1 for n in slab.shape[:3])
    found = []
    for a, b, c in product((0, 1), repeat=3):
        edges = [along_i[a : a + k, b : b + j], along_j[a : a + k, :, c : c + i], along_k[:, b : b + j, c : c + i]]
        place = (slice(a, a + k), slice(b, b + j), slice(c, c + i))
        found.append((determinants(np.stack(edges, axis=-1) @ inverse), place))
    return found
