"""The mask that nobody has to ask for: everything in a volume but what would mislead a registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..core.volume import Volume
from .foreground import find_foreground, shrink
from .intensities import (
    METAL_MARGIN_MM,
    THRESHOLD_HU,
    Modality,
    guess_modality,
    hounsfield_offset,
    metal_voxels,
    padded_voxels,
    without_metal,
)
from .masks import combine, mask_like, named_mask, within_mm
from .steps import MaskKind

# The outline of the body is evidence too: a mask that ends at the skin would hide it.
OUTLINE_MARGIN_MM = 5.0
_NOT_WORTH_A_MASK = 0.01
_NOT_WORTH_MENTIONING = 0.0005
_MODALITY_MESSAGE: dict[Modality, str] = {
    "CT": "a CT in Hounsfield units",
    "raw CT": "a CT as stored by the scanner (1024 above Hounsfield units)",
    "other": "MR, PET or another volume without a fixed scale",
}
# The outline of what a mask marks is evidence: cut off exactly there, a body has no skin. Measured on porcine, whose
# body mask then costs no accuracy (0.5 to 0.7 mm for 3 to 8 mm, 1.5 mm without).
OUTLINE_MM = 3.0
_SMOOTHING_MM = 4.0
_MAX_PLANES = 6
_SAME_DIRECTION = np.cos(np.radians(10.0))
_SHARE_ON_PLANES = 0.5
# Mean square of the normals' component along the straightest direction; a third for a sphere.
_STRAIGHT = 0.02


@dataclass(frozen=True)
class AutomaticMask:
    """What to use of a volume, and what was left out.

    Every excluded voxel counts in one of the shares only, in the order in which they are listed here.

    Parameters
    ----------
    mask : Volume or None
        Unsigned 8-bit mask on the grid of the volume; None when nothing has to be excluded.
    modality : str
        As guessed from the intensities.
    padding, metal, objects, air : float
        Shares of all voxels: constant border outside the field of view; metal with its margin; table, headrest and
        other things beside the body; air. A background that was set to a constant, as around an extracted brain,
        counts as air, and so do objects where the volume is no CT.
    facts : tuple of str
        The same as messages, a sentence each.
    """

    mask: Volume | None
    modality: Modality
    padding: float
    metal: float
    objects: float
    air: float
    facts: tuple[str, ...]


def automatic_mask(volume: Volume, *, margin_mm: float = OUTLINE_MARGIN_MM) -> AutomaticMask:
    """Exclude padding, black border, CT table, headrest, metal and the air far from the body.

    Parameters
    ----------
    volume : Volume
        CT, MR or PET. Not changed.
    margin_mm : float
        Width of the air that is kept around the body.

    Returns
    -------
    AutomaticMask
        The mask and what it excludes.

    Raises
    ------
    InputError
        All voxels are the same.
    """
    voxels, spacing = volume.voxels, volume.grid.spacing_mm
    modality = guess_modality(volume)
    padding, values = padded_voxels(voxels)
    found = find_foreground(volume, modality=modality, padding=padding)
    if not ends_field_of_view(padding, spacing):
        padding, values = np.zeros_like(padding), ()
    metal, pieces = np.zeros_like(padding), 0
    if modality != "other":
        threshold = THRESHOLD_HU - hounsfield_offset(modality)
        metal, pieces = metal_voxels(voxels, spacing, threshold, METAL_MARGIN_MM)
    kept = within_mm(found.body, spacing, margin_mm)
    free = ~padding
    parts: list[NDArray[np.bool_]] = [padding]
    for part in (metal, found.objects, ~kept):
        parts.append(part & free)
        free = free & ~part
    shares = [float(np.count_nonzero(part)) / voxels.size for part in parts]
    needed = sum(shares) >= _NOT_WORTH_A_MASK or pieces > 0
    facts = [f"{volume.name} is taken for {_MODALITY_MESSAGE[modality]}."]
    facts += _facts(shares, values, pieces, volume, free, margin_mm) if needed else ["Nothing has to be excluded."]
    mask = mask_like(volume, free, "automatic mask") if needed else None
    return AutomaticMask(mask, modality, shares[0], shares[1], shares[2], shares[3], tuple(facts))


def _facts(
    shares: list[float],
    values: tuple[float, ...],
    pieces: int,
    volume: Volume,
    free: NDArray[np.bool_],
    margin_mm: float,
) -> list[str]:
    padding, metal, objects, air = shares
    facts = []
    if padding:
        constant = " and ".join(f"{value:g}" for value in values)
        facts.append(f"A constant border of value {constant} is excluded: {padding:.1%} of the voxels.")
    if pieces:
        noun = "piece" if pieces == 1 else "pieces"
        facts.append(
            f"{pieces} {noun} of metal above {THRESHOLD_HU:g} HU with a margin of {METAL_MARGIN_MM:g} mm are excluded: "
            f"{metal:.2%} of the voxels, {metal * volume.grid.extent_mm.prod() / 1000:.1f} ml."
        )
    if objects >= _NOT_WORTH_MENTIONING:
        facts.append(f"Table, headrest or other things beside the body are excluded: {objects:.1%} of the voxels.")
    if air >= _NOT_WORTH_MENTIONING:
        facts.append(
            f"Air farther than {margin_mm:g} mm from what the volume shows is excluded: {air:.1%} of the voxels."
        )
    sides = [side.stop - side.start for side in ndimage.find_objects(free.astype(np.uint8))[0]][::-1]
    size = " x ".join(f"{side * step:.0f}" for side, step in zip(sides, volume.grid.spacing_mm, strict=True))
    facts.append(f"What remains is {free.mean():.1%} of the voxels, in a box of {size} mm.")
    return facts


@dataclass(frozen=True)
class ChosenMask:
    """What of a volume is used.

    Parameters
    ----------
    mask : Volume or None
        The user's, an automatic one, or both; None where everything is used.
    automatic : Volume or None
        The same without the user's.
    facts : tuple of str
        Why, a sentence each.
    """

    mask: Volume | None
    automatic: Volume | None
    facts: tuple[str, ...]


def choose_mask(volume: Volume, given: Volume | None, kind: MaskKind) -> ChosenMask:
    """Join the user's mask with what is left out without being asked.

    Parameters
    ----------
    volume : Volume
        Not changed.
    given : Volume or None
        The user's mask, on the grid of the volume.
    kind : str
        ``"none"``: the user's as it is; ``"metal"``: the user's with its outline, without metal; ``"foreground"``: the
        automatic one, or the user's with its outline.

    Raises
    ------
    InputError
        A constant volume, or a mask of the user that marks nothing but metal.
    """
    if kind == "none":
        return ChosenMask(given, None, ())
    facts: tuple[str, ...] = ()
    if given is not None:
        given = _with_outline(given)
        facts = (f"the mask {given.name} is used with {OUTLINE_MM:g} mm around it, so that its outline counts.",)
    if kind == "foreground":
        found = automatic_mask(volume)
        if given is None:
            return ChosenMask(found.mask, found.mask, found.facts)
        return ChosenMask(given, found.mask, facts)
    clean = without_metal(volume)
    if clean is None:
        return ChosenMask(given, None, facts)
    mask = clean if given is None else combine([given, clean], how="intersection")
    return ChosenMask(mask, clean, (*facts, f"metal is left out, with a margin of {METAL_MARGIN_MM:g} mm."))


def _with_outline(mask: Volume) -> Volume:
    """The mask grown along each axis, by whole voxels."""
    size = [2 * round(OUTLINE_MM / step_mm) + 1 for step_mm in mask.grid.spacing_mm[::-1]]
    return named_mask(mask, ndimage.maximum_filter((mask.voxels > 0).astype(np.uint8), size), mask.name)


def ends_field_of_view(padding: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> bool:
    """Whether a constant border is the end of the field of view, or a background that was set to a constant.

    The first shows nothing, right up to the tissue it cuts through. The second, as around an extracted brain, shows the
    outline. A field of view is a box or a cylinder, cut and rotated as it may be: its border is made of few planes, or
    is straight along one direction. The outline of a body is neither.

    Parameters
    ----------
    padding : array of bool, shape (K, J, I)
        Constant voxels that are connected to the edge of the volume.
    spacing_mm : tuple of 3 float
        Along I, J, K; the axes are taken to be perpendicular.

    Returns
    -------
    bool
        Whether the surface of the padding is that of a box or a cylinder.
    """
    coarse = shrink(padding, spacing_mm)
    if min(coarse.means.shape) < 2:
        return False
    smooth = ndimage.gaussian_filter(coarse.means, [_SMOOTHING_MM / step for step in coarse.spacing_mm])
    surface = (smooth > 0.3) & (smooth < 0.7)
    normals = np.stack([part[surface] for part in np.gradient(smooth, *coarse.spacing_mm)], axis=1)
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 0] / lengths[lengths > 0, None]
    if not len(normals):
        return True
    if np.linalg.eigvalsh(normals.T @ normals / len(normals))[0] < _STRAIGHT:
        return True
    return _share_on_planes(normals) >= _SHARE_ON_PLANES


def _share_on_planes(normals: NDArray[np.float32]) -> float:
    """Share of the normals, shape (N, 3), that point in one of the few most frequent directions."""
    rest = normals
    for _ in range(_MAX_PLANES):
        if not len(rest):
            break
        candidates = rest[:: max(1, len(rest) // 200)]
        close = candidates @ rest.T > _SAME_DIRECTION
        rest = rest[~close[close.sum(axis=1).argmax()]]
    return 1.0 - len(rest) / len(normals)
