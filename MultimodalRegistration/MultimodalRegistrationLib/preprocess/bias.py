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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import Cancelled, EngineError, InputError
from ..core.machine import usable_cores
from ..core.volume import Volume
from .intensities import guess_modality

# So many sets of so many keep the field within 2 % of that of all voxels (Testing/Benchmarks/bias.md); fewer in small
# volumes, where three would be a third of all voxels and no faster.
_MAX_SETS = 3
_MIN_THINNING = 4
_MIN_IN_SET = 28_000
_MIN_FOR_FOREGROUND = 85_000
# For the 8 spans of the finest B-spline.
_MIN_ALONG_AXIS = 16
# Below this share of usable voxels there is no histogram to sharpen.
_MIN_VOXELS = 1000
_SECONDS_BETWEEN_LOOKS = 0.05
_LEVELS = 4
_ITERATIONS = 50
# Half a second.
_SAMPLES = 6_000
# Three of them beside each other fit into a narrow panel.
_PIXELS = 130
# The field is shown from half to twice.
_FIELD_OCTAVES = 1.0


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

    def report(share: float) -> None:
        if on_progress is not None:
            on_progress(share)

    _stop_if(cancel)
    image = sitk.Cast(volume.image, sitk.sitkFloat32)
    used = _usable_voxels(volume, image, mask)
    lattices = _lattices(image, shrink)
    _stop_if(cancel)
    fields = _log_bias_fields(
        [_taken(image, *lattice) for lattice in lattices],
        [_taken(used, *lattice) for lattice in lattices],
        volume.name,
        on_progress=lambda share: report(0.95 * share),
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
    report(1.0)
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
    sampled = sitk.Cast(sitk.Shrink(image, _even_step(image, _MIN_FOR_FOREGROUND)), sitk.sitkFloat32)
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
        remedy = "Bias correction is for MR volumes; leave it out here."
        raise InputError(volume.name, "this is a CT, which has no bias field", remedy)
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
    if positive < _MIN_VOXELS or positive < total / 2:
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
        step = [int(n) for n in np.clip(size // _MIN_ALONG_AXIS, 1, shrink)]
        return [(step, [n // 2 for n in step])]
    step = _even_step(image, _MIN_IN_SET)
    sets = min(_MAX_SETS, int(np.prod(step)) // _MIN_THINNING)
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
        if np.prod(size // step) < fewest or size[densest] // step[densest] < _MIN_ALONG_AXIS:
            step[densest] -= 1
            return [int(s) for s in step]


def _on_grid(sampled: sitk.Image, image: sitk.Image, interpolator: int) -> sitk.Image:
    return sitk.Resample(sampled, image, interpolator=interpolator, useNearestNeighborExtrapolator=True)


def _mean_within(image: sitk.Image, mask: sitk.Image) -> float:
    marked = sitk.GetArrayViewFromImage(mask) > 0
    return float(sitk.GetArrayViewFromImage(image)[marked].mean(dtype=np.float64))


def _log_bias_fields(
    images: Sequence[sitk.Image],
    masks: Sequence[sitk.Image],
    name: str,
    *,
    on_progress: Callable[[float], None],
    cancel: threading.Event | None,
) -> list[sitk.Image]:
    """Find the logarithm of the bias field of each image, on its grid, by N4.

    Each image has a thread of its own, and the cores are shared out between them. A cancel is answered at once; the
    threads end after their current iteration.
    """
    cores = max(1, min(usable_cores(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()) // len(images))
    runs = [_Run(image, mask, cores) for image, mask in zip(images, masks, strict=True)]
    for run in runs:
        run.start()
    reported = 0.0
    try:
        for run in runs:
            while run.is_alive():
                run.join(_SECONDS_BETWEEN_LOOKS)
                _stop_if(cancel)
                share = sum(run.watcher.share for run in runs) / len(runs)
                if share > reported:
                    reported = share
                    on_progress(share)
    except BaseException:
        for run in runs:
            run.watcher.ended.set()
        raise
    for run in runs:
        if run.failure is not None:
            raise EngineError(name, f"N4 stopped ({run.failure})", "Give a mask of the tissue.") from run.failure
    return [run.n4.GetLogBiasFieldAsImage(run.image) for run in runs]


class _Run(threading.Thread):
    def __init__(self, image: sitk.Image, mask: sitk.Image, cores: int) -> None:
        super().__init__(name="N4")
        self.image, self._mask = image, mask
        self.n4 = sitk.N4BiasFieldCorrectionImageFilter()
        self.n4.SetMaximumNumberOfIterations([_ITERATIONS] * _LEVELS)
        self.n4.SetNumberOfThreads(cores)
        self.watcher = _Watcher(self.n4)
        self.n4.AddCommand(sitk.sitkIterationEvent, self.watcher)
        self.failure: RuntimeError | None = None

    def run(self) -> None:
        try:
            self.n4.Execute(self.image, self._mask)
        except RuntimeError as error:
            self.failure = error


class _Watcher(sitk.Command):  # type: ignore[misc]
    """Notes the progress after each iteration and ends the filter.

    N4 never looks at the flag that ``Abort`` sets; an exception out of a command does end it.
    """

    def __init__(self, n4: sitk.N4BiasFieldCorrectionImageFilter) -> None:
        super().__init__()
        self._n4 = n4
        self.share = 0.0
        self.ended = threading.Event()

    def Execute(self) -> None:  # noqa: N802 (the name that SimpleITK calls)
        if self.ended.is_set():
            raise Cancelled("Bias correction")
        within = min(1.0, self._n4.GetElapsedIterations() / _ITERATIONS)
        self.share = (self._n4.GetCurrentLevel() + within) / _LEVELS


@dataclass(frozen=True)
class BiasPreview:
    """An axial slice through the middle, as radiologists look at it, on square pixels.

    Parameters
    ----------
    before, after : array, shape (rows, columns)
        Intensities.
    field : array, shape (rows, columns)
        What ``before`` was divided by.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    field: NDArray[np.float32]


def preview_bias(volume: Volume, *, cancel: threading.Event | None = None) -> BiasPreview:
    """Show what the correction of the bias field would do.

    Parameters
    ----------
    volume : Volume
        Not changed.
    cancel : threading.Event, optional
        Set it to stop; answered at once.

    Returns
    -------
    BiasPreview
        The field is found on some 6,000 voxels instead of 85,000.

    Raises
    ------
    InputError
        A CT, or a volume with hardly any positive voxel.
    Cancelled
        ``cancel`` was set.
    """
    size, spacing = np.asarray(volume.image.GetSize()), np.asarray(volume.image.GetSpacing())
    # Such that the samples are evenly spaced.
    wanted_mm = float((np.prod(size * spacing) / _SAMPLES) ** (1 / 3))
    steps = np.clip(np.rint(wanted_mm / spacing), 1, np.maximum(1, size // _MIN_ALONG_AXIS))
    coarse = sitk.Shrink(volume.image, [int(step) for step in steps])
    field = correct_bias(Volume(coarse, volume.name), shrink=1, cancel=cancel).field.image
    plane = _axial_plane(volume.image)
    slices = []
    for image, outside in ((volume.image, float(volume.voxels.min())), (field, 1.0)):
        on_plane = sitk.Resample(image, plane, defaultPixelValue=outside, outputPixelType=sitk.sitkFloat32)
        slices.append(sitk.GetArrayFromImage(on_plane)[0])
    return BiasPreview(slices[0], slices[0] / slices[1], slices[1])


def write_preview(preview: BiasPreview, path: Path) -> None:
    """Write a preview as a picture: before, after and the field, side by side.

    Parameters
    ----------
    preview : BiasPreview
        Before and after get the same window.
    path : Path
        A PNG file.
    """
    low, high = np.percentile(preview.before, [1, 99.5])
    scale = max(float(high - low), 1e-30)
    tiles = [(part - low) / scale for part in (preview.before, preview.after)]
    tiles.append(0.5 + np.log2(preview.field) / (2 * _FIELD_OCTAVES))
    gap = np.zeros((preview.before.shape[0], 4))
    picture = np.concatenate([tiles[0], gap, tiles[1], gap, tiles[2]], axis=1)
    sitk.WriteImage(sitk.GetImageFromArray((255 * np.clip(picture, 0, 1)).astype(np.uint8)), str(path))


def _axial_plane(image: sitk.Image) -> sitk.Image:
    """An empty slice of square pixels, rows from anterior to posterior, through the middle of the volume."""
    oriented = sitk.DICOMOrient(image, "LPS")
    extent = [oriented.GetSize()[axis] * oriented.GetSpacing()[axis] for axis in range(2)]
    step = max(extent) / _PIXELS
    size = [max(2, round(length / step)) for length in extent]
    plane = sitk.Image([*size, 1], sitk.sitkFloat32)
    plane.SetSpacing([step, step, step])
    plane.SetDirection(oriented.GetDirection())
    middle = [(count - 1) / 2 for count in oriented.GetSize()]
    center = np.asarray(oriented.TransformContinuousIndexToPhysicalPoint(middle))
    axes = np.asarray(oriented.GetDirection()).reshape(3, 3)
    plane.SetOrigin((center - axes[:, :2] @ ((np.asarray(size) - 1) / 2 * step)).tolist())
    return plane
