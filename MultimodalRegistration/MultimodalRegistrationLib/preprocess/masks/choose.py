"""The mask of one volume: the user's, an automatic one, or both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ...core.volume import Volume
from ..steps import MaskKind
from .automatic import automatic_mask
from .combine import combine
from .metal import MARGIN_MM, without_metal

__all__ = ["OUTLINE_MM", "ChosenMask", "choose_mask"]

# The outline of what a mask marks is evidence: cut off exactly there, a body has no skin. Measured on porcine, whose
# body mask then costs no accuracy (0.5 to 0.7 mm for 3 to 8 mm, 1.5 mm without).
OUTLINE_MM = 3.0


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
        return (
            ChosenMask(found.mask, found.mask, found.facts) if given is None else ChosenMask(given, found.mask, facts)
        )
    clean = without_metal(volume)
    if clean is None:
        return ChosenMask(given, None, facts)
    mask = clean if given is None else combine([given, clean], how="intersection")
    return ChosenMask(mask, clean, (*facts, f"metal is left out, with a margin of {MARGIN_MM:g} mm."))


def _with_outline(mask: Volume) -> Volume:
    """The mask grown along each axis, by whole voxels."""
    marked = np.array(mask.voxels > 0)
    for axis, step_mm in enumerate(mask.grid.spacing_mm[::-1]):
        along = np.moveaxis(marked, axis, 0)
        for _ in range(round(OUTLINE_MM / step_mm)):
            before = along.copy()
            along[1:] |= before[:-1]
            along[:-1] |= before[1:]
    image = sitk.GetImageFromArray(marked.astype(np.uint8))
    image.CopyInformation(mask.image)
    return Volume(image, mask.name)
