"""Marked voxels of a mask, found without a list of all of them in three coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["box_of_marked", "some_marked"]


def some_marked(mask: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Take about as many marked voxels as are wanted, at even strides.

    Parameters
    ----------
    mask : array, shape (K, J, I)
        Marked where it is not zero.
    count : int
        From so many to twice as many are taken; all, if there are fewer.

    Returns
    -------
    array, shape (N, 3)
        In I, J, K.
    """
    marked = np.flatnonzero(mask)
    chosen = marked[:: max(1, len(marked) // count)]
    return np.stack(np.unravel_index(chosen, mask.shape)[::-1], axis=1)


def box_of_marked(mask: NDArray[Any]) -> tuple[slice, slice, slice]:
    """The smallest box that holds all marked voxels.

    Parameters
    ----------
    mask : array, shape (K, J, I)
        Marked where it is not zero, at least in one voxel.

    Returns
    -------
    tuple of 3 slice
        Along K, J, I.
    """
    sides = []
    for axis in range(3):
        marked = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        sides.append(slice(int(marked[0]), int(marked[-1]) + 1))
    return sides[0], sides[1], sides[2]
