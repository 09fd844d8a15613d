"""The moving volume on the fixed grid."""

from __future__ import annotations

from numpy.typing import ArrayLike

from MultimodalRegistrationLib.geometry.linear import sitk_from_matrix
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.transforms.resample import resample

__all__ = ["resample_to_fixed"]


def resample_to_fixed(fixed: Volume, moving: Volume, fixed_to_moving_lps: ArrayLike) -> Volume:
    """Resample a volume once, by linear interpolation, keeping its pixel type.

    Parameters
    ----------
    fixed : Volume
        Gives the grid.
    moving : Volume
        Gives the intensities.
    fixed_to_moving_lps : array, shape (4, 4)
        Maps fixed points to moving points, LPS, mm.

    Returns
    -------
    Volume
        Where the moving volume shows nothing, its lowest value: zero would be soft tissue in a CT.
    """
    moved = resample(moving, fixed.grid, sitk_from_matrix(fixed_to_moving_lps))
    return Volume(moved.image, f"{moving.name} on {fixed.name}")
