"""Masks: made from boxes, labels and intensities, joined, grown and shrunk, and their connected regions.

Margins are Euclidean distances in mm, from a distance map that knows the voxel size (Maurer, Qi and Raghavan 2003,
doi:10.1109/TPAMI.2003.1177156): as wide along thick slices as within them, whatever the orientation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ..core.errors import InputError
from ..core.grid import OrientedBox
from ..core.linear import apply_matrix
from ..core.volume import Volume

_MAX_LABELS_SHOWN = 12


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
    return named_mask(reference, marked, f"{reference.name} ({what})")


def named_mask(reference: Volume, marked: NDArray[Any], name: str) -> Volume:
    """The same under a name of its own."""
    image = sitk.GetImageFromArray(marked.astype(np.uint8, copy=False))
    # The information is copied as stored: rounding a direction in between would make the grids differ.
    image.CopyInformation(reference.image)
    return Volume(image, name)


def combine(masks: Sequence[Volume], *, how: Literal["union", "intersection"]) -> Volume:
    """Join masks of one grid.

    Parameters
    ----------
    masks : sequence of Volume
        One or more; voxels above zero are marked. Not changed.
    how : str
        ``union`` marks what any mask marks, ``intersection`` what all of them mark.

    Returns
    -------
    Volume
        Unsigned 8-bit mask on the grid of the first.

    Raises
    ------
    InputError
        The grids differ, or the masks have no voxel in common.
    """
    first = masks[0]
    marked = first.voxels > 0
    for other in masks[1:]:
        if not other.grid.coincides_with(first.grid):
            raise InputError(
                other.name,
                f"its grid differs from that of {first.name}",
                "Resample the mask to that volume first, with nearest neighbours.",
            )
        marked = marked | (other.voxels > 0) if how == "union" else marked & (other.voxels > 0)
    if not marked.any():
        raise InputError(
            " and ".join(mask.name for mask in masks),
            "nothing is marked" if how == "union" else "the masks have no voxel in common",
            "Check that they belong to the same volume, or leave one out.",
        )
    return mask_like(first, marked, f"{how} of {len(masks)} masks")


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
    return named_mask(volume, inside, name)


def from_labels(label_map: Volume, values: Iterable[int], *, inside: bool = True) -> Volume:
    """Mark the voxels of some labels, or all others.

    Parameters
    ----------
    label_map : Volume
        Whole numbers; 0 is the background.
    values : iterable of int
        Labels.
    inside : bool
        Mark these labels; otherwise everything else, background included.

    Returns
    -------
    Volume
        Unsigned 8-bit mask on the same grid.

    Raises
    ------
    InputError
        No label was given, one is not in the label map, or nothing would be marked.
    """
    wanted = sorted(set(values))
    voxels = label_map.voxels
    present = np.unique(voxels)
    if not wanted:
        raise InputError(label_map.name, "no label was chosen for the mask", "Choose at least one label.")
    missing = [value for value in wanted if value not in present]
    if missing:
        shown = ", ".join(f"{value:g}" for value in present[:_MAX_LABELS_SHOWN])
        more = f" and {len(present) - _MAX_LABELS_SHOWN} more" if len(present) > _MAX_LABELS_SHOWN else ""
        raise InputError(
            label_map.name,
            f"there is no label {', '.join(map(str, missing))} in it",
            f"Choose among the labels that are there: {shown}{more}.",
        )
    marked = np.isin(voxels, wanted, invert=not inside)
    if not marked.any():
        raise InputError(
            label_map.name, "nothing lies outside the labels that were chosen", "Leave out a label, or the mask."
        )
    return mask_like(label_map, marked, "labels " + ("" if inside else "other than ") + ", ".join(map(str, wanted)))


def from_intensity(volume: Volume, lower: float, upper: float) -> Volume:
    """Mark the voxels from ``lower`` to ``upper``, both included.

    Parameters
    ----------
    volume : Volume
        Not changed.
    lower, upper : float
        In the volume's own units; infinite for no limit.

    Returns
    -------
    Volume
        Unsigned 8-bit mask on the same grid.

    Raises
    ------
    InputError
        The limits are not in order, or no voxel lies between them.
    """
    if not lower <= upper:
        raise InputError(
            volume.name, f"the lower limit {lower:g} is not below the upper limit {upper:g}", "Swap the limits."
        )
    voxels = volume.voxels
    marked = (voxels >= lower) & (voxels <= upper)
    if not marked.any():
        raise InputError(
            volume.name,
            f"no voxel lies between {lower:g} and {upper:g}",
            f"Its intensities go from {voxels.min():g} to {voxels.max():g}.",
        )
    return mask_like(volume, marked, f"{lower:g} to {upper:g}")


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
    near = within_mm(mask.voxels > 0, mask.grid.spacing_mm, distance_mm)
    return mask_like(mask, near, f"grown by {distance_mm:g} mm")


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
    left = ~within_mm(mask.voxels == 0, mask.grid.spacing_mm, distance_mm)
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
    boxes = ndimage.find_objects(marked.astype(np.uint8))
    if not boxes:
        return near
    # Distances far from the marked part need not be computed.
    box = widened(boxes[0], spacing_mm, distance_mm)
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


def widened(box: tuple[slice, ...], spacing_mm: tuple[float, float, float], distance_mm: float) -> tuple[slice, ...]:
    """A box, slices along K, J, I, with the voxels within a distance of it and one more; spacing along I, J, K."""
    margin = np.ceil(distance_mm / np.asarray(spacing_mm[::-1])).astype(int) + 1
    return tuple(
        slice(max(0, side.start - int(step)), side.stop + int(step)) for side, step in zip(box, margin, strict=True)
    )


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
