"""The inside of a box as a mask."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ...core.box import OrientedBox
from ...core.errors import InputError
from ...core.linear import apply_matrix
from ...core.volume import Volume

__all__ = ["mask_of_box"]


def mask_of_box(box: OrientedBox, name: str, volume: Volume) -> Volume:
    """Mark the voxels of a volume whose centres lie inside a box.

    Parameters
    ----------
    box : OrientedBox
        World coordinates.
    name : str
        What messages call it.
    volume : Volume
        Whose grid the mask gets.

    Raises
    ------
    InputError
        No voxel lies inside.
    """
    inside = np.zeros(volume.grid.size[::-1], dtype=np.uint8)
    j, i = np.indices(inside.shape[1:])
    ijk = np.column_stack([i.ravel(), j.ravel(), np.zeros(i.size)])
    # One slice after the other, which keeps the memory small.
    for k, slice_inside in enumerate(inside):
        ijk[:, 2] = k
        slice_inside.ravel()[:] = box.contains(apply_matrix(volume.grid.ijk_to_lps, ijk))
    if not inside.any():
        raise InputError(name, f"the ROI holds no voxel of {volume.name}", "Check that it was drawn in this volume.")
    mask = sitk.GetImageFromArray(inside)
    mask.CopyInformation(volume.image)
    return Volume(mask, name)
