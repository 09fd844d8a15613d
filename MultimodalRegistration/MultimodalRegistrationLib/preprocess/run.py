"""Two volumes prepared for any registration program: cut to what both show, masked, corrected, resampled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.linear import apply_matrix
from ..core.volume import Volume
from .automatic_mask import choose_mask
from .bias import correct_bias
from .region import Region, common_region, crop_to_box, resample_to_spacing
from .steps import ROLES, Role


@dataclass(frozen=True)
class PreparedVolume:
    """One of the two volumes, prepared.

    Parameters
    ----------
    volume : Volume
        Cropped, corrected, resampled as asked for.
    mask : Volume or None
        On the grid of ``volume``.
    bias_field : Volume or None
        On the grid of the full volume.
    """

    volume: Volume
    mask: Volume | None
    bias_field: Volume | None


@dataclass(frozen=True)
class Preprocessed:
    """Both volumes, prepared.

    Parameters
    ----------
    fixed, moving : PreparedVolume
        World coordinates are those of the full volumes: what is found on these is valid for those.
    region : Region
        What they were cut to.
    facts : tuple of str
        What was done, a sentence each.
    """

    fixed: PreparedVolume
    moving: PreparedVolume
    region: Region
    facts: tuple[str, ...]


def points_of_segment(segment: Volume) -> NDArray[np.float64]:
    """Voxels of a mask that lie on its border, shape (N, 3), LPS, mm; they span what all of its voxels span.

    Raises
    ------
    InputError
        The mask is empty.
    """
    marked = np.asarray(segment.voxels > 0)
    # Ends of each row are enough for any box.
    ends = marked.copy()
    ends[:, :, 1:-1] &= ~(marked[:, :, :-2] & marked[:, :, 2:])
    index = np.argwhere(ends)[:, ::-1]
    if not len(index):
        raise InputError(segment.name, "no voxel is marked", "Choose another segment or label.")
    return apply_matrix(segment.grid.ijk_to_lps, index)


@dataclass(frozen=True)
class FoundRegion:
    """What two volumes are cut to, and what of them counts.

    Parameters
    ----------
    region : Region
        Boxes around the same anatomy.
    fixed_mask, moving_mask : Volume or None
        Those given or made, each on the grid of the full volume.
    facts : tuple of str
        What was left out, a sentence each.
    """

    region: Region
    fixed_mask: Volume | None
    moving_mask: Volume | None
    facts: tuple[str, ...]


def find_region(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving_lps: ArrayLike,
    *,
    region: Region | None = None,
    margin_mm: float,
    automatic_masks: tuple[Role, ...] = ROLES,
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
    on_progress: Callable[[str, float], None] = lambda message, fraction: None,
) -> FoundRegion:
    """Make the masks and find what to cut to: the first part of :func:`preprocess`, with the same parameters.

    Raises
    ------
    InputError
        Nothing in common.
    """
    masks, facts = [fixed_mask, moving_mask], []
    for number, (role, volume) in enumerate(zip(ROLES, (fixed, moving), strict=True)):
        if role in automatic_masks and masks[number] is None:
            on_progress(f"looking for what to leave out of the {role} volume", 0.1 * number)
            chosen = choose_mask(volume, None, "foreground")
            masks[number] = chosen.mask
            facts += [f"{role.capitalize()}: {fact}" for fact in chosen.facts]
    if region is None:
        voxels = [None if mask is None else mask.voxels for mask in masks]
        region = common_region(
            fixed.grid,
            moving.grid,
            fixed_to_moving_lps,
            fixed_mask=voxels[0],
            moving_mask=voxels[1],
            margin_mm=margin_mm,
        )
    if region is None:
        raise InputError(
            f"{fixed.name} and {moving.name}",
            "there is nothing that both show under this transform",
            "Give a transform or landmarks that bring them together, or leave the transform out to search for one.",
        )
    return FoundRegion(region, masks[0], masks[1], tuple(facts))


def preprocess(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving_lps: ArrayLike,
    *,
    region: Region | None = None,
    margin_mm: float,
    automatic_masks: tuple[Role, ...] = ROLES,
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
    bias_correct: tuple[Role, ...] = (),
    isotropic_mm: float | None = None,
    spacing_factor: float | None = None,
    on_progress: Callable[[str, float], None] = lambda message, fraction: None,
    cancel: threading.Event | None = None,
) -> Preprocessed:
    """Prepare two volumes.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; not changed.
    fixed_to_moving_lps : array, shape (4, 4)
        A prealignment.
    region : Region, optional
        What to cut to; by default what both volumes show, within the masks.
    margin_mm : float
        Around the region that is found here.
    automatic_masks : tuple of str, optional
        ``"fixed"``, ``"moving"``: make a mask there where none is given.
    fixed_mask, moving_mask : Volume, optional
        Zeros and ones, each on the grid of its volume.
    bias_correct : tuple of str, optional
        ``"fixed"``, ``"moving"``: whose bias field is taken out.
    isotropic_mm : float, optional
        Resample both to cubic voxels of this size; by default voxels stay as they are.
    spacing_factor : float, optional
        Resample both to voxels this many times as large; not together with ``isotropic_mm``.
    on_progress : callable, optional
        Called with a message and the share that is done.
    cancel : threading.Event, optional
        Set it to stop.

    Returns
    -------
    Preprocessed
        New volumes.

    Raises
    ------
    InputError
        Nothing in common, or a region that misses a volume.
    Cancelled
        On request.
    """
    for what, value in (("The voxel size", isotropic_mm), ("The spacing factor", spacing_factor)):
        if value is not None and not 0 < value < np.inf:
            raise InputError(what, f"{value} was given", "Give a positive number.")
    if isotropic_mm is not None and spacing_factor is not None:
        raise InputError("The spacing factor", "given together with a voxel size", "Leave one of them out.")
    found = find_region(
        fixed,
        moving,
        fixed_to_moving_lps,
        region=region,
        margin_mm=margin_mm,
        automatic_masks=automatic_masks,
        fixed_mask=fixed_mask,
        moving_mask=moving_mask,
        on_progress=on_progress,
    )
    facts = list(found.facts)
    prepared = []
    for number, (role, volume, mask, box) in enumerate(
        (
            ("fixed", fixed, found.fixed_mask, found.region.fixed),
            ("moving", moving, found.moving_mask, found.region.moving),
        )
    ):
        field, subject = None, role.capitalize()
        if role in bias_correct:
            message = f"correcting the bias field of the {role} volume"

            def report(share: float, message: str = message, start: float = 0.2 + 0.4 * number) -> None:
                on_progress(message, start + 0.4 * share)

            corrected = correct_bias(volume, mask=mask, on_progress=report, cancel=cancel)
            volume, field = corrected.corrected, corrected.field
            facts.append(f"{subject}: the bias field was taken out.")
        cropped = crop_to_box(volume, box)
        cropped_mask = None if mask is None else crop_to_box(volume, box, kept=mask)
        cut = f"cut from {_shape(volume)} to {_shape(cropped)} voxels"
        if cropped.grid.size == volume.grid.size:
            cut = f"kept whole, {_shape(volume)} voxels"
        facts.append(f"{subject}: {cut}, {found.region.words}.")
        if isotropic_mm is not None or spacing_factor is not None:
            spacing_mm = np.asarray(cropped.grid.spacing_mm) * (spacing_factor or 1.0)
            if isotropic_mm is not None:
                spacing_mm = np.full(3, isotropic_mm)
            cropped = resample_to_spacing(cropped, spacing_mm)
            if cropped_mask is not None:
                cropped_mask = resample_to_spacing(cropped_mask, spacing_mm, is_mask=True)
            size = " x ".join(f"{step:.3g}" for step in spacing_mm)
            facts.append(f"{subject}: resampled to {size} mm, {_shape(cropped)} voxels.")
        if cropped_mask is not None and not np.any(cropped_mask.voxels):
            remedy = "Choose another region or mask, or no masks."
            raise InputError(volume.name, "nothing of its mask lies in the region", remedy)
        prepared.append(PreparedVolume(cropped, cropped_mask, field))
    return Preprocessed(prepared[0], prepared[1], found.region, tuple(facts))


def _shape(volume: Volume) -> str:
    return " x ".join(map(str, volume.grid.size))
