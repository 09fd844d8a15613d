"""Downsampling of a volume that arrives slice by slice.

The coarse grid covers exactly the box of the fine one. Each axis is divided by its own factor, which need not be a
whole number. A coarse voxel is the mean of the fine voxels in the box that it covers. Where a border cuts through a
fine voxel, that one counts by the share inside, and the weights are tilted so that their centre of mass is the centre
of the coarse voxel. A linear ramp therefore stays one, exactly, and does not move.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.volume import Volume

__all__ = ["axis_weights", "box_mean", "coarse_copy", "coarse_grid", "coarse_size"]

Size = tuple[int, int, int]


def coarse_size(grid: VolumeGrid, spacing_mm: float) -> Size:
    """Number of voxels along I, J, K so that none is much finer than ``spacing_mm``; coarser axes stay as they are."""
    size = [
        min(n, max(1, round(n * min(1.0, fine / spacing_mm))))
        for n, fine in zip(grid.size, grid.spacing_mm, strict=True)
    ]
    return size[0], size[1], size[2]


def coarse_grid(grid: VolumeGrid, size: Size) -> VolumeGrid:
    """The grid of ``size`` voxels along I, J, K that covers the same box as ``grid``."""
    factors = np.asarray(grid.size) / np.asarray(size)
    matrix = grid.ijk_to_lps
    matrix[:3, 3] = apply_matrix(grid.ijk_to_lps, (factors - 1) / 2)
    matrix[:3, :3] *= factors
    return VolumeGrid.of_matrix(size, matrix)


def axis_weights(fine: int, coarse: int) -> scipy.sparse.csr_array:
    """Weights of the fine voxels of an axis in each coarse one.

    Parameters
    ----------
    fine, coarse : int
        Numbers of voxels along the axis; ``coarse`` is not larger.

    Returns
    -------
    sparse array, shape (coarse, fine), float32
        Rows sum to one, none is negative, and their centres of mass are the centres of the coarse voxels.
    """
    rows, columns, values = [], [], []
    for row in range(coarse):
        low, high = row * fine / coarse, (row + 1) * fine / coarse
        index = np.arange(int(low + 1e-9), min(fine, int(np.ceil(high - 1e-9))))
        share = np.minimum(index + 1, high) - np.maximum(index, low)
        offset = index + 0.5 - (low + high) / 2
        share /= share.sum()
        center = share @ offset
        # The tilt that brings the centre of mass to zero while the sum stays one.
        spread = share @ offset**2 - center**2
        if spread > 0:
            share *= 1 - center / spread * (offset - center)
        rows += [row] * len(index)
        columns += index.tolist()
        values += share.tolist()
    return scipy.sparse.csr_array((np.asarray(values, dtype=np.float32), (rows, columns)), shape=(coarse, fine))


def box_mean(slices: Iterable[NDArray[np.generic]], fine: Size, coarse: Size) -> NDArray[np.float32]:
    """Downsample a volume.

    Parameters
    ----------
    slices : iterable of array, shape (J, I)
        All slices of the volume along K, in order. Each is used at once, so that one array may serve for all.
    fine, coarse : tuple of 3 int
        Number of voxels along I, J, K, before and after.

    Returns
    -------
    array, shape (K, J, I), float32
        The coarse volume. Beyond it, memory for some four slices is used.
    """
    along_i, along_j, along_k = (axis_weights(n, m) for n, m in zip(fine, coarse, strict=True))
    result = np.empty(coarse[::-1], dtype=np.float32)
    by_slice = along_k.tocsc()
    last = np.asarray(along_k.indices)[along_k.indptr[1:] - 1]
    sums: dict[int, NDArray[np.float32]] = {}
    weighted = np.empty((fine[1], fine[0]), dtype=np.float32)
    for k, voxels in enumerate(slices):
        entries = slice(by_slice.indptr[k], by_slice.indptr[k + 1])
        for row, weight in zip(by_slice.indices[entries].tolist(), by_slice.data[entries], strict=True):
            np.multiply(voxels, weight, out=weighted, casting="unsafe", dtype=np.float32)
            if row in sums:
                sums[row] += weighted
            else:
                sums[row] = weighted.copy()
            if k == last[row]:
                narrow = along_j @ sums.pop(row)
                result[row] = (along_i @ np.ascontiguousarray(narrow.T)).T
    return result


def coarse_copy(
    voxels: NDArray[Any], grid: VolumeGrid, spacing_mm: float, name: str, *, keep_whole: bool = False
) -> Volume:
    """Downsample a volume that is in the memory.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities; not changed.
    grid : VolumeGrid
        Where they lie.
    spacing_mm : float
        Axes that are coarser stay as they are.
    name : str
        Of the volume, for messages.
    keep_whole : bool
        Round the means of whole numbers: where these are constant, rounding errors would hide that.

    Returns
    -------
    Volume
        On the grid's own axes; means that are no finite number are replaced.
    """
    size = coarse_size(grid, spacing_mm)
    means = np.nan_to_num(box_mean(voxels, grid.size, size))
    if keep_whole and np.issubdtype(voxels.dtype, np.integer):
        means = np.rint(means)
    image = sitk.GetImageFromArray(means)
    coarse_grid(grid, size).place(image)
    return Volume(image, name)
