r"""Derivatives of a displacement in space, on a grid that may be oblique, anisotropic, flipped or sheared.

With the voxel-to-space matrix :math:`M` and its inverse :math:`A`, a displacement :math:`u` has
:math:`\partial u / \partial x = (\partial u / \partial i) A`, and second derivatives
:math:`A^T (\partial^2 u / \partial i^2) A`; derivatives along the indices are central differences, one-sided of second
order at the borders.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from ..core.grid import VolumeGrid


def displacement_gradients(displacements_mm: NDArray[np.float64], grid: VolumeGrid) -> NDArray[np.float64]:
    """First derivatives.

    Parameters
    ----------
    displacements_mm : array, shape (K, J, I, 3)
        At the voxel centres, LPS, mm; at least three along each axis.
    grid : VolumeGrid
        The voxels.

    Returns
    -------
    array, shape (K, J, I, 3, 3)
        Row: component of the displacement; column: direction of the derivative; LPS.
    """
    k, j, i = np.gradient(displacements_mm, axis=(0, 1, 2), edge_order=2)
    along_index = np.stack([i, j, k], axis=-1)
    return np.asarray(along_index.reshape(-1, 3) @ np.linalg.inv(grid.ijk_to_lps[:3, :3])).reshape(along_index.shape)


def determinants(gradients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Jacobian determinants of the mapping, shape (...), of gradients of its displacement, shape (..., 3, 3)."""
    g = np.moveaxis(gradients, (-2, -1), (0, 1))
    a, e, i = g[0, 0] + 1, g[1, 1] + 1, g[2, 2] + 1
    return np.asarray(
        a * (e * i - g[1, 2] * g[2, 1])
        - g[0, 1] * (g[1, 0] * i - g[1, 2] * g[2, 0])
        + g[0, 2] * (g[1, 0] * g[2, 1] - e * g[2, 0])
    )


def bending_density(displacements_mm: NDArray[np.float64], grid: VolumeGrid) -> NDArray[np.float64]:
    """Sum of the squares of all second derivatives.

    Parameters
    ----------
    displacements_mm : array, shape (K, J, I, 3)
        At the voxel centres, LPS, mm; at least three along each axis.
    grid : VolumeGrid
        The voxels.

    Returns
    -------
    array, shape (K, J, I)
        In 1/mm^2; outermost voxels repeat their neighbours.
    """
    inverse = np.linalg.inv(grid.ijk_to_lps[:3, :3])
    metric = inverse @ inverse.T
    u = np.moveaxis(displacements_mm, -1, 0)
    seconds = {pair: _second_difference(u, *pair) for pair in combinations_with_replacement(range(3), 2)}
    density = np.zeros(tuple(n - 2 for n in u.shape[1:]))
    # With H the second differences and G the metric, the squares of A^T H A sum up to the trace of G H G H.
    for (a, b), first in seconds.items():
        for (c, d), second in seconds.items():
            weight = sum(metric[q, r] * metric[s, p] for p, q in {(a, b), (b, a)} for r, s in {(c, d), (d, c)})
            if abs(weight) > 1e-12 * np.abs(metric).max() ** 2:
                density += weight * np.einsum("ckji,ckji->kji", first, second)
    return np.pad(density, 1, mode="edge")


def _second_difference(u: NDArray[np.float64], a: int, b: int) -> NDArray[np.float64]:
    """Second differences along the voxel axes a and b (0 is I) of an array, shape (3, K, J, I), without its border."""

    def moved(steps: dict[int, int]) -> NDArray[np.float64]:
        k, j, i = (
            slice(1 + steps.get(axis, 0), n - 1 + steps.get(axis, 0))
            for axis, n in zip((2, 1, 0), u.shape[1:], strict=True)
        )
        return u[:, k, j, i]

    if a == b:
        return np.asarray(moved({a: 1}) - 2 * moved({}) + moved({a: -1}))
    ahead = moved({a: 1, b: 1}) + moved({a: -1, b: -1})
    return np.asarray((ahead - moved({a: 1, b: -1}) - moved({a: -1, b: 1})) / 4)
