"""Findings about the voxels of a volume: their values, and whole slices that are padding, blank or copies."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.volume import Volume
from ..io.volume_checks import check_label_map, check_values
from .findings import Finding, describe_orientation, finding_of_error

_SUBSAMPLE_VOXELS = 2_000_000
# Of the voxels that are not background.
_SATURATED_SHARE = 0.005
# Above the number expected from the values just below the maximum.
_SATURATED_EXCESS = 5.0
_ALMOST_EMPTY_SHARE = 0.005
# Where CT without rescale has soft tissue (fat about 920, muscle about 1080), and how much of all but air and bone.
_RAW_TISSUE = (850.0, 1200.0)
_RAW_TISSUE_SHARE = 0.7
_RAW_AIR_BELOW = 200.0
_RAW_BONE_FROM = 1500.0
_RAW_MAX = 8192.0
_LISTED = 5
# Voxels along each edge of a slice by which slices are told apart.
_LOOKED_AT = 16
# Around the head there may be a few empty slices on any side; they are reported when they are many.
_PADDED_SHARE = 0.1
# A slice with less in it than this, such as the last speck of a scalp, does not make its blank neighbour a lost slice.
_FILLED_SHARE = 0.05


def value_findings(volume: Volume) -> Iterator[Finding]:
    """Look at the values of a scalar volume.

    Parameters
    ----------
    volume : Volume
        Read completely; not changed.

    Yields
    ------
    Finding
        A volume without contents, or of labels, gives its error alone.
    """
    try:
        check_values(volume.image, volume.name)
        check_label_map(volume.image, volume.name)
    except InputError as error:
        yield finding_of_error(error)
        return
    voxels = volume.voxels
    sample = np.asarray(voxels.ravel()[:: max(1, voxels.size // _SUBSAMPLE_VOXELS)])
    # A value that nearly all voxels have is the median.
    median = np.partition(sample, sample.size // 2)[sample.size // 2]
    share = 1.0 - float(np.mean(sample == median))
    if share < _ALMOST_EMPTY_SHARE:
        yield Finding(
            "almost-empty",
            "warning",
            f"{1 - share:.2%} of the voxels have the same value ({median:g})",
            "Check that the right volume was exported. Crop it to what it shows (in Slicer: Crop Volume module).",
        )
    yield from _saturated(sample, float(voxels.max()))
    yield from _ct_without_rescale(sample)


def _saturated(sample: NDArray[Any], highest: float) -> Iterator[Finding]:
    """Many voxels at the maximum, and many more than just below it: the top of the range was cut off."""
    foreground = sample[sample > sample.min()]
    at_top = int(np.count_nonzero(foreground == highest))
    share = at_top / max(1, foreground.size)
    if share < _SATURATED_SHARE:
        return
    # The tenth of the range below the maximum, taken as a hundred steps, shows what the top value alone would hold.
    span = highest - float(foreground.min())
    below = int(np.count_nonzero((foreground < highest) & (foreground >= highest - 0.1 * span)))
    steps = min(100.0, 0.1 * span) if np.issubdtype(sample.dtype, np.integer) else 100.0
    if at_top < _SATURATED_EXCESS * below / max(1.0, steps):
        return
    yield Finding(
        "clipped-range",
        "warning",
        f"{share:.1%} of the voxels that are not background have exactly the highest value, {highest:g}: the range of "
        "values was cut off, and what is brighter cannot be told apart",
        "Export the volume again without a window and in 16 bits (in Slicer: load the original series and save it as "
        ".nrrd).",
    )


def _ct_without_rescale(sample: NDArray[Any]) -> Iterator[Finding]:
    """Air near 0 and a narrow peak of soft tissue near 1024, where Hounsfield units have -1000 and 0."""
    if sample.min() < 0 or sample.max() > _RAW_MAX:
        return
    tissue = sample[(sample > _RAW_AIR_BELOW) & (sample < _RAW_BONE_FROM)]
    if tissue.size < 0.02 * sample.size:
        return
    counts, edges = np.histogram(tissue, bins=np.arange(_RAW_AIR_BELOW, _RAW_BONE_FROM + 1, 16.0))
    peak = float(edges[counts.argmax()] + 8.0)
    within = float(np.mean((tissue >= _RAW_TISSUE[0]) & (tissue <= _RAW_TISSUE[1])))
    if not (_RAW_TISSUE[0] <= peak <= _RAW_TISSUE[1]) or within < _RAW_TISSUE_SHARE:
        return
    yield Finding(
        "ct-without-rescale",
        "note",
        f"if this is a CT, its values are not in Hounsfield units: the lowest is {float(sample.min()):g} and soft "
        f"tissue lies near {peak:.0f}, instead of -1000 and 40",
        "Registration works all the same; thresholds in Hounsfield units do not. Load the DICOM series instead, or "
        "subtract 1024 (in Slicer: Simple Filters module, ShiftScaleImageFilter, Shift -1024).",
    )


def slice_findings(volume: Volume) -> Iterator[Finding]:
    """Look for slices without contents and for copies, along all three axes.

    Parameters
    ----------
    volume : Volume
        Scalar; not changed.

    Yields
    ------
    Finding
        Slice numbers count from 0, as in Slicer.
    """
    padded = []
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
            yield Finding(
                "blank-slices",
                "warning",
                f"{len(between)} slices between others along {'IJK'[axis]} hold a single value: {_listed(between)}",
                "Slices were lost when the volume was written. Export it again from the original series.",
            )
        if repeated:
            copies = _listed([f"{later} (as {earlier})" for earlier, later in repeated])
            yield Finding(
                "repeated-slices",
                "warning",
                f"{len(repeated)} of {len(blank)} slices along {'IJK'[axis]} are copies of others: {copies}",
                "Slices were written twice, or the volume was enlarged by repetition; the spacing may then be wrong. "
                "Export it again from the original series.",
            )
    if padded:
        yield Finding(
            "padded-slices",
            "note",
            f"slices with a single value: {', '.join(padded)}",
            "Harmless; cropping them makes everything faster (in Slicer: Crop Volume module).",
        )


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


def _listed(items: Sequence[object]) -> str:
    more = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(map(str, items[:_LISTED])) + more
