"""The moving volume on the fixed grid."""

from __future__ import annotations

import SimpleITK as sitk
from numpy.typing import ArrayLike

from MultimodalRegistrationLib.geometry.linear import sitk_from_matrix
from MultimodalRegistrationLib.io.volumes import Volume

__all__ = ["resample_to_fixed"]


def resample_to_fixed(fixed: Volume, moving: Volume, fixed_to_moving_lps: ArrayLike | sitk.Transform) -> Volume:
    """Resample a volume once, by linear interpolation, keeping its pixel type.

    Parameters
    ----------
    fixed : Volume
        Gives the grid.
    moving : Volume
        Gives the intensities.
    fixed_to_moving_lps : array, shape (4, 4), or SimpleITK.Transform
        Maps fixed points to moving points, LPS, mm.

    Returns
    -------
    Volume
        Where the moving volume shows nothing, its lowest value: zero would be soft tissue in a CT.
    """
    given = fixed_to_moving_lps
    transform = given if isinstance(given, sitk.Transform) else sitk_from_matrix(given)
    image = sitk.Resample(
        moving.image,
        fixed.image,
        transform,
        sitk.sitkLinear,
        float(moving.voxels.min()),
        moving.image.GetPixelID(),
    )
    return Volume(image, f"{moving.name} on {fixed.name}")
