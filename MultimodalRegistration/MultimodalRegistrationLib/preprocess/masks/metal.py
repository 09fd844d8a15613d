"""Metal in a CT: electrodes, clips, fillings, screws.

Only what is brighter than any bone is found, with a margin for its blur and the nearest artefacts; streaks that reach
farther stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...core.errors import InputError
from ...core.volume import Volume
from .make import mask_like
from .margins import within_mm
from .modality import Modality, guess_modality, hounsfield_offset
from .regions import connected_regions

__all__ = ["MARGIN_MM", "THRESHOLD_HU", "metal", "metal_voxels", "without_metal"]

# Enamel reaches 2500 HU; scanners that store 12 bit cut metal off at 3071 HU.
THRESHOLD_HU = 2500.0
MARGIN_MM = 3.0
_TOO_LITTLE = 1e-3


def metal(volume: Volume, *, threshold_hu: float = THRESHOLD_HU, margin_mm: float = MARGIN_MM) -> Volume:
    """Mark metal and what lies close to it.

    Parameters
    ----------
    volume : Volume
        CT in Hounsfield units, or raw. Not changed.
    threshold_hu : float
        Metal is brighter than this.
    margin_mm : float
        How far around it is marked as well.

    Returns
    -------
    Volume
        Unsigned 8-bit mask on the same grid; all zero where there is no metal.

    Raises
    ------
    InputError
        The volume is no CT.
    """
    modality = guess_modality(volume)
    if modality == "other":
        raise InputError(
            volume.name,
            "its intensities are not those of a CT, in which metal is known by its brightness",
            "Give the CT, or mark the metal by hand.",
        )
    return mask_like(volume, _marked(volume, modality, threshold_hu, margin_mm), "metal")


def without_metal(volume: Volume) -> Volume | None:
    """The mask that leaves out metal and what lies close to it.

    Parameters
    ----------
    volume : Volume
        Not changed.

    Returns
    -------
    Volume or None
        None where the volume is no CT, or where metal and its margin are less than a thousandth of it: intensities are
        clipped for an engine anyway, and other samples would change a result more than so little metal does.
    """
    modality = guess_modality(volume)
    if modality == "other":
        return None
    marked = _marked(volume, modality, THRESHOLD_HU, MARGIN_MM)
    return mask_like(volume, ~marked, "all but metal") if marked.mean() >= _TOO_LITTLE else None


def _marked(volume: Volume, modality: Modality, threshold_hu: float, margin_mm: float) -> NDArray[np.bool_]:
    threshold = threshold_hu - hounsfield_offset(modality)
    return metal_voxels(volume.voxels, volume.grid.spacing_mm, threshold, margin_mm)[0]


def metal_voxels(
    voxels: NDArray[Any], spacing_mm: tuple[float, float, float], threshold: float, margin_mm: float
) -> tuple[NDArray[np.bool_], int]:
    """Mark what is brighter than a threshold, with a margin.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities.
    spacing_mm : tuple of 3 float
        Along I, J, K.
    threshold : float
        In the units of the intensities.
    margin_mm : float
        Distance between voxel centres.

    Returns
    -------
    marked : array of bool, shape (K, J, I)
        Metal and margin.
    pieces : int
        Connected pieces of metal.
    """
    marked = np.zeros(voxels.shape, dtype=bool)
    bright = voxels > threshold
    if not bright.any():
        return marked, 0
    labels, pieces = connected_regions(bright)
    reach = np.ceil(margin_mm / np.asarray(spacing_mm[::-1])).astype(int) + 1
    # Piece by piece: distances over all of a head with an electrode on either side would take seconds.
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        around = tuple(
            slice(max(0, side.start - int(step)), side.stop + int(step)) for side, step in zip(box, reach, strict=True)
        )
        marked[around] |= within_mm(labels[around] == label, spacing_mm, margin_mm)
    return marked, pieces
