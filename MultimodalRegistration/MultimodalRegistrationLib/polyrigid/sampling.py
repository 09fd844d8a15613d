"""A smooth mapping at all nodes of a fine grid, computed only where interpolation would not do.

The mapping is computed at every fourth node along each axis. Where the second differences there say that linear
interpolation between them is good enough, the nodes between are interpolated; elsewhere every second node is computed,
and then every one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix

__all__ = ["sample_displacements"]

_STRIDES = (4, 2, 1)
# The error of linear interpolation is an eighth of the second difference.
_SECOND_DIFFERENCES = 8
Axes = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]


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
    """New nodes near to coarse ones where the field bends; nodes that were already there are none of them."""
    bent = np.zeros(field.shape[:3], dtype=bool)
    for axis in range(3):
        middle = np.moveaxis(bent, axis, 0)[1:-1]
        along = np.moveaxis(field, axis, 0)
        second = along[2:] - 2 * along[1:-1] + along[:-2]
        middle |= np.einsum("abcd,abcd->abc", second, second) > (_SECOND_DIFFERENCES * tolerance_mm) ** 2
    bent = ndimage.binary_dilation(bent, np.ones((3, 3, 3), dtype=bool))
    nearest = [
        np.minimum(np.searchsorted(coarse, fine), len(coarse) - 1) for coarse, fine in zip(axes, finer, strict=True)
    ]
    wanted = bent[np.ix_(*nearest)]
    wanted[np.ix_(*(np.searchsorted(fine, coarse) for coarse, fine in zip(axes, finer, strict=True)))] = False
    return np.asarray(wanted)
