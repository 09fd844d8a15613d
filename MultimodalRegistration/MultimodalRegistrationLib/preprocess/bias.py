"""Correction of the slow brightness variation of MR coils (bias field) by N4.

The measured image is the true one times a smooth field. N4 finds the field from the histogram of the logarithm,
level by level with finer B-splines (Tustison et al. 2010, doi:10.1109/TMI.2010.2046908). A smooth field does not need
every voxel: it is found from every n-th one along each axis, and its logarithm is brought to all voxels by linear
interpolation. Single voxels are taken, not means of blocks: means have less noise, which narrows the histogram that N4
works with, and the field is then further from that of all voxels.

Which voxels are taken changes the field by several percent, and those changes are chance: the mean of the fields of
three interleaved sets of voxels is nearer to the field of all voxels than that of one set of as many, and the sets can
be worked on side by side. Figures: Testing/Benchmarks/bias.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from ..core.errors import Cancelled, InputError
from ..core.volume import Volume
from .masks.modality import guess_modality
from .n4 import log_bias_fields

__all__ = ["BiasCorrection", "correct_bias", "foreground_mask"]

# So many sets of so many keep the field within 2 % of that of all voxels (Testing/Benchmarks/bias.md); fewer in small
# volumes, where three would be a third of all voxels and no faster.
_MOST_SETS = 3
_SMALLEST_THINNING = 4
_FEWEST_IN_SET = 28_000
_FEWEST_FOR_FOREGROUND = 85_000
# For the 8 spans of the finest B-spline.
_FEWEST_ALONG_AXIS = 16
# Below this share of usable voxels there is no histogram to sharpen.
_FEWEST_VOXELS = 1000


@dataclass(frozen=True)
class BiasCorrection:
    """A corrected volume and the field that was taken out.

    Parameters
    ----------
    corrected : Volume
        The input divided by the field, 32-bit float, on the grid of the input.
    field : Volume
        The multiplicative field, 32-bit float, positive, on the same grid. Scaled such that the mean of the mask stays.
    """

    corrected: Volume
    field: Volume


def correct_bias(
    volume: Volume,
    *,
    mask: Volume | None = None,
    shrink: int | Literal["auto"] = "auto",
    on_progress: Callable[[float], None] | None = None,
    cancel: threading.Event | None = None,
) -> BiasCorrection:
    """Take the bias field out of an MR volume.

    Parameters
    ----------
    volume : Volume
        Positive where there is tissue. Never changed.
    mask : Volume, optional
        Voxels above zero are used to find the field; on the grid of ``volume``. By default :func:`foreground_mask`.
    shrink : int or "auto"
        Every how many voxels one is used, along each axis, from 1. ``"auto"``: the mean field of three interleaved sets
        of voxels, each as small and as evenly spaced as possible, but of at least 28,000 voxels.
    on_progress : callable, optional
        Called with the share of the work that is done, 0 to 1, from the calling thread.
    cancel : threading.Event, optional
        Set it to stop; answered at once.

    Returns
    -------
    BiasCorrection
        The corrected volume and the field. The mean intensity within the mask stays what it was.

    Raises
    ------
    InputError
        The mask is on another grid, too small, or marks hardly any positive voxel; or ``shrink`` is below 1.
    Cancelled
        ``cancel`` was set.

    References
    ----------
    Tustison et al., N4ITK: improved N3 bias correction, IEEE TMI 29 (2010), doi:10.1109/TMI.2010.2046908.
    """
    _stop_if(cancel)
    image = sitk.Cast(volume.image, sitk.sitkFloat32)
    used = _usable_voxels(volume, image, mask)
    lattices = _lattices(image, shrink)
    _stop_if(cancel)
    fields = log_bias_fields(
        [_taken(image, *lattice) for lattice in lattices],
        [_taken(used, *lattice) for lattice in lattices],
        volume.name,
        on_progress=None if on_progress is None else lambda share: on_progress(0.95 * share),
        cancel=cancel,
    )
    log_field = _on_grid(fields[0], image, sitk.sitkLinear)
    for field in fields[1:]:
        log_field += _on_grid(field, image, sitk.sitkLinear)
    log_field = sitk.Cast(log_field / len(fields), sitk.sitkFloat32)
    _stop_if(cancel)
    field = sitk.Exp(log_field)
    corrected = image / field
    ratio = _mean_within(corrected, used) / _mean_within(image, used)
    # SimpleITK multiplies by a number in double precision.
    field = sitk.Cast(field * ratio, sitk.sitkFloat32)
    corrected = sitk.Cast(corrected / ratio, sitk.sitkFloat32)
    if on_progress is not None:
        on_progress(1.0)
    return BiasCorrection(
        Volume(corrected, f"{volume.name} (bias corrected)"), Volume(field, f"{volume.name} (bias field)")
    )


def foreground_mask(image: sitk.Image) -> sitk.Image:
    """Mark the head or body: Otsu's threshold of the square root, the largest connected part, holes filled.

    The square root keeps bright fat from being the only foreground. Found on every n-th voxel, as the field is.

    Parameters
    ----------
    image : SimpleITK.Image
        An MR image.

    Returns
    -------
    SimpleITK.Image
        Unsigned 8-bit image of zeros and ones.
    """
    sampled = sitk.Cast(sitk.Shrink(image, _even_step(image, _FEWEST_FOR_FOREGROUND)), sitk.sitkFloat32)
    top = float(np.percentile(sitk.GetArrayViewFromImage(sampled), 99.5))
    roots = sitk.Sqrt(sitk.Clamp(sampled, sitk.sitkFloat32, 0.0, max(top, 1e-30)))
    bright = sitk.OtsuThreshold(roots, 0, 1)
    largest = sitk.RelabelComponent(sitk.ConnectedComponent(bright), sortByObjectSize=True) == 1
    return _on_grid(sitk.BinaryFillhole(largest), image, sitk.sitkNearestNeighbor)


def _stop_if(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled("Bias correction")


def _usable_voxels(volume: Volume, image: sitk.Image, mask: Volume | None) -> sitk.Image:
    """The mask without voxels that have no logarithm."""
    if guess_modality(volume) != "other":
        raise InputError(
            volume.name,
            "this is a CT, which has no bias field",
            "Bias correction is for MR volumes; leave it out here.",
        )
    if mask is None:
        marked = foreground_mask(image)
    else:
        if not mask.grid.coincides_with(volume.grid):
            raise InputError(
                mask.name,
                f"the mask is on another grid ({mask.grid.size}) than {volume.name} ({volume.grid.size})",
                "Resample it to the volume's grid, or leave it out.",
            )
        marked = sitk.Cast(mask.image > 0, sitk.sitkUInt8)
        marked.CopyInformation(image)
    used = sitk.And(marked, sitk.Cast(image > 0, sitk.sitkUInt8))
    total, positive = (int(np.count_nonzero(sitk.GetArrayViewFromImage(m))) for m in (marked, used))
    if positive < _FEWEST_VOXELS or positive < total / 2:
        raise InputError(
            volume.name if mask is None else mask.name,
            f"only {positive} of the {total} voxels to use are above zero",
            "Bias correction is for MR volumes, whose tissue is positive; give a mask of the tissue.",
        )
    return used


def _lattices(image: sitk.Image, shrink: int | Literal["auto"]) -> list[tuple[list[int], list[int]]]:
    """Sets of voxels: every how many one is taken along I, J, K, and the first ones."""
    size = np.asarray(image.GetSize())
    if shrink != "auto":
        if shrink < 1:
            raise InputError("shrink", f"{shrink} was given", "Give a whole number from 1, or leave it out.")
        step = [int(n) for n in np.clip(size // _FEWEST_ALONG_AXIS, 1, shrink)]
        return [(step, [n // 2 for n in step])]
    step = _even_step(image, _FEWEST_IN_SET)
    sets = min(_MOST_SETS, int(np.prod(step)) // _SMALLEST_THINNING)
    if sets == 0:
        return [([1, 1, 1], [0, 0, 0])]
    # Evenly spaced along the diagonal of the step.
    return [(step, [n * (2 * number + 1) // (2 * sets) for n in step]) for number in range(sets)]


def _taken(image: sitk.Image, step: list[int], first: list[int]) -> sitk.Image:
    return image[first[0] :: step[0], first[1] :: step[1], first[2] :: step[2]]


def _even_step(image: sitk.Image, fewest: int) -> list[int]:
    """Every how many voxels one is taken, along I, J, K, for at least so many, as evenly spaced as possible."""
    size = np.asarray(image.GetSize())
    step = np.ones(3, dtype=int)
    while True:
        # The axis with the densest samples is thinned out next, which makes them evenly spaced in the end.
        densest = int((step * image.GetSpacing()).argmin())
        step[densest] += 1
        if np.prod(size // step) < fewest or size[densest] // step[densest] < _FEWEST_ALONG_AXIS:
            step[densest] -= 1
            return [int(s) for s in step]


def _on_grid(sampled: sitk.Image, image: sitk.Image, interpolator: int) -> sitk.Image:
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(image)
    resampler.SetInterpolator(interpolator)
    resampler.UseNearestNeighborExtrapolatorOn()
    return resampler.Execute(sampled)


def _mean_within(image: sitk.Image, mask: sitk.Image) -> float:
    marked = sitk.GetArrayViewFromImage(mask) > 0
    return float(sitk.GetArrayViewFromImage(image)[marked].mean(dtype=np.float64))
