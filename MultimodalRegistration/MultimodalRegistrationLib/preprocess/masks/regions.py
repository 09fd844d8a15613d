"""Connected regions of masks, and distances to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["connected_regions", "distance_to"]


def connected_regions(marked: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number the regions that are connected by faces of voxels, from 1; give their count as well."""
    labels = np.empty(marked.shape, dtype=np.int32)
    ndimage.label(marked, output=labels)
    return labels, int(labels.max(initial=0))


def distance_to(marked: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Distance in mm from every voxel to the closest marked one; infinite when nothing is marked.

    Parameters
    ----------
    marked : array of bool, shape (K, J, I)
        A small one: at full resolution :func:`.margins.within_mm` is faster.
    spacing_mm : tuple of 3 float
        Along K, J, I.
    """
    if not marked.any():
        return np.full(marked.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~marked, sampling=spacing_mm), dtype=np.float64)
