"""The head or body, without air, table, headrest and border.

It is found at about 3.5 mm, where noise and thin things are gone, and its surface is then drawn at full resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ..core.errors import InputError
from ..core.volume import Volume
from .intensities import Modality, guess_modality, hounsfield_offset, padded_voxels
from .masks import connected_regions, distance_to, mask_like

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
_MIN_SHARE_OF_LARGEST = 0.05
_SMALL_PART_MM = 60.0
_CAVITY_OPENING_MM = 7.0
_SURROUNDED = 5
# Added before the logarithm, as a share of bright tissue: differences below it are noise.
_FLOOR = 0.01
# Mean of the darker class over that of the brighter one: of air 0.15 at most was seen, of muscle and fat 0.36.
_DARKEST_TISSUE = 0.2
_NOISE = 0.05
_MAX_SPLITS = 3
# A darker class that holds two of its own, this much apart, is air and tissue of little uptake.
_APART = 4.0
_MIN_SHARE = 0.02
_BLOCK_MM = 3.5


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
    core = (sizes >= _MIN_SHARE_OF_LARGEST * sizes.max())[labels]
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


def background_threshold(means: NDArray[np.float32], seen: NDArray[np.bool_]) -> float | None:
    """Find the intensity below which there is air, in a volume without a fixed scale: MR, PET and whatever is no CT.

    Otsu's threshold is taken of logarithms. On the intensities themselves it parts fat from muscle, or a tumour from
    everything else; air and tissue differ by a large factor, whatever the bias field (Otsu 1979,
    doi:10.1109/TSMC.1979.4310076).

    Parameters
    ----------
    means : array of float32
        Intensities with little noise.
    seen : array of bool, same shape
        Where there is data, not padding.

    Returns
    -------
    float or None
        None when all is tissue.
    """
    values = means.ravel().astype(np.float64)
    darkest, bright = (float(value) for value in np.percentile(values, [0.5, 99]))
    # Noise about zero is no offset.
    shift = darkest if darkest < -_NOISE * bright else 0.0
    values = np.maximum(values - shift, 0.0)
    bright -= shift
    if bright <= 0:
        return None
    floor = _FLOOR * bright
    darker = values
    for _ in range(_MAX_SPLITS):
        threshold = _otsu_of_logarithms(darker, floor)
        air = values <= threshold
        if not air.any() or air.all():
            return None
        if values[air].mean() <= _DARKEST_TISSUE * values[~air].mean():
            return _lowered(threshold, values[air & seen.ravel()], floor) + shift
        darker = values[air]
    return None


def _lowered(threshold: float, darker: NDArray[np.float64], floor: float) -> float:
    """The threshold within the darker class where that has two far apart, else the threshold itself."""
    if darker.size < 2 or darker.min() == darker.max():
        return threshold
    found, largest = threshold, _APART
    # Logarithms part two large classes, plain intensities also a small one from noise about zero.
    for lower in (_otsu(darker), _otsu_of_logarithms(darker, floor)):
        faint = darker > lower
        if not _MIN_SHARE <= faint.mean() <= 1 - _MIN_SHARE:
            continue
        apart = float((darker[faint].mean() + floor) / (darker[~faint].mean() + floor))
        if apart >= largest:
            found, largest = lower, apart
    return found


def _otsu_of_logarithms(values: NDArray[np.float64], floor: float) -> float:
    return float(np.exp(_otsu(np.log(values + floor))) - floor)


def _otsu(values: NDArray[np.float64]) -> float:
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(256)
    otsu.Execute(sitk.GetImageFromArray(values[None, :]))
    return float(otsu.GetThreshold())


@dataclass(frozen=True)
class Coarse:
    """Means of blocks of voxels.

    Parameters
    ----------
    means : array of float32, shape (K', J', I')
        One for each block; those at the end of an axis may hold fewer voxels.
    block : tuple of 3 int
        Voxels of a block along K, J, I.
    spacing_mm : tuple of 3 float
        Size of a block along K, J, I.
    shape : tuple of 3 int
        Voxels of the volume along K, J, I.
    """

    means: NDArray[np.float32]
    block: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give every voxel the value of its block, shape (K, J, I)."""
        for axis, count in enumerate(self.block):
            if count > 1:
                values = np.repeat(values, count, axis)
        k, j, i = self.shape
        return values[:k, :j, :i]


def shrink(
    voxels: NDArray[Any],
    spacing_mm: tuple[float, float, float],
    *,
    limits: tuple[float, float] | None = None,
    ignored: NDArray[np.bool_] | None = None,
    ignored_value: float = 0.0,
) -> Coarse:
    """Take the means of blocks of about 3.5 mm.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities; not changed.
    spacing_mm : tuple of 3 float
        Along I, J, K.
    limits : tuple of 2 float, optional
        Intensities are cut off here first, so that metal and padding do not shift the mean of a block.
    ignored : array of bool, shape (K, J, I), optional
        Voxels that count as ``ignored_value``.
    ignored_value : float
        See there.
    """
    along_kji = spacing_mm[::-1]
    block = tuple(max(1, round(_BLOCK_MM / spacing)) for spacing in along_kji)
    counts = [-(-size // step) for size, step in zip(voxels.shape, block, strict=True)]
    means = np.empty(counts, dtype=np.float32)
    # Slab by slab: a copy of a large volume as floats would need more memory than the volume itself.
    for index in range(counts[0]):
        rows = slice(index * block[0], (index + 1) * block[0])
        slab = voxels[rows].astype(np.float32)
        if ignored is not None:
            slab[ignored[rows]] = ignored_value
        if limits is not None:
            np.clip(slab, *limits, out=slab)
        plane = np.pad(
            slab.mean(axis=0),
            [(0, counts[1] * block[1] - voxels.shape[1]), (0, counts[2] * block[2] - voxels.shape[2])],
            mode="edge",
        )
        means[index] = plane.reshape(counts[1], block[1], counts[2], block[2]).mean(axis=(1, 3))
    return Coarse(
        means,
        (block[0], block[1], block[2]),
        (along_kji[0] * block[0], along_kji[1] * block[1], along_kji[2] * block[2]),
        (voxels.shape[0], voxels.shape[1], voxels.shape[2]),
    )
