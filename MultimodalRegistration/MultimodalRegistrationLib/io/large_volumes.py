"""Reading of volumes that are too large for the memory: slice by slice, and downsampled on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.volume import Volume
from .box_mean import box_mean, coarse_grid, coarse_size
from .memory import available_memory_bytes
from .volume_checks import VoxelRange, check_label_map, check_placement
from .voxel_source import VoxelSource, open_source

__all__ = ["default_memory_limit_bytes", "finest_spacing_mm", "read_downsampled", "read_mask_downsampled"]

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
