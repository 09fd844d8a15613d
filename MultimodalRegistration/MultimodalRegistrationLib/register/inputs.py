"""What the files of a request hold, reduced where the run would not fit into the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.points import Pairs
from ..core.volume import Volume
from ..io.downsample import (
    coarse_size,
    default_memory_limit_bytes,
    finest_spacing_mm,
    read_downsampled,
    read_mask_downsampled,
)
from ..io.markups import read_roi
from ..io.transforms import read_linear_transform
from ..io.volume_checks import check_pair, check_placement
from ..io.volumes import read_mask, read_volume
from ..io.voxel_source import VoxelSource, open_source
from ..preprocess.steps import ROLES, Role, find_steps
from .masks import Masks
from .memory_need import needed_memory_bytes
from .request import RegisterRequest, Stage

_REDUCED_VOXEL_BYTES = 4


@dataclass(frozen=True, eq=False)
class Inputs:
    """The data of a registration, in world coordinates; nothing of it is changed.

    Parameters
    ----------
    fixed, moving : Volume
        The volumes; reduced ones cover the same box as the stored ones.
    masks : Masks
        Of the whole run, on any grid.
    later_masks : tuple of Masks
        Of each later stage; those of the whole run where it has none of its own. Missing ones are empty.
    initial_fixed_to_moving_lps : array, shape (4, 4), or None
        Initial transform, in the resampling direction, LPS, mm: the start itself, or what a search goes around.
    initial_name : str
        What messages call it: its file or node.
    landmarks : Pairs or None
        Their rigid fit is the initial transform. They bound the run, unless the request does, by four times the error
        to expect of them, at least 20 mm and 15 degrees.
    """

    fixed: Volume
    moving: Volume
    masks: Masks = field(default_factory=Masks)
    later_masks: tuple[Masks, ...] = ()
    initial_fixed_to_moving_lps: NDArray[np.float64] | None = None
    initial_name: str = "given"
    landmarks: Pairs | None = None


def read_inputs(
    request: RegisterRequest,
    engine: str,
    *,
    memory_limit_gib: float | None = None,
    may_reduce: bool = True,
    on_warning: Callable[[str], None] = lambda message: None,
) -> Inputs:
    """Read what a request names, as fine as the memory for the run allows.

    Parameters
    ----------
    request : RegisterRequest
        With the files.
    engine : str
        What will register them.
    memory_limit_gib : float, optional
        Memory that reading and the run may take together, all processes; by default half of what is free.
    may_reduce : bool
        False when the moving volume is to be resampled in the end: that is done on the stored grid, or not at all.
    on_warning : callable, optional
        Told of each reduced volume before it is read.

    Returns
    -------
    Inputs
        Volumes as stored if the estimate for the run is within the limit. Otherwise both have voxels of at least one
        common size, the finest for which it is.

    Raises
    ------
    InputError
        A file cannot be read or registered; or the limit is too small, or too small for the volumes as stored when
        they must not be reduced.
    """
    limit = default_memory_limit_bytes() if memory_limit_gib is None else memory_limit_gib * 2**30
    sources = open_source(request.fixed), open_source(request.moving)
    for source in sources:
        check_placement(source.grid, str(source.path))
    check_pair(sources[0].grid, str(request.fixed), sources[1].grid, str(request.moving))
    spacing_mm, needed = _spacing_that_fits(sources, request, engine, limit)
    sizes = [coarse_size(source.grid, spacing_mm) for source in sources]
    volumes: list[Volume] = []
    masks: list[Volume | None] = []
    for source, size, mask_path in zip(sources, sizes, (request.fixed_mask, request.moving_mask), strict=True):
        if size == source.grid.size:
            volumes.append(read_volume(source.path))
            masks.append(None if mask_path is None else read_mask(mask_path))
            continue
        memory = f"about {needed / 1e9:.1f} GB of memory, and {limit / 1e9:.1f} GB may be used"
        if not may_reduce:
            raise InputError(
                source.path,
                f"with {_times(source.grid.size)} voxels the run and the resampled volume need {memory}",
                "Leave out the resampled volume: the run then reduces the volumes, its transform holds for them as "
                "stored, and Slicer can resample with it. Or allow more memory, or in a study fewer workers.",
            )
        on_warning(
            f"{source.path} is registered with {_times(size)} instead of {_times(source.grid.size)} voxels: as stored, "
            f"the run would need {memory}. The transform holds for the volume as stored."
        )
        options = {"target_spacing_mm": spacing_mm, "memory_limit_bytes": limit}
        volumes.append(read_downsampled(source.path, **options))
        masks.append(None if mask_path is None else read_mask_downsampled(mask_path, **options))
    initial = request.initial_transform
    return Inputs(
        fixed=volumes[0],
        moving=volumes[1],
        masks=_with_boxes(Masks(masks[0], masks[1]), request),
        later_masks=tuple(_with_boxes(_masks(stage), stage) for stage in request.then),
        initial_fixed_to_moving_lps=None if initial is None else read_linear_transform(initial),
        initial_name=str(initial),
        landmarks=request.read_pairs(),
    )


def _masks(stage: Stage) -> Masks:
    fixed, moving = stage.fixed_mask, stage.moving_mask
    return Masks(None if fixed is None else read_mask(fixed), None if moving is None else read_mask(moving))


def _with_boxes(masks: Masks, files: RegisterRequest | Stage) -> Masks:
    fixed, moving = files.fixed_roi, files.moving_roi
    boxes = None if fixed is None else read_roi(fixed), None if moving is None else read_roi(moving)
    return Masks(masks.fixed, masks.moving, *boxes)


def _spacing_that_fits(
    sources: tuple[VoxelSource, VoxelSource], request: RegisterRequest, engine: str, limit_bytes: float
) -> tuple[float, float]:
    """The finest common voxel size with which a run fits into the memory, and what it needs as stored, in bytes."""
    grids = [source.grid for source in sources]
    steps = find_steps(request.preprocess)
    given = (request.fixed_mask or request.fixed_roi, request.moving_mask or request.moving_roi)
    roles: list[Role] = [role for role, path in zip(ROLES, given, strict=True) if path is not None]

    def needed(coarse: list[VolumeGrid]) -> float:
        loaded = sum(_loaded_bytes(source, grid) for source, grid in zip(sources, coarse, strict=True))
        return loaded + needed_memory_bytes(engine, coarse[0], coarse[1], steps=steps, given_masks=roles)

    return finest_spacing_mm(grids, needed, limit_bytes), needed(grids)


def _loaded_bytes(source: VoxelSource, grid: VolumeGrid) -> int:
    if grid.size == source.grid.size:
        return source.whole_bytes
    i, j, k = grid.size
    return i * j * k * _REDUCED_VOXEL_BYTES


def _times(size: tuple[int, int, int]) -> str:
    return " x ".join(map(str, size))
