"""Findings about the values of a volume's voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.volume import Volume
from ..io.volume_checks import check_label_map, check_values
from .findings import Finding, finding_of_error

__all__ = ["value_findings"]

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
_RAW_LARGEST = 8192.0


def value_findings(volume: Volume) -> tuple[Finding, ...]:
    """Look at the values of a scalar volume.

    Parameters
    ----------
    volume : Volume
        Read completely; not changed.

    Returns
    -------
    tuple of Finding
        A volume without contents, or of labels, gives its error alone.
    """
    try:
        check_values(volume.image, volume.name)
        check_label_map(volume.image, volume.name)
    except InputError as error:
        return (finding_of_error(error),)
    voxels = volume.voxels
    sample = np.asarray(voxels.ravel()[:: max(1, voxels.size // _SUBSAMPLE_VOXELS)])
    found = (_almost_empty(sample), _saturated(sample, float(voxels.max())), _ct_without_rescale(sample))
    return tuple(finding for finding in found if finding is not None)


def _almost_empty(sample: NDArray[Any]) -> Finding | None:
    # A value that nearly all voxels have is the median.
    value = np.partition(sample, sample.size // 2)[sample.size // 2]
    share = 1.0 - float(np.mean(sample == value))
    if share >= _ALMOST_EMPTY_SHARE:
        return None
    return Finding(
        "almost-empty",
        "warning",
        f"{1 - share:.2%} of the voxels have the same value ({value:g})",
        "Check that the right volume was exported. Crop it to what it shows (in Slicer: Crop Volume module).",
    )


def _saturated(sample: NDArray[Any], highest: float) -> Finding | None:
    """Many voxels at the maximum, and many more than just below it: the top of the range was cut off."""
    foreground = sample[sample > sample.min()]
    at_top = int(np.count_nonzero(foreground == highest))
    share = at_top / max(1, foreground.size)
    if share < _SATURATED_SHARE:
        return None
    # The tenth of the range below the maximum, taken as a hundred steps, tells what the top value alone would hold.
    span = highest - float(foreground.min())
    below = int(np.count_nonzero((foreground < highest) & (foreground >= highest - 0.1 * span)))
    steps = min(100.0, 0.1 * span) if np.issubdtype(sample.dtype, np.integer) else 100.0
    if at_top < _SATURATED_EXCESS * below / max(1.0, steps):
        return None
    return Finding(
        "clipped-range",
        "warning",
        f"{share:.1%} of the voxels that are not background have exactly the highest value, {highest:g}: the range of "
        "values was cut off, and what is brighter cannot be told apart",
        "Export the volume again without a window and in 16 bits (in Slicer: load the original series and save it as "
        ".nrrd).",
    )


def _ct_without_rescale(sample: NDArray[Any]) -> Finding | None:
    """Air near 0 and a narrow peak of soft tissue near 1024, where Hounsfield units have -1000 and 0."""
    if sample.min() < 0 or sample.max() > _RAW_LARGEST:
        return None
    tissue = sample[(sample > _RAW_AIR_BELOW) & (sample < _RAW_BONE_FROM)]
    if tissue.size < 0.02 * sample.size:
        return None
    counts, edges = np.histogram(tissue, bins=np.arange(_RAW_AIR_BELOW, _RAW_BONE_FROM + 1, 16.0))
    peak = float(edges[counts.argmax()] + 8.0)
    within = float(np.mean((tissue >= _RAW_TISSUE[0]) & (tissue <= _RAW_TISSUE[1])))
    if not (_RAW_TISSUE[0] <= peak <= _RAW_TISSUE[1]) or within < _RAW_TISSUE_SHARE:
        return None
    return Finding(
        "ct-without-rescale",
        "note",
        f"if this is a CT, its values are not in Hounsfield units: the lowest is {float(sample.min()):g} and soft "
        f"tissue lies near {peak:.0f}, instead of -1000 and 40",
        "Registration works all the same; thresholds in Hounsfield units do not. Load the DICOM series instead, or "
        "subtract 1024 (in Slicer: Simple Filters module, ShiftScaleImageFilter, Shift -1024).",
    )
