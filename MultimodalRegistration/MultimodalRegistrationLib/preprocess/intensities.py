"""What the intensities of a volume show by themselves: whether it is a CT, metal in it, and padding around it.

Names and tags are often lost. A CT is known by what its scale fixes: air lies 1000 units below soft tissue, and most of
what is not air lies in a narrow band, from fat at -120 HU to clotted blood at 80. No other modality has both. A CT on
another scale, such as normalised templates, cannot be distinguished from MR by this and is called other.

Of metal, such as electrodes, clips, fillings and screws, only what is brighter than any bone is found, with a margin
for its blur and the nearest artefacts; streaks that reach farther stay.

Padding is the constant border around what a scanner or a resampling has seen: a value that fills a region without a
gap, from the edge of the volume inward. The same value scattered through noisy air, as where a CT is cut off at -1000,
is none. Whatever the value is, -1024, -2000, -3024 or 0, it is taken from the faces of the volume.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..core.errors import InputError
from ..core.volume import Volume
from .masks import connected_regions, mask_like, widened, within_mm

Modality = Literal["CT", "raw CT", "other"]

RAW_CT_OFFSET_HU = -1024.0
_MAX_SAMPLE = 200_000
_SOFT_HU = (-200.0, 200.0)
_AIR_HU = (-1100.0, -850.0)
_BETWEEN_HU = (-800.0, -250.0)
_BONE_HU = 250.0
# Enamel reaches 2500 HU; scanners that store 12 bit cut metal off at 3071 HU.
THRESHOLD_HU = 2500.0
METAL_MARGIN_MM = 3.0
_TOO_LITTLE = 1e-3
_MIN_SHARE_OF_FACES = 0.002
_MIN_SHARE_OF_VOLUME = 0.0005
_MAX_VALUES = 4
# Where this share of the voxels of a value is free of gaps, all of them are padding, thin wedges included.
_SOLID = 0.9
# The lowest and the highest value need less; below it is air that is cut off at a value.
_MIN_SOLID = 0.6


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
    sample = voxels[:: max(1, voxels.size // _MAX_SAMPLE)].astype(np.float64)
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


def metal(volume: Volume, *, margin_mm: float = METAL_MARGIN_MM) -> Volume:
    """Mark metal and what lies close to it.

    Parameters
    ----------
    volume : Volume
        CT in Hounsfield units, or raw. Not changed.
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
    return mask_like(volume, _marked(volume, modality, margin_mm), "metal")


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
    marked = _marked(volume, modality, METAL_MARGIN_MM)
    return mask_like(volume, ~marked, "all but metal") if marked.mean() >= _TOO_LITTLE else None


def _marked(volume: Volume, modality: Modality, margin_mm: float) -> NDArray[np.bool_]:
    threshold = THRESHOLD_HU - hounsfield_offset(modality)
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
    # Piece by piece: distances over all of a head with an electrode on either side would take seconds.
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        around = widened(box, spacing_mm, margin_mm)
        marked[around] |= within_mm(labels[around] == label, spacing_mm, margin_mm)
    return marked, pieces


def border_and_padding(volume: Volume) -> Volume:
    """Mark the black border and the padding.

    Parameters
    ----------
    volume : Volume
        Not changed.

    Returns
    -------
    Volume
        Unsigned 8-bit mask on the same grid, one where there is no data; all zero where there is no border.
    """
    marked, _ = padded_voxels(volume.voxels)
    return mask_like(volume, marked, "padding")


def padded_voxels(voxels: NDArray[Any]) -> tuple[NDArray[np.bool_], tuple[float, ...]]:
    """Find padding.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities.

    Returns
    -------
    marked : array of bool, shape (K, J, I)
        The padding.
    values : tuple of float
        What fills it, the most frequent first.
    """
    marked = np.zeros(voxels.shape, dtype=bool)
    faces = np.concatenate([face.ravel() for face in _faces(voxels)])
    values, counts = np.unique(faces, return_counts=True)
    found = []
    for index in np.argsort(-counts, kind="stable")[:_MAX_VALUES]:
        if counts[index] < _MIN_SHARE_OF_FACES * faces.size:
            break
        extreme = bool(values[index] == voxels.min() or values[index] == voxels.max())
        region = _solid_region(voxels == values[index], least_solid=_MIN_SOLID if extreme else _SOLID)
        if region is not None:
            marked |= region
            found.append(float(values[index]))
    return marked, tuple(found)


def _solid_region(same: NDArray[np.bool_], *, least_solid: float) -> NDArray[np.bool_] | None:
    """The part of one value that is connected to the edge of the volume and has no gaps."""
    # Most values of noisy images end here, before anything slow is done.
    pairs = np.count_nonzero(same[..., 1:] & same[..., :-1])
    if pairs < 0.3 * np.count_nonzero(same):
        return None
    region = _connected_to_edge(same)
    core = region.copy()
    for axis in range(3):
        here, there = _shifted(axis)
        core[here] &= region[there]
        core[there] &= region[here]
    solid = region & _grown(core)
    share = np.count_nonzero(solid) / max(1, int(np.count_nonzero(region)))
    if share < least_solid or np.count_nonzero(solid) < _MIN_SHARE_OF_VOLUME * same.size:
        return None
    return region if share >= _SOLID else _connected_to_edge(solid)


def _connected_to_edge(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = connected_regions(marked)
    keep = np.zeros(count + 1, dtype=bool)
    for face in _faces(labels):
        keep[np.unique(face)] = True
    keep[0] = False
    return np.asarray(keep[labels])


def _grown(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """By one voxel along every axis."""
    grown = marked.copy()
    for axis in range(3):
        here, there = _shifted(axis)
        grown[here] |= marked[there]
        grown[there] |= marked[here]
    return grown


def _faces(array: NDArray[Any]) -> list[NDArray[Any]]:
    return [array.take(index, axis) for axis in range(3) for index in (0, -1)]


def _shifted(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    here, there = [slice(None)] * 3, [slice(None)] * 3
    here[axis], there[axis] = slice(None, -1), slice(1, None)
    return tuple(here), tuple(there)
