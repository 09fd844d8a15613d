"""Whether a volume is a CT, from its intensities alone: names and tags are often lost.

A CT is known by what its scale fixes: air lies 1000 units below soft tissue, and most of what is not air lies in a
narrow band, from fat at -120 HU to clotted blood at 80. No other modality has both. A CT on another scale, such as
normalised templates, cannot be told from MR by this and is called other.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.volume import Volume

__all__ = ["RAW_CT_OFFSET_HU", "Modality", "guess_modality", "hounsfield_offset"]

Modality = Literal["CT", "raw CT", "other"]

RAW_CT_OFFSET_HU = -1024.0
_LARGEST_SAMPLE = 200_000
_SOFT_HU = (-200.0, 200.0)
_AIR_HU = (-1100.0, -850.0)
_BETWEEN_HU = (-800.0, -250.0)
_BONE_HU = 250.0


def guess_modality(volume: Volume) -> Modality:
    """Tell CT in Hounsfield units, CT as stored by the scanner (12 bit, air at 0), and everything else apart.

    Parameters
    ----------
    volume : Volume
        Not changed.

    Returns
    -------
    str
        ``CT``, ``raw CT`` or ``other``.
    """
    voxels = volume.voxels.ravel()
    sample = voxels[:: max(1, voxels.size // _LARGEST_SAMPLE)].astype(np.float64)
    if _has_ct_scale(sample):
        return "CT"
    # Metal may lie above the 12 bits of everything else.
    if np.percentile(sample, 99.5) < 4096 and _has_ct_scale(sample + RAW_CT_OFFSET_HU):
        return "raw CT"
    return "other"


def hounsfield_offset(modality: Modality) -> float:
    """What to add to the intensities of a CT to get Hounsfield units.

    Raises
    ------
    ValueError
        The modality is no CT.
    """
    if modality == "other":
        raise ValueError("Hounsfield units of a volume that is no CT")
    return 0.0 if modality == "CT" else RAW_CT_OFFSET_HU


def _has_ct_scale(hounsfield: NDArray[Any]) -> bool:
    def count(low: float, high: float) -> int:
        return int(np.count_nonzero((hounsfield >= low) & (hounsfield <= high)))

    tissue = int(np.count_nonzero(hounsfield > _BETWEEN_HU[1]))
    if tissue < 0.01 * hounsfield.size:
        return False
    soft = count(*_SOFT_HU) >= 0.5 * tissue
    air = count(*_AIR_HU) >= 0.002 * hounsfield.size
    # Lungs fill part of the gap between air and tissue; MR has whole tissues there.
    gap = count(*_BETWEEN_HU) <= tissue
    bone = np.count_nonzero(hounsfield > _BONE_HU) >= 0.002 * tissue
    return bool(soft and air and gap and bone)
