"""Whether a displacement field folds, over all of its nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..core.grid import VolumeGrid
from ..transforms.health.derivatives import determinants, displacement_gradients

__all__ = ["FieldJacobian", "field_jacobian", "share_words"]

_NODES_AT_ONCE = 500_000
_LEAST_TOLD = 5e-5


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


def share_words(share: float) -> str:
    """A share of folded space in percent; what is more than nothing never reads like nothing."""
    return "less than 0.01%" if 0 < share < _LEAST_TOLD else f"{share:.2%}"


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
