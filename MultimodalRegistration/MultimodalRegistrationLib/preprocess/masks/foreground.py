"""The head or body, without air, table, headrest and border.

It is found at about 3.5 mm, where noise and thin things are gone, and its surface is then drawn at full resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...core.errors import InputError
from ...core.volume import Volume
from .background import background_threshold
from .coarse import Coarse, shrink
from .make import mask_like
from .modality import Modality, guess_modality, hounsfield_offset
from .padding import padded_voxels
from .solids import bodies, with_holes_filled

__all__ = ["Foreground", "find_foreground", "foreground"]

# The body is what is denser than foam; its surface is midway between air and skin.
_SOLID_HU = -250.0
_SURFACE_HU = -500.0
_CT_LIMITS_HU = (-1000.0, 1000.0)
_TABLE_THICKNESS_MM = 7.0
_GHOST_THICKNESS_MM = 3.0
# Where the surface lies between air and the tissue next to it.
_SURFACE_LEVEL = 0.5
_SMOOTHING_MM = 2.5
_SMALL_VOXEL_MM = 2.0


@dataclass(frozen=True)
class Foreground:
    """What a volume shows.

    Parameters
    ----------
    body : array of bool, shape (K, J, I)
        Head, body or specimen, with the air inside it.
    objects : array of bool, shape (K, J, I)
        Solid things beside it: table, headrest, blankets. Only told from air in a CT.
    """

    body: NDArray[np.bool_]
    objects: NDArray[np.bool_]


def foreground(volume: Volume) -> Volume:
    """Mark the head or body: no air around it, table, headrest, padding or black border; air inside it stays.

    Parameters
    ----------
    volume : Volume
        CT, raw CT, MR or PET. Not changed.

    Returns
    -------
    Volume
        Unsigned 8-bit mask on the same grid; all ones when no background was found.

    Raises
    ------
    InputError
        All voxels are the same.
    """
    padding, _ = padded_voxels(volume.voxels)
    found = find_foreground(volume, modality=guess_modality(volume), padding=padding)
    return mask_like(volume, found.body, "foreground")


def find_foreground(volume: Volume, *, modality: Modality, padding: NDArray[np.bool_]) -> Foreground:
    """Part a volume into body, other objects and air.

    Parameters
    ----------
    volume : Volume
        Not changed.
    modality : str
        As guessed.
    padding : array of bool, shape (K, J, I)
        Voxels without data.

    Raises
    ------
    InputError
        There are no others.
    """
    if padding.all():
        raise InputError(
            volume.name, f"all voxels have the value {volume.voxels.flat[0]:g}", "Give a volume that shows something."
        )
    spacing = volume.grid.spacing_mm
    if modality == "other":
        darkest = float(volume.voxels[~padding].min())
        coarse = shrink(volume.voxels, spacing, ignored=padding, ignored_value=darkest)
        sigma = [_SMOOTHING_MM / step for step in coarse.spacing_mm]
        coarse = replace(coarse, means=ndimage.gaussian_filter(coarse.means, sigma))
        threshold = background_threshold(coarse.means, shrink(~padding, spacing).means > 0.5)
        thickness = _GHOST_THICKNESS_MM
    else:
        offset = hounsfield_offset(modality)
        limits = (_CT_LIMITS_HU[0] - offset, _CT_LIMITS_HU[1] - offset)
        coarse = shrink(volume.voxels, spacing, limits=limits, ignored=padding, ignored_value=limits[0])
        threshold = _SOLID_HU - offset
        thickness = _TABLE_THICKNESS_MM
    if threshold is None:
        return Foreground(~padding, np.zeros_like(padding))
    solid = coarse.means > threshold
    body = bodies(solid, coarse.spacing_mm, thickness)
    if not body.any():
        return Foreground(~padding, np.zeros_like(padding))
    filled = with_holes_filled(body, coarse.spacing_mm)
    neighbours = np.ones((3, 3, 3), dtype=bool)
    near = ndimage.binary_dilation(filled, neighbours)
    inner = ndimage.binary_erosion(filled, neighbours, border_value=1)
    if modality == "other":
        dense = _smooth(volume.voxels, spacing) > coarse.spread(_surface_level(coarse, filled, threshold))
    else:
        surface = _SURFACE_HU - hounsfield_offset(modality)
        dense = volume.voxels > surface
        # What goes on beyond the blocks next to the body is no surface but a table that touches it.
        beyond = ndimage.binary_dilation((coarse.means > surface) & ~near, neighbours)
        near &= filled | ~beyond
    rim = coarse.spread(near & ~inner)
    full = (coarse.spread(inner) | (rim & dense)) & ~padding
    if modality == "other":
        return Foreground(full, np.zeros_like(padding))
    return Foreground(full, dense & ~full & ~padding)


def _surface_level(coarse: Coarse, body: NDArray[np.bool_], threshold: float) -> NDArray[np.float32]:
    """The intensity of the surface at each block: midway between air and the tissue nearby.

    A fixed threshold close to air would put the surface of bright tissue too far out by part of the blur.
    """
    air = float(coarse.means[~body].mean()) if not body.all() else threshold
    # Weighted by itself, so that bright skin counts more than dark bone below it.
    above = np.where(body, np.maximum(coarse.means - air, 0), 0).astype(np.float32)
    weight = ndimage.uniform_filter(above, 3)
    square = ndimage.uniform_filter(np.square(above), 3)
    tissue = air + np.divide(square, weight, out=np.zeros_like(square), where=weight > 1e-6 * above.max(initial=0))
    return np.maximum(air + _SURFACE_LEVEL * (tissue - air), threshold).astype(np.float32)


def _smooth(voxels: NDArray[Any], spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """Noise removed at the cost of a little blur: means of three small voxels, or a narrow Gaussian."""
    small = [spacing < _SMALL_VOXEL_MM for spacing in spacing_mm[::-1]]
    smooth = ndimage.uniform_filter(voxels, [3 if is_small else 1 for is_small in small], output=np.float32)
    return np.asarray(ndimage.gaussian_filter(smooth, [0 if is_small else 0.6 for is_small in small]))
