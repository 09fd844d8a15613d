"""How much memory a registration will take, told before it is taken."""

from __future__ import annotations

from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.io.memory import available_memory_bytes

__all__ = ["memory_warning", "needed_memory_bytes"]

# Peak of the engine's process above its start-up, in bytes per voxel of both volumes together, and the start-up
# itself; measured on 256 x 256 x 150 float pairs with the preset "rigid" (Testing/Benchmarks/overhead.py).
_ENGINE_BYTES_PER_VOXEL = {"elastix": 24, "ants": 27, "simpleitk": 15}
_ENGINE_START_BYTES = {"elastix": 250_000_000, "ants": 300_000_000, "simpleitk": 100_000_000}
# This process: the engine's 32-bit copy, one working copy, and a resampled result.
_OWN_BYTES_PER_VOXEL = 12


def needed_memory_bytes(engine: str, fixed: VolumeGrid, moving: VolumeGrid) -> int:
    """Estimated memory of a run in addition to the volumes that are already loaded, in bytes."""
    voxels = 0
    for grid in (fixed, moving):
        voxels += grid.size[0] * grid.size[1] * grid.size[2]
    return _ENGINE_START_BYTES[engine] + voxels * (_ENGINE_BYTES_PER_VOXEL[engine] + _OWN_BYTES_PER_VOXEL)


def memory_warning(engine: str, fixed: VolumeGrid, moving: VolumeGrid) -> str | None:
    """A sentence when the estimate exceeds the memory that is free, otherwise None."""
    needed, free = needed_memory_bytes(engine, fixed, moving), available_memory_bytes()
    if free is None or needed <= free:
        return None
    return (
        f"This registration needs about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free. It may "
        "become very slow or be stopped by the system; close other programs, or crop or downsample the volumes first."
    )
