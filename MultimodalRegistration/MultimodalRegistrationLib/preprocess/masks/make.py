"""Mask volumes from arrays of truth values."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...core.volume import Volume

__all__ = ["mask_like"]


def mask_like(reference: Volume, marked: NDArray[Any], what: str) -> Volume:
    """Make a mask on the grid of a volume.

    Parameters
    ----------
    reference : Volume
        Gives the grid; not changed.
    marked : array of bool, shape (K, J, I)
        The voxels to mark.
    what : str
        What the mask shows, for its name.

    Returns
    -------
    Volume
        Unsigned 8-bit image of zeros and ones.
    """
    image = sitk.GetImageFromArray(marked.astype(np.uint8, copy=False))
    # The information is copied as stored: rounding a direction in between would make the grids differ.
    image.CopyInformation(reference.image)
    return Volume(image, f"{reference.name} ({what})")
