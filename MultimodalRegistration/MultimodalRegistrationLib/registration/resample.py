"""The moving volume on the fixed grid."""

from __future__ import annotations

import SimpleITK as sitk

from MultimodalRegistrationLib.geometry.spatial import SpatialTransform
from MultimodalRegistrationLib.io.volumes import Volume

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
    image = sitk.Resample(
        moving.image,
        fixed.image,
        transform.transform,
        sitk.sitkLinear,
        float(moving.voxels.min()),
        moving.image.GetPixelID(),
    )
    return Volume(image, f"{moving.name} on {fixed.name}")
