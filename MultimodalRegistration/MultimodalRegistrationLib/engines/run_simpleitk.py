"""One registration with SimpleITK's own framework, inside the worker. Nothing to install: Slicer brings SimpleITK."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from MultimodalRegistrationLib.engines.handover import EngineJob
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.linear import matrix_from_sitk, sitk_from_matrix

__all__ = ["run"]

_TRANSFORMS: dict[str, Callable[[], Any]] = {
    "rigid": sitk.Euler3DTransform,
    "similarity": sitk.Similarity3DTransform,
    "affine": lambda: sitk.AffineTransform(3),
}


def run(job: EngineJob, folder: Path) -> NDArray[np.float64]:
    """Register with SimpleITK: Mattes mutual information, regular-step gradient descent.

    Parameters
    ----------
    job : EngineJob
        Stages as in :data:`~MultimodalRegistrationLib.presets.specification.STAGE_SETTINGS`.
    folder : Path
        Unused: nothing is written.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``.
    """
    fixed, moving = _image(job.fixed.voxels, job.fixed.grid), _image(job.moving.voxels, job.moving.grid)
    masks = (
        None if job.fixed.mask is None else _image(job.fixed.mask, job.fixed.grid),
        None if job.moving.mask is None else _image(job.moving.mask, job.moving.grid),
    )
    matrix = np.eye(4)
    for number, stage in enumerate(job.stages):
        matrix = matrix @ _run_stage(number, stage, job, matrix, fixed, moving, masks)
    return matrix


def _run_stage(
    number: int,
    stage: dict[str, Any],
    job: EngineJob,
    previous: NDArray[np.float64],
    fixed: sitk.Image,
    moving: sitk.Image,
    masks: tuple[sitk.Image | None, sitk.Image | None],
) -> NDArray[np.float64]:
    """Refine ``previous``; the result is applied before it, so that the centre of rotation is the fixed volume's."""
    transform = _TRANSFORMS[stage["transform"]]()
    transform.SetCenter(job.fixed.grid.center_lps.tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMovingInitialTransform(sitk_from_matrix(previous))
    method.SetInitialTransform(transform, inPlace=True)
    method.SetMetricAsMattesMutualInformation(stage["histogram_bins"])
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(stage["sampling_rate"], job.seed)
    if masks[0] is not None:
        method.SetMetricFixedMask(masks[0])
    if masks[1] is not None:
        method.SetMetricMovingMask(masks[1])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=stage["learning_rate_mm"],
        minStep=stage["minimum_step_mm"],
        numberOfIterations=stage["iterations"],
        relaxationFactor=stage["relaxation"],
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(stage["shrink_factors"])
    method.SetSmoothingSigmasPerLevel(stage["smoothing_sigmas_mm"])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()

    def report() -> None:
        # The same columns as engines.logs reads.
        print(
            f"STAGE {number} LEVEL {method.GetCurrentLevel()} ITERATION {method.GetOptimizerIteration()} "
            f"METRIC {method.GetMetricValue():.6f} STEP {method.GetOptimizerLearningRate():.6g}",
            flush=True,
        )

    method.AddCommand(sitk.sitkIterationEvent, report)
    method.Execute(fixed, moving)
    print(f"STOPPED {method.GetOptimizerStopConditionDescription()}", flush=True)
    return matrix_from_sitk(transform)


def _image(voxels: NDArray[Any], grid: VolumeGrid) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    grid.place(image)
    return image
