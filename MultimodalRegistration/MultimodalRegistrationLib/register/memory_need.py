"""How much memory a registration will take, told before it is taken."""

from __future__ import annotations

import math
from collections.abc import Collection

from ..core.grid import VolumeGrid
from ..core.machine import available_memory_bytes
from ..engines.catalogue import ENGINES
from ..preprocess.steps import AUTOMATIC, Role, Steps

__all__ = ["memory_warning", "needed_memory_bytes"]

# This process: the engine's 32-bit copy, one working copy, and a resampled result.
_OWN_BYTES_PER_VOXEL = 12
# A mask as read or made, its copy for the engine, and the worker's two.
_MASK_BYTES_PER_VOXEL = 4
# The corrected copy, which stays beside the volume as read. What N4 itself takes is less than the engine takes later.
_CORRECTED_BYTES_PER_VOXEL = 6


def needed_memory_bytes(
    engine: str, fixed: VolumeGrid, moving: VolumeGrid, *, steps: Steps = AUTOMATIC, given_masks: Collection[Role] = ()
) -> int:
    """Estimate the memory of a run in addition to the volumes that are already loaded.

    Parameters
    ----------
    engine : str
        Name.
    fixed, moving : VolumeGrid
        Grids that the run works on.
    steps : Steps
        What is done to copies first. A mask that may be made is counted: headers do not tell whether there is metal.
    given_masks : collection of str
        ``"fixed"``, ``"moving"``: where the user gives a mask.

    Returns
    -------
    int
        In bytes, all processes.
    """
    needed = ENGINES[engine].start_bytes
    grids: dict[Role, VolumeGrid] = {"fixed": fixed, "moving": moving}
    for role, grid in grids.items():
        each = ENGINES[engine].bytes_per_voxel + _OWN_BYTES_PER_VOXEL
        if role in given_masks or steps.mask != "none":
            each += _MASK_BYTES_PER_VOXEL
        if role in steps.bias_correct:
            each += _CORRECTED_BYTES_PER_VOXEL
        needed += math.prod(grid.size) * each
    return needed


def memory_warning(
    engine: str, fixed: VolumeGrid, moving: VolumeGrid, *, steps: Steps = AUTOMATIC, given_masks: Collection[Role] = ()
) -> str | None:
    """Say when :func:`needed_memory_bytes` exceeds the memory that is free; otherwise None."""
    needed = needed_memory_bytes(engine, fixed, moving, steps=steps, given_masks=given_masks)
    free = available_memory_bytes()
    if free is None or needed <= free:
        return None
    return (
        f"This registration needs about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free. It may "
        "become very slow or be stopped by the system; close other programs, or crop or downsample the volumes first."
    )
