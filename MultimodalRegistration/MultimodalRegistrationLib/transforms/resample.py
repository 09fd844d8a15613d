"""Volumes on another grid, interpolated once."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import SimpleITK as sitk

from ..core.grid import VolumeGrid
from ..core.volume import Volume

__all__ = ["INTERPOLATIONS", "Interpolation", "resample"]

# The last one smooths each label by a Gaussian and lets the strongest win, for borders without steps.
Interpolation = Literal["linear", "bspline", "nearest", "label"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
_CODES = {
    "linear": sitk.sitkLinear,
    "bspline": sitk.sitkBSpline,
    "nearest": sitk.sitkNearestNeighbor,
    "label": sitk.sitkLabelGaussian,
}
_OF_LABELS = ("nearest", "label")


def resample(
    volume: Volume,
    grid: VolumeGrid,
    transform: sitk.Transform,
    *,
    interpolation: Interpolation = "linear",
    outside: float | None = None,
) -> Volume:
    """Bring a volume to a grid.

    Parameters
    ----------
    volume : Volume
        What is shown.
    grid : VolumeGrid
        Voxels of the result.
    transform : SimpleITK.Transform
        Maps points of the grid to points of the volume, LPS, mm.
    interpolation : str
        One of :data:`INTERPOLATIONS`.
    outside : float, optional
        Value where the volume shows nothing; by default 0 for labels, and for others the lowest value that there is:
        zero would be soft tissue in a CT.

    Returns
    -------
    Volume
        With the pixel type of the volume. Integers are rounded, which ITK does not do by itself.
    """
    image = volume.image
    labels = interpolation in _OF_LABELS
    if outside is None:
        outside = 0.0 if labels else float(volume.voxels.min())
    whole = np.issubdtype(volume.voxels.dtype, np.integer)
    # Integers of up to 16 bits are exact in 32-bit floats.
    float_type = sitk.sitkFloat32 if volume.voxels.dtype.itemsize <= 2 else sitk.sitkFloat64
    moved = sitk.Resample(
        image,
        grid.size,
        transform,
        _CODES[interpolation],
        grid.origin_lps,
        grid.spacing_mm,
        grid.direction,
        outside,
        image.GetPixelID() if labels or not whole else float_type,
    )
    if whole and not labels:
        limits = np.iinfo(volume.voxels.dtype)
        moved = sitk.Cast(
            sitk.Clamp(sitk.Round(moved), float_type, float(limits.min), float(limits.max)), image.GetPixelID()
        )
    return Volume(moved, volume.name)
