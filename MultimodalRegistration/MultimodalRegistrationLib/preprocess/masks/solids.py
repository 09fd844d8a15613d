"""Bodies, and what lies beside or inside them, in a mask of a few mm resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .regions import connected_regions, distance_to

__all__ = ["bodies", "with_holes_filled"]

_LEAST_SHARE_OF_LARGEST = 0.05
_SMALL_PART_MM = 60.0
_CAVITY_OPENING_MM = 7.0
_SURROUNDED = 5


def bodies(solid: NDArray[np.bool_], spacing_mm: tuple[float, float, float], thickness_mm: float) -> NDArray[np.bool_]:
    """Keep the large, thick parts: the body and limbs, without tables, headrests, blankets, tubes and noise.

    Sheets thinner than about twice ``thickness_mm`` vanish in an opening, also where they touch the body. Small thin
    parts that are joined to the body, as ears and nose, are put back; tables are larger.

    Parameters
    ----------
    solid : array of bool, shape (K, J, I)
        Everything that is not air.
    spacing_mm : tuple of 3 float
        Along K, J, I.
    thickness_mm : float
        Radius of the opening.
    """
    # Distances are to air inside the volume only: the edge of the volume is no surface.
    core = distance_to(~solid, spacing_mm) > thickness_mm
    labels, count = connected_regions(core)
    if count == 0:
        return np.zeros_like(solid)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    core = (sizes >= _LEAST_SHARE_OF_LARGEST * sizes.max())[labels]
    opened = solid & (distance_to(core, spacing_mm) <= thickness_mm)
    return opened | _small_parts(solid & ~opened, opened, spacing_mm)


def _small_parts(
    rest: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Parts of ``rest`` that stand out from the body and are small."""
    # The layer next to the body joins ears, nose and table; without it they are parts of their own.
    layer = rest & ndimage.binary_dilation(body)
    labels, count = connected_regions(rest & ~layer)
    touching = np.unique(labels[ndimage.binary_dilation(layer)])
    keep = np.zeros(count + 1, dtype=bool)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        sides = [(side.stop - side.start) * spacing for side, spacing in zip(box, spacing_mm, strict=True)]
        keep[label] = max(sides) <= _SMALL_PART_MM and label in touching
    return layer & ndimage.binary_dilation(keep[labels]) | keep[labels]


def with_holes_filled(body: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Fill air inside the body: sinuses, airways, lungs, bowel, also where the volume cuts through them.

    Parameters
    ----------
    body : array of bool, shape (K, J, I)
        The body without its cavities.
    spacing_mm : tuple of 3 float
        Along K, J, I.
    """
    if not body.any() or body.all():
        return body
    body = body | _surrounded(body)
    # Nostrils and the auditory canal are closed for a moment.
    near = distance_to(body, spacing_mm) <= _CAVITY_OPENING_MM
    closed = body | (distance_to(~near, spacing_mm) > _CAVITY_OPENING_MM)
    cavities = _enclosed(closed)
    reach = distance_to(cavities, spacing_mm) <= _CAVITY_OPENING_MM
    return body | cavities | (closed & reach)


def _surrounded(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What has the body in five of the six directions of the axes: cavities that leak, as dark bone does in MR."""
    directions = np.zeros(body.shape, dtype=np.uint8)
    for axis in range(3):
        directions += np.logical_or.accumulate(body, axis)
        directions += np.flip(np.logical_or.accumulate(np.flip(body, axis), axis), axis)
    return np.asarray(directions >= _SURROUNDED)


def _enclosed(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What cannot be reached from the edge of the volume, where cavities that a face cuts through count as closed."""
    entry = np.zeros_like(body)
    for axis in range(3):
        for index in (0, -1):
            at = tuple(slice(None) if other != axis else index for other in range(3))
            entry[at] |= ~ndimage.binary_fill_holes(body[at])
    labels, _ = connected_regions(~body)
    outside = np.unique(labels[entry & ~body])
    return ~body & ~np.isin(labels, outside)
