"""Findings about whole slices: padding at the ends, blank ones between others, and copies."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.volume import Volume
from .findings import Finding
from .orientation import describe_orientation

__all__ = ["slice_findings"]

_LISTED = 5
# Voxels along each edge of a slice by which slices are told apart.
_LOOKED_AT = 16
# Around the head there may be a few empty slices on any side; they are told when they are many.
_PADDED_SHARE = 0.1
# A slice with less in it than this, such as the last speck of a scalp, does not make its blank neighbour a lost slice.
_FILLED_SHARE = 0.05


def slice_findings(volume: Volume) -> tuple[Finding, ...]:
    """Look for slices without contents and for copies, along all three axes.

    Parameters
    ----------
    volume : Volume
        Scalar; not changed.

    Returns
    -------
    tuple of Finding
        Slice numbers count from 0, as in Slicer.
    """
    padded, findings = [], []
    ends = describe_orientation(volume.grid).ends
    for axis in range(3):
        slices = np.moveaxis(volume.voxels, 2 - axis, 0)
        blank, repeated = _blank_and_repeated(slices)
        filled = np.flatnonzero(~blank)
        if filled.size == 0:
            continue
        first, last = int(filled[0]), int(filled[-1])
        after = len(blank) - 1 - last
        # Along the slice axis every empty slice counts: scanners and converters add them there.
        if axis == 2 or first + after >= _PADDED_SHARE * len(blank):
            for count, end, place in ((first, ends[axis][0], 0), (after, ends[axis][1], -1)):
                if count:
                    padded.append(f"{count} at the {end} end (value {slices[place].flat[0]:g})")
        between = _lost(slices, blank, first, last)
        if between:
            findings.append(_blank(between, "IJK"[axis]))
        if repeated:
            findings.append(_copies(repeated, "IJK"[axis], len(blank)))
    if padded:
        findings.append(
            Finding(
                "padded-slices",
                "note",
                f"slices with a single value: {', '.join(padded)}",
                "Harmless; cropping them makes everything faster (in Slicer: Crop Volume module).",
            )
        )
    return tuple(findings)


def _blank_and_repeated(slices: NDArray[Any]) -> tuple[NDArray[np.bool_], list[tuple[int, int]]]:
    """Which slices hold one value only, and pairs of a slice and the earlier one that it is a copy of."""
    rows, columns = (max(1, length // _LOOKED_AT) for length in slices.shape[1:])
    # Slices that differ in a few of their voxels are different; only the others are compared as a whole.
    samples = np.ascontiguousarray(slices[:, ::rows, ::columns]).reshape(len(slices), -1)
    blank = (samples == samples[:, :1]).all(axis=1)
    for number in np.flatnonzero(blank):
        blank[number] = (slices[number] == slices[number].flat[0]).all()
    keys = [sample.tobytes() for sample in samples]
    alike = Counter(key for key, empty in zip(keys, blank, strict=True) if not empty)
    first_with: dict[bytes, int] = {}
    repeated = []
    for number, plane in enumerate(slices):
        if blank[number] or alike[keys[number]] == 1:
            continue
        digest = hashlib.blake2b(plane.tobytes(), digest_size=16).digest()
        earlier = first_with.setdefault(digest, number)
        if earlier != number:
            repeated.append((earlier, number))
    return blank, repeated


def _lost(slices: NDArray[Any], blank: NDArray[np.bool_], first: int, last: int) -> list[int]:
    """Blank slices whose nearest other neighbours on both sides show much."""
    lost = []
    for number in (np.flatnonzero(blank[first:last]) + first).tolist():
        before = int(np.flatnonzero(~blank[:number])[-1])
        after = number + int(np.flatnonzero(~blank[number:])[0])
        value = slices[number].flat[0]
        if all(np.mean(slices[neighbour] != value) >= _FILLED_SHARE for neighbour in (before, after)):
            lost.append(number)
    return lost


def _blank(numbers: list[int], axis: str) -> Finding:
    return Finding(
        "blank-slices",
        "warning",
        f"{len(numbers)} slices between others along {axis} hold a single value: {_list(numbers)}",
        "Slices were lost when the volume was written. Export it again from the original series.",
    )


def _copies(repeated: list[tuple[int, int]], axis: str, count: int) -> Finding:
    pairs = ", ".join(f"{later} (as {earlier})" for earlier, later in repeated[:_LISTED])
    more = f" and {len(repeated) - _LISTED} more" if len(repeated) > _LISTED else ""
    return Finding(
        "repeated-slices",
        "warning",
        f"{len(repeated)} of {count} slices along {axis} are copies of others: {pairs}{more}",
        "Slices were written twice, or the volume was enlarged by repetition; the spacing may then be wrong. Export it "
        "again from the original series.",
    )


def _list(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_LISTED]))
    return shown if len(numbers) <= _LISTED else f"{shown} and {len(numbers) - _LISTED} more"
