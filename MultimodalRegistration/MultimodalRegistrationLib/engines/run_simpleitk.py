"""One registration with SimpleITK's own framework, inside the worker. Nothing to install: Slicer brings SimpleITK."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.grid import VolumeGrid
from ..core.linear import matrix_from_sitk, sitk_from_matrix
from .jobs import EngineJob

_TRANSFORMS: dict[str, Callable[[], Any]] = {
    "rigid": sitk.Euler3DTransform,
    "similarity": sitk.Similarity3DTransform,
    "affine": lambda: sitk.AffineTransform(3),
}
# Line searches get stuck on the ridges of a sampled metric: they are begun anew, with new directions, while it helps.
_MAX_SEARCHES = 4
_WORTH_ANOTHER = 1e-5


def run(job: EngineJob, folder: Path) -> NDArray[np.float64]:
    """Register with SimpleITK: Mattes mutual information, gradient descent, then Powell's line searches.

    Parameters
    ----------
    job : EngineJob
        Stages hold the settings of :data:`~MultimodalRegistrationLib.engines.catalogue.ENGINES`.
    folder : Path
        Unused: nothing is written.

    Returns
    -------
    array, shape (4, 4)
        ``metric_fixed_to_metric_moving_lps``.
    """
    volumes = (job.metric_fixed, job.metric_moving)
    images = [_image(volume.voxels, volume.grid) for volume in volumes]
    masks = [None if volume.mask is None else _image(volume.mask, volume.grid) for volume in volumes]
    matrix = np.eye(4)
    for number, stage in enumerate(job.stages):
        for level, resolution_mm in enumerate(stage["resolutions_mm"]):
            matrix = matrix @ _run_level(number, level, stage, resolution_mm, job, matrix, images, masks)
    return matrix


def _run_level(
    number: int,
    level: int,
    stage: dict[str, Any],
    resolution_mm: float,
    job: EngineJob,
    previous: NDArray[np.float64],
    images: list[sitk.Image],
    masks: list[sitk.Image | None],
) -> NDArray[np.float64]:
    """Refine ``previous``; the result is applied before it, so that the centre of rotation is the fixed volume's."""
    fixed_mask, moving_mask = masks
    fixed, moving = (_coarsen(image, resolution_mm) for image in images)
    transform = _TRANSFORMS[stage["transform"]]()
    transform.SetCenter(job.metric_fixed.grid.center_lps.tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMovingInitialTransform(sitk_from_matrix(previous))
    method.SetInitialTransform(transform, inPlace=True)
    method.SetMetricAsMattesMutualInformation(stage["histogram_bins"])
    # The share is drawn from the whole grid and then loses what the mask leaves out.
    voxels = fixed.GetNumberOfPixels()
    if fixed_mask is not None:
        voxels = max(1, round(voxels * float(sitk.GetArrayViewFromImage(fixed_mask).mean())))
        method.SetMetricFixedMask(fixed_mask)
    if moving_mask is not None:
        method.SetMetricMovingMask(moving_mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, stage["samples"] / voxels), job.seed)
    method.SetInterpolator(sitk.sitkLinear)
    # Gradient descent is robust far from the answer but creeps along the flat rotations of round heads; Powell's line
    # searches do not, and finish the work on the last level.
    last = level == len(stage["resolutions_mm"]) - 1
    if last:
        _use_powell(method, resolution_mm, stage["convergence_threshold"])
    else:
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=resolution_mm,
            minStep=resolution_mm / 500,
            numberOfIterations=stage["iterations"],
            relaxationFactor=0.8,
            gradientMagnitudeTolerance=1e-8,
        )
        method.SetOptimizerScalesFromPhysicalShift()

    def report() -> None:
        # The same columns as engines.catalogue.LogPatterns describes.
        print(
            f"STAGE {number} LEVEL {level} ITERATION {method.GetOptimizerIteration()} "
            f"METRIC {method.GetMetricValue():.6f}",
            flush=True,
        )

    method.AddCommand(sitk.sitkIterationEvent, report)
    method.Execute(fixed, moving)
    for _ in range(_MAX_SEARCHES - 1 if last else 0):
        before = method.GetMetricValue()
        _use_powell(method, resolution_mm / 2, stage["convergence_threshold"] / 10)
        method.Execute(fixed, moving)
        # Negative mutual information: less is better.
        if method.GetMetricValue() > before - _WORTH_ANOTHER:
            break
    print(f"STOPPED {method.GetOptimizerStopConditionDescription()}", flush=True)
    return matrix_from_sitk(transform)


def _use_powell(method: sitk.ImageRegistrationMethod, step_mm: float, tolerance: float) -> None:
    method.SetOptimizerAsPowell(
        numberOfIterations=20,
        maximumLineIterations=50,
        stepLength=step_mm,
        stepTolerance=step_mm / 200,
        valueTolerance=tolerance,
    )
    method.SetOptimizerScalesFromPhysicalShift()


def _coarsen(volume: sitk.Image, resolution_mm: float) -> sitk.Image:
    """Smooth and shrink each axis on its own, so that thick slices are not shrunk with the rest."""
    factors = [max(1, round(resolution_mm / spacing)) for spacing in volume.GetSpacing()]
    sigmas_mm = [0.5 * resolution_mm if factor > 1 else 0.0 for factor in factors]
    for axis, sigma_mm in enumerate(sigmas_mm):
        if sigma_mm > 0:
            volume = sitk.RecursiveGaussian(volume, sigma_mm, False, sitk.RecursiveGaussianImageFilter.ZeroOrder, axis)
    return sitk.Shrink(volume, factors)


def _image(voxels: NDArray[Any], grid: VolumeGrid) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    grid.place(image)
    return image
