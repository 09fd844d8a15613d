"""Downsampling of a volume that arrives slice by slice, also of one that is too large for the memory.

The coarse grid covers exactly the box of the fine one. Each axis is divided by its own factor, which need not be a
whole number. A coarse voxel is the mean of the fine voxels in the box that it covers. Where a border cuts through a
fine voxel, that one counts by the share inside, and the weights are tilted so that their centre of mass is the centre
of the coarse voxel. A linear ramp therefore stays one, exactly, and does not move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.machine import available_memory_bytes
from ..core.volume import Volume
from .volume_checks import VoxelRange, check_label_map, check_placement
from .voxel_source import VoxelSource, open_source

Size = tuple[int, int, int]
# The rest is for other programs, and for what an estimate misses.
_SHARE_OF_FREE_MEMORY = 0.5
# While reading: the coarse volume and its copy in an image, some fine slices as 32 and up to 64 bit, buffers.
_BYTES_PER_COARSE_VOXEL = 8
_BYTES_PER_SLICE_VOXEL = 32
_BUFFER_BYTES = 2_000_000
_FEWEST_VOXELS = 32
# What is kept of the stored voxels to look for labels.
_SAMPLED_SLICES = 16
_SAMPLED_VOXELS = 1_000_000


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


def default_memory_limit_bytes() -> float:
    """Half of the memory that is free, in bytes; infinite where the system does not tell."""
    free = available_memory_bytes()
    return np.inf if free is None else _SHARE_OF_FREE_MEMORY * free


def read_downsampled(
    path: str | Path, *, target_spacing_mm: float | None = None, memory_limit_bytes: float | None = None
) -> Volume:
    """Read a scalar volume coarser than it is stored, in bounded memory.

    Parameters
    ----------
    path : str or Path
        A file of a known type, or a folder holding one DICOM series.
    target_spacing_mm : float, optional
        Voxel size to reach along each axis that is finer, to within half a voxel over the whole axis; by default the
        finest for which reading fits into the limit.
    memory_limit_bytes : float, optional
        Bound on the memory used; by default half of what is free.

    Returns
    -------
    Volume
        32-bit float. Its grid covers the same box in world coordinates as the stored one, and each voxel is the mean
        of what it covers, so that a transform found with it holds for the stored volume.

    Raises
    ------
    InputError
        As for :func:`MultimodalRegistrationLib.io.volumes.read_volume`, with all checks on the stored voxels; or the
        limit is too small, or a file that cannot be read slice by slice is larger than it.
    """
    source = open_source(path)
    name = str(path)
    check_placement(source.grid, name)
    seen = _Checks(source)
    image = _downsample(source, seen.watch, target_spacing_mm, memory_limit_bytes)
    seen.finish(name)
    return Volume(image, name)


def read_mask_downsampled(
    path: str | Path, *, target_spacing_mm: float | None = None, memory_limit_bytes: float | None = None
) -> Volume:
    """Read a mask like :func:`read_downsampled`: voxels of which at least half are marked.

    Parameters
    ----------
    path, target_spacing_mm, memory_limit_bytes
        Likewise. A mask on the grid of its volume gets the same coarse grid for the same spacing.

    Returns
    -------
    Volume
        Unsigned 8-bit image of zeros and ones.

    Raises
    ------
    InputError
        The file cannot be read, or no voxel is left.
    """

    def marked(slices: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        return (voxels > 0 for voxels in slices)

    share = _downsample(open_source(path, what="a mask"), marked, target_spacing_mm, memory_limit_bytes)
    # Rounding of the weights must not decide about a voxel of which exactly half is marked.
    image = share > 0.5 - 1e-5
    if not np.any(sitk.GetArrayViewFromImage(image)):
        raise InputError(
            path,
            "the mask is empty, or too thin for the voxel size to which the volume is reduced",
            "Give a mask that marks the region to use, or leave the mask out.",
        )
    return Volume(image, str(path))


def finest_spacing_mm(
    grids: Sequence[VolumeGrid], needed_bytes: Callable[[list[VolumeGrid]], float], memory_limit_bytes: float
) -> float:
    """Voxel size to which volumes have to be reduced for what is to be done with them.

    Parameters
    ----------
    grids : sequence of VolumeGrid
        The volumes as stored.
    needed_bytes : callable
        Memory for volumes on the given grids.
    memory_limit_bytes : float
        What there is.

    Returns
    -------
    float
        In mm, rounded up to two digits; that of the finest axis where nothing has to be reduced.

    Raises
    ------
    InputError
        The limit cannot be met with volumes that still show anything.
    """

    def fits(spacing_mm: float) -> bool:
        coarse = [coarse_grid(grid, coarse_size(grid, spacing_mm)) for grid in grids]
        return needed_bytes(coarse) <= memory_limit_bytes

    finest = min(min(grid.spacing_mm) for grid in grids)
    if fits(finest):
        return finest
    low, high = finest, max(float(grid.extent_mm.max()) for grid in grids) / _FEWEST_VOXELS
    if high <= low or not fits(high):
        raise InputError(
            "The memory",
            f"{memory_limit_bytes / 1e9:.2f} GB may be used, which is too little even for volumes of "
            f"{_FEWEST_VOXELS} voxels along the longest axis",
            "Close other programs, or allow more memory.",
        )
    while high / low > 1.001:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if fits(middle) else (middle, high)
    step = 10.0 ** (np.floor(np.log10(high)) - 1)
    return float(np.ceil(high / step - 1e-9) * step)


def _downsample(
    source: VoxelSource,
    watch: Callable[[Iterator[NDArray[Any]]], Iterator[NDArray[Any]]],
    target_spacing_mm: float | None,
    memory_limit_bytes: float | None,
) -> sitk.Image:
    limit = default_memory_limit_bytes() if memory_limit_bytes is None else memory_limit_bytes
    if target_spacing_mm is None:
        target_spacing_mm = finest_spacing_mm([source.grid], lambda grids: _reading_bytes(source, grids[0]), limit)
    grid = coarse_grid(source.grid, coarse_size(source.grid, target_spacing_mm))
    needed = _reading_bytes(source, grid)
    if needed > limit:
        raise InputError(
            source.path,
            f"reading it at {target_spacing_mm:g} mm takes {needed / 1e9:.2f} GB of memory and "
            f"{limit / 1e9:.2f} GB may be used",
            "Read it coarser, close other programs, or allow more memory.",
        )
    slices = watch(source.slices(limit - needed))
    image = sitk.GetImageFromArray(box_mean(slices, source.grid.size, grid.size))
    grid.place(image)
    return image


def _reading_bytes(source: VoxelSource, coarse: VolumeGrid) -> float:
    in_slice = source.grid.size[0] * source.grid.size[1]
    slices = _BYTES_PER_SLICE_VOXEL * in_slice + 2 * source.voxel_bytes * _SAMPLED_VOXELS
    return _BYTES_PER_COARSE_VOXEL * float(np.prod(coarse.size)) + slices + _BUFFER_BYTES


class _Checks:
    """What is checked of the stored voxels as they pass: averages would hide a label map or an empty volume."""

    def __init__(self, source: VoxelSource) -> None:
        i, j, k = source.grid.size
        self._range = VoxelRange()
        self._metadata = source.metadata
        self._every_slice = -(-k // _SAMPLED_SLICES)
        self._every_row = -(-_SAMPLED_SLICES * i * j // _SAMPLED_VOXELS)
        self._sample: list[NDArray[Any]] = []

    def watch(self, slices: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        for k, voxels in enumerate(slices):
            self._range.add(voxels)
            if k % self._every_slice == 0:
                # In native byte order, as SimpleITK needs it.
                rows = voxels[:: self._every_row]
                self._sample.append(rows.astype(rows.dtype.newbyteorder("="), copy=True))
            yield voxels

    def finish(self, name: str) -> None:
        self._range.check(name)
        sample = sitk.GetImageFromArray(np.stack(self._sample))
        for key in self._metadata:
            sample.SetMetaData(key, "")
        check_label_map(sample, name)
