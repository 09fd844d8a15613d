"""The mask that nobody has to ask for: everything in a volume but what would mislead a registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.volume import Volume
from .field_of_view import ends_field_of_view
from .foreground import find_foreground
from .make import mask_like
from .margins import within_mm
from .metal import MARGIN_MM, THRESHOLD_HU, metal_voxels
from .modality import Modality, guess_modality, hounsfield_offset
from .padding import padded_voxels

__all__ = ["OUTLINE_MARGIN_MM", "AutomaticMask", "automatic_mask"]

# The outline of the body is evidence too: a mask that ends at the skin would hide it.
OUTLINE_MARGIN_MM = 5.0
_NOT_WORTH_A_MASK = 0.01
_NOT_WORTH_MENTIONING = 0.0005
_MODALITY_IN_WORDS: dict[Modality, str] = {
    "CT": "a CT in Hounsfield units",
    "raw CT": "a CT as stored by the scanner (1024 above Hounsfield units)",
    "other": "MR, PET or another volume without a fixed scale",
}


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
        The same in words, a sentence each.
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
        metal, pieces = metal_voxels(voxels, spacing, threshold, MARGIN_MM)
    kept = within_mm(found.body, spacing, margin_mm)
    free = ~padding
    parts: list[NDArray[np.bool_]] = [padding]
    for part in (metal, found.objects, ~kept):
        parts.append(part & free)
        free = free & ~part
    shares = [float(np.count_nonzero(part)) / voxels.size for part in parts]
    facts = (
        f"{volume.name} is taken for {_MODALITY_IN_WORDS[modality]}.",
        *_facts(shares, values, pieces, volume, free, margin_mm),
    )
    needed = sum(shares) >= _NOT_WORTH_A_MASK or pieces > 0
    mask = mask_like(volume, free, "automatic mask") if needed else None
    return AutomaticMask(mask, modality, shares[0], shares[1], shares[2], shares[3], facts)


def _facts(
    shares: list[float],
    values: tuple[float, ...],
    pieces: int,
    volume: Volume,
    free: NDArray[np.bool_],
    margin_mm: float,
) -> list[str]:
    if sum(shares) < _NOT_WORTH_A_MASK and not pieces:
        return ["Nothing has to be excluded."]
    padding, metal, objects, air = shares
    facts = []
    if padding:
        constant = " and ".join(f"{value:g}" for value in values)
        facts.append(f"A constant border of value {constant} is excluded: {padding:.1%} of the voxels.")
    if pieces:
        noun = "piece" if pieces == 1 else "pieces"
        facts.append(
            f"{pieces} {noun} of metal above {THRESHOLD_HU:g} HU with a margin of {MARGIN_MM:g} mm are excluded: "
            f"{metal:.2%} of the voxels, {metal * volume.grid.extent_mm.prod() / 1000:.1f} ml."
        )
    if objects >= _NOT_WORTH_MENTIONING:
        facts.append(f"Table, headrest or other things beside the body are excluded: {objects:.1%} of the voxels.")
    if air >= _NOT_WORTH_MENTIONING:
        facts.append(
            f"Air farther than {margin_mm:g} mm from what the volume shows is excluded: {air:.1%} of the voxels."
        )
    sides = [
        np.ptp(np.flatnonzero(free.any(axis=tuple(other for other in range(3) if other != axis)))) + 1
        for axis in (2, 1, 0)
    ]
    size = " x ".join(f"{side * step:.0f}" for side, step in zip(sides, volume.grid.spacing_mm, strict=True))
    facts.append(f"What remains is {free.mean():.1%} of the voxels, in a box of {size} mm.")
    return facts
