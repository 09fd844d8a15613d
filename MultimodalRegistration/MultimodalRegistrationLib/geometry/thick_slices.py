"""Whether one volume has so much thicker slices than another that they should not be interpolated."""

from __future__ import annotations

from MultimodalRegistrationLib.geometry.grid import VolumeGrid

__all__ = ["has_thick_slices"]

_THICK_MM = 5.0
_TIMES_THICKER = 2.0


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
