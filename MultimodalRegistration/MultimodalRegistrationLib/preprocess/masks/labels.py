"""Masks from a label map or from a range of intensities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...core.errors import InputError
from ...core.volume import Volume
from .make import mask_like

__all__ = ["from_intensity", "from_labels"]

_MOST_LABELS_SHOWN = 12


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
        shown = ", ".join(f"{value:g}" for value in present[:_MOST_LABELS_SHOWN])
        more = f" and {len(present) - _MOST_LABELS_SHOWN} more" if len(present) > _MOST_LABELS_SHOWN else ""
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
