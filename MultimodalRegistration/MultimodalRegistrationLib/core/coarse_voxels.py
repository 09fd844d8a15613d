"""Whether one volume is so much coarser than another that metrics should be sampled in it."""

from __future__ import annotations

import numpy as np

from .grid import VolumeGrid

__all__ = ["has_coarse_voxels", "has_thick_slices"]

# Spacings of oblique grids come out of matrices, some units in the last place off.
_ROUNDED = 1 - 1e-6
_THICK_MM = 5.0 * _ROUNDED
_TIMES_THICKER = 2.0 * _ROUNDED
_TIMES_LARGER = 8.0 * _ROUNDED


def has_thick_slices(grid: VolumeGrid, other: VolumeGrid) -> bool:
    """Whether slices of a grid are at least 5 mm, and at least twice as thick as any spacing of another grid.

    A metric is then best sampled at the voxels of the first volume: between its slices there is nothing but
    interpolation, which blurs, and by different amounts at different places.

    Parameters
    ----------
    grid, other : VolumeGrid
        Of the two volumes.
    """
    thickness_mm = max(grid.spacing_mm)
    return thickness_mm >= _THICK_MM and thickness_mm >= _TIMES_THICKER * max(other.spacing_mm)


def has_coarse_voxels(grid: VolumeGrid, other: VolumeGrid) -> bool:
    """Whether the voxels of a grid have at least the volume of eight of another, whatever their shape.

    So are those of PET beside CT. A metric is then best sampled in the first volume.

    Parameters
    ----------
    grid, other : VolumeGrid
        Of the two volumes.
    """
    return bool(np.prod(grid.spacing_mm) >= _TIMES_LARGER * np.prod(other.spacing_mm))
