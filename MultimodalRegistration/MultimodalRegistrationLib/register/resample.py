"""The moving volume on the fixed grid."""

from __future__ import annotations

from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..transforms.propagate import resample

__all__ = ["resample_to_fixed"]


def resample_to_fixed(fixed: Volume, moving: Volume, transform: SpatialTransform) -> Volume:
    """Resample a volume once, by linear interpolation, keeping its pixel type.

    Parameters
    ----------
    fixed : Volume
        Gives the grid.
    moving : Volume
        Gives the intensities.
    transform : SpatialTransform
        ``fixed_to_moving_lps``.

    Returns
    -------
    Volume
        Where the moving volume shows nothing, its lowest value: zero would be soft tissue in a CT.
    """
    moved = resample(moving, fixed.grid, transform.transform)
    return Volume(moved.image, f"{moving.name} on {fixed.name}")
