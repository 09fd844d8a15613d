"""Reading of the two volumes of a run, reduced when the run would not fit into the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.volume import Volume
from ..io.box_mean import coarse_size
from ..io.large_volumes import default_memory_limit_bytes, finest_spacing_mm, read_downsampled, read_mask_downsampled
from ..io.volume_checks import check_pair, check_placement
from ..io.volumes import read_mask, read_volume
from ..io.voxel_source import VoxelSource, open_source
from ..preprocess.steps import AUTOMATIC, ROLES, Role, Steps
from .memory_need import needed_memory_bytes

__all__ = ["VolumePair", "read_pair"]

_REDUCED_VOXEL_BYTES = 4


@dataclass(frozen=True)
class VolumePair:
    """The volumes of a run as they fit into the memory.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; reduced ones cover the same box as the stored ones.
    fixed_mask, moving_mask : Volume or None
        Zeros and ones.
    warnings : tuple of str
        A sentence for each reduced volume.
    """

    fixed: Volume
    moving: Volume
    fixed_mask: Volume | None
    moving_mask: Volume | None
    warnings: tuple[str, ...]


def read_pair(
    fixed_path: str | Path,
    moving_path: str | Path,
    *,
    engine: str,
    fixed_mask_path: str | Path | None = None,
    moving_mask_path: str | Path | None = None,
    steps: Steps = AUTOMATIC,
    memory_limit_bytes: float | None = None,
    may_reduce: bool = True,
    on_warning: Callable[[str], None] | None = None,
) -> VolumePair:
    """Read two volumes and their masks, as fine as the memory for the run allows.

    Parameters
    ----------
    fixed_path, moving_path : str or Path
        Files or DICOM folders.
    engine : str
        What will register them.
    fixed_mask_path, moving_mask_path : str or Path, optional
        Label maps.
    steps : Steps
        What the run does to copies first, which takes memory too.
    memory_limit_bytes : float, optional
        Memory that reading and the run may take together, all processes; by default half of what is free.
    may_reduce : bool
        False when the moving volume is to be resampled in the end: that is done on the stored grid, or not at all.
    on_warning : callable, optional
        Called with each warning before the volume is read.

    Returns
    -------
    VolumePair
        As stored if the estimate for the run is within the limit. Otherwise both have voxels of at least one common
        size, the finest for which it is.

    Raises
    ------
    InputError
        A file cannot be read or registered; or the limit is too small, or too small for the volumes as stored when
        they must not be reduced.
    """
    limit = default_memory_limit_bytes() if memory_limit_bytes is None else memory_limit_bytes
    sources = open_source(fixed_path), open_source(moving_path)
    for source in sources:
        check_placement(source.grid, str(source.path))
    grids = [source.grid for source in sources]
    check_pair(grids[0], str(fixed_path), grids[1], str(moving_path))

    mask_roles: list[Role] = [
        role for role, path in zip(ROLES, (fixed_mask_path, moving_mask_path), strict=True) if path is not None
    ]

    def needed(coarse: list[VolumeGrid]) -> float:
        loaded = sum(_loaded_bytes(source, grid) for source, grid in zip(sources, coarse, strict=True))
        return loaded + needed_memory_bytes(engine, coarse[0], coarse[1], steps=steps, given_masks=mask_roles)

    spacing_mm = finest_spacing_mm(grids, needed, limit)
    sizes = [coarse_size(grid, spacing_mm) for grid in grids]
    if not may_reduce and sizes != [grid.size for grid in grids]:
        source = sources[sizes[0] == grids[0].size]
        raise InputError(
            source.path,
            f"with {_words(source.grid.size)} voxels the run and the resampled volume need about "
            f"{needed(grids) / 1e9:.1f} GB of memory, and {limit / 1e9:.1f} GB may be used",
            "Leave out --output-volume: the run then reduces the volumes, its transform holds for them as stored, "
            "and Slicer can resample with it. Or allow more memory with --memory-limit, or in a study with fewer "
            "--workers.",
        )
    volumes, masks, warnings = [], [], []
    for source, size, mask_path in zip(sources, sizes, (fixed_mask_path, moving_mask_path), strict=True):
        if size == source.grid.size:
            volumes.append(read_volume(source.path))
            masks.append(None if mask_path is None else read_mask(mask_path))
            continue
        warnings.append(
            f"{source.path} is registered with {_words(size)} instead of {_words(source.grid.size)} voxels: as stored, "
            f"the run would need about {needed(grids) / 1e9:.1f} GB of memory, and {limit / 1e9:.1f} GB may be used. "
            "The transform holds for the volume as stored."
        )
        if on_warning is not None:
            on_warning(warnings[-1])
        options = {"target_spacing_mm": spacing_mm, "memory_limit_bytes": limit}
        volumes.append(read_downsampled(source.path, **options))
        masks.append(None if mask_path is None else read_mask_downsampled(mask_path, **options))
    return VolumePair(volumes[0], volumes[1], masks[0], masks[1], tuple(warnings))


def _loaded_bytes(source: VoxelSource, grid: VolumeGrid) -> int:
    if grid.size == source.grid.size:
        return source.whole_bytes
    i, j, k = grid.size
    return i * j * k * _REDUCED_VOXEL_BYTES


def _words(size: tuple[int, int, int]) -> str:
    return " x ".join(map(str, size))
