"""Masks grown and shrunk by a distance in mm.

The distance is Euclidean in space, from a signed distance map that knows the voxel size: the margin is as wide along
thick slices as within them, whatever the orientation. Of oblique grids only the spacing matters, as their axes are
perpendicular.

References
----------
Maurer, Qi and Raghavan 2003, doi:10.1109/TPAMI.2003.1177156.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.volume import Volume
from .make import mask_like

__all__ = ["dilate_mm", "erode_mm", "within_mm"]


def dilate_mm(mask: Volume, distance_mm: float) -> Volume:
    """Grow a mask.

    Parameters
    ----------
    mask : Volume
        Voxels above zero are marked. Its axes must be perpendicular. Not changed.
    distance_mm : float
        How far, mm; not negative.

    Returns
    -------
    Volume
        Unsigned 8-bit mask of every voxel whose centre lies within this distance of a marked centre.

    Raises
    ------
    InputError
        A negative distance, a sheared grid or an empty mask.
    """
    _check(mask, distance_mm)
    return mask_like(
        mask, within_mm(mask.voxels > 0, mask.grid.spacing_mm, distance_mm), f"grown by {distance_mm:g} mm"
    )


def erode_mm(mask: Volume, distance_mm: float) -> Volume:
    """Shrink a mask; the edge of the volume is no border of the mask.

    Parameters
    ----------
    mask : Volume
        Voxels above zero are marked. Its axes must be perpendicular. Not changed.
    distance_mm : float
        How far, mm; not negative.

    Returns
    -------
    Volume
        Unsigned 8-bit mask of every marked voxel that is farther than this distance from all unmarked centres.

    Raises
    ------
    InputError
        A negative distance, a sheared grid, an empty mask, or nothing is left.
    """
    _check(mask, distance_mm)
    outside = mask.voxels == 0
    left = ~within_mm(outside, mask.grid.spacing_mm, distance_mm)
    if not left.any():
        raise InputError(
            mask.name, f"nothing is left of the mask {distance_mm:g} mm inside its border", "Shrink it by less."
        )
    return mask_like(mask, left, f"shrunk by {distance_mm:g} mm")


def within_mm(
    marked: NDArray[np.bool_], spacing_mm: tuple[float, float, float], distance_mm: float
) -> NDArray[np.bool_]:
    """Voxels whose centre lies within a distance of a marked centre.

    Parameters
    ----------
    marked : array of bool, shape (K, J, I)
        May be empty; then so is the result.
    spacing_mm : tuple of 3 float
        Voxel size along I, J, K.
    distance_mm : float
        Not negative.
    """
    near: NDArray[Any] = np.zeros(marked.shape, dtype=bool)
    box = _box_around(marked, np.ceil(distance_mm / np.asarray(spacing_mm[::-1])).astype(int) + 1)
    if box is None:
        return near
    image = sitk.GetImageFromArray(marked[box].astype(np.uint8))
    image.SetSpacing(spacing_mm)
    distance = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    # The slack keeps centres at exactly this distance, whatever the rounding.
    near[box] = (sitk.GetArrayViewFromImage(distance) <= distance_mm * (1 + 1e-5)) | marked[box]
    return near


def _check(mask: Volume, distance_mm: float) -> None:
    if not distance_mm >= 0:
        raise InputError(mask.name, f"a distance of {distance_mm:g} mm", "Give a distance of 0 mm or more.")
    if not mask.grid.is_orthogonal:
        raise InputError(
            mask.name, "its axes are not perpendicular", "Resample the mask to a grid without shear first."
        )
    if not (mask.voxels > 0).any():
        raise InputError(mask.name, "the mask is empty (no voxel above zero)", "Give a mask that marks something.")


def _box_around(marked: NDArray[np.bool_], margin: NDArray[np.int_]) -> tuple[slice, slice, slice] | None:
    """Slices of the marked part with a margin in voxels: distances far from it need not be computed."""
    sides = []
    for axis in range(3):
        hit = np.flatnonzero(marked.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(hit):
            return None
        sides.append(slice(max(0, int(hit[0] - margin[axis])), int(hit[-1] + margin[axis]) + 1))
    return sides[0], sides[1], sides[2]
