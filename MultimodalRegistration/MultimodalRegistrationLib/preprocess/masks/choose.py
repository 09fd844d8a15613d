"""The mask of one volume: the user's, an automatic one, or both."""

from __future__ import annotations

from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.preprocess.masks.automatic import automatic_mask
from MultimodalRegistrationLib.preprocess.masks.combine import combine
from MultimodalRegistrationLib.preprocess.masks.metal import MARGIN_MM, without_metal
from MultimodalRegistrationLib.preprocess.steps import MaskKind

__all__ = ["choose_mask"]


def choose_mask(volume: Volume, given: Volume | None, kind: MaskKind) -> tuple[Volume | None, tuple[str, ...]]:
    """What of a volume is used, and why in words.

    Parameters
    ----------
    volume : Volume
        Not changed.
    given : Volume or None
        The user's mask, on the grid of the volume.
    kind : str
        ``"none"``: the user's as it is; ``"metal"``: without metal; ``"foreground"``: the automatic one where there is
        none of the user.

    Returns
    -------
    mask : Volume or None
        None where everything is used.
    facts : tuple of str
        A sentence each.

    Raises
    ------
    InputError
        A constant volume, or a mask of the user that marks nothing but metal.
    """
    if kind == "foreground" and given is None:
        found = automatic_mask(volume)
        return found.mask, found.facts
    clean = without_metal(volume) if kind == "metal" else None
    if clean is None:
        return given, ()
    mask = clean if given is None else combine([given, clean], how="intersection")
    return mask, (f"metal is left out, with a margin of {MARGIN_MM:g} mm.",)
