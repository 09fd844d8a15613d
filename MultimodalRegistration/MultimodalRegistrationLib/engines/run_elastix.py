"""One elastix run, inside the worker.

Imports the compiled submodules of ITK by name: ``import itk`` and its lazy loader would take some 8 s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from itk import elxParameterObjectPython as elx_parameters
from itk import itkElastixRegistrationMethodPython as elx_registration
from itk import itkPointPython as itk_point
from itk import itkPyBufferPython as itk_buffer
from numpy.typing import NDArray

from ..core.coarse_voxels import has_coarse_voxels, has_thick_slices
from ..core.grid import VolumeGrid
from ..core.marked import box_of_marked
from ..io.tools.elastix_bspline import elastix_bspline, moved_bspline
from .elastix_frame import own_frame, place
from .handover import EngineJob
from .presets.specification import any_bends

__all__ = ["run"]

_SPARSE_MASK = 0.25
# Settings that mean the axes, or a point, of the space in which the volumes lie.
_AXES_IN_SPACE = {"Scales", "FixedImageDerivativeScales", "MovingImageDerivativeScales", "CenterOfRotationPoint"}
_SCHEDULES = {"FixedImagePyramidSchedule", "MovingImagePyramidSchedule"}


def run(job: EngineJob, folder: Path) -> NDArray[np.float64] | sitk.Transform:
    """Register with elastix.

    Parameters
    ----------
    job : EngineJob
        Stages hold elastix parameters by name.
    folder : Path
        Unused: elastix keeps everything in memory.

    Returns
    -------
    array, shape (4, 4), or SimpleITK.Transform
        ``fixed_to_moving_lps``; a transform where a stage bends.

    Raises
    ------
    RuntimeError
        elastix failed.
    """
    in_place = any(_AXES_IN_SPACE & stage.keys() for stage in job.stages)
    fixed_grid, to_own = (job.fixed.grid, np.eye(4)) if in_place else own_frame(job.fixed.grid)
    moving_grid = job.moving.grid.moved(to_own)
    method = elx_registration.itkElastixRegistrationMethodIF3IF3_New()
    fixed = _image(job.fixed.voxels, fixed_grid)
    moving = _image(job.moving.voxels, moving_grid)
    method.SetFixedImage(fixed)
    method.SetMovingImage(moving)
    if job.fixed.mask is not None:
        method.SetFixedMask(_image(job.fixed.mask, fixed_grid))
    if job.moving.mask is not None:
        method.SetMovingMask(_image(job.moving.mask, moving_grid))
    parameters = elx_parameters.elastixParameterObject_New()
    for stage in job.stages:
        special = {**_for_coarse_voxels(stage, job), **_sampler(stage, job.fixed.mask)}
        parameters.AddParameterMap(_parameter_map({**stage, **special}, job.seed))
    method.SetParameterObject(parameters)
    method.SetLogToConsole(True)
    method.Update()
    to_lps = np.linalg.inv(to_own)
    if not any_bends("elastix", job.stages):
        return to_lps @ _matrix(method.GetCombinationTransform()) @ to_own
    found = method.GetTransformParameterObject()
    bends = [_bent(found.GetParameterMap(number)) for number in reversed(range(len(job.stages)))]
    return sitk.CompositeTransform([moved_bspline(bend, to_lps) for bend in bends])


def _sampler(stage: dict[str, Any], mask: NDArray[np.uint8] | None) -> dict[str, Any]:
    """Another sampler for a mask that fills little of its bounding box.

    The others draw from the box, up to ten times as often as they need samples, and give up when most of them lie
    beside the mask.
    """
    if mask is None or stage.get("ImageSampler") not in ("Random", "RandomCoordinate"):
        return {}
    share = float(np.mean(mask[box_of_marked(mask)] > 0))
    return {"ImageSampler": "RandomSparseMask"} if share < _SPARSE_MASK else {}


def _for_coarse_voxels(stage: dict[str, Any], job: EngineJob) -> dict[str, Any]:
    """A much coarser volume is not smoothed at the end; thick slices are sampled at their voxels, and hardly smoothed.

    Between the voxels there is nothing but interpolation, and the scanner has averaged over them already. For settings
    as those of our presets only: linear stages that say how much both volumes are smoothed alike.
    """
    schedule = stage.get("ImagePyramidSchedule")
    if any_bends("elastix", [stage]) or not isinstance(schedule, list) or _SCHEDULES & stage.keys():
        return {}
    own = list(schedule)
    changes: dict[str, Any] = {"FixedImagePyramidSchedule": own, "MovingImagePyramidSchedule": schedule}
    if has_thick_slices(job.fixed.grid, job.moving.grid):
        across = int(np.argmax(job.fixed.grid.spacing_mm))
        # Of the coarsest resolution, the smoothing of half a slice stays: it is where the volumes are furthest apart.
        own[across::3] = [1 if number == 0 else 0 for number in range(len(own[across::3]))]
        return changes | ({"ImageSampler": "Random"} if stage.get("ImageSampler") == "RandomCoordinate" else {})
    # Other presets smooth at the end because they mean to.
    if has_coarse_voxels(job.fixed.grid, job.moving.grid) and len(own) > 3 and own[-3:] == [1, 1, 1]:
        own[-3:] = [0, 0, 0]
        return changes
    return {}


def _parameter_map(stage: dict[str, Any], seed: int) -> dict[str, tuple[str, ...]]:
    parameters = {
        # By default elastix would shrink the masks at coarse levels, and thin ones to nothing.
        "ErodeMask": False,
        **stage,
        "FixedImageDimension": 3,
        "MovingImageDimension": 3,
        "UseDirectionCosines": True,
        "AutomaticTransformInitialization": False,
        "WriteResultImage": False,
        "WriteFinalTransformParameters": False,
        "RandomSeed": seed,
    }
    return {key: _texts(value) for key, value in parameters.items()}


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)


def _image(voxels: NDArray[Any], grid: VolumeGrid) -> Any:
    """Voxels as an image that does not own them: what calls this keeps the job as long as elastix runs.

    To copy them, ITK would load its lazy modules in another half second.
    """
    buffer = itk_buffer.itkPyBufferIUC3 if voxels.dtype == np.uint8 else itk_buffer.itkPyBufferIF3
    image = buffer.GetImageViewFromArray(voxels)
    place(image, grid)
    return image


def _bent(found: Any) -> sitk.BSplineTransform:
    def numbers(key: str) -> list[float]:
        return [float(text) for text in found[key]]

    coefficients = numbers("TransformParameters")
    if not np.all(np.isfinite(coefficients)):
        raise RuntimeError("the transform holds NaN or infinite values")
    return elastix_bspline(
        int(found["BSplineTransformSplineOrder"][0]),
        size=[int(text) for text in found["GridSize"]],
        spacing_mm=numbers("GridSpacing"),
        origin_lps=numbers("GridOrigin"),
        direction_columns=numbers("GridDirection"),
        coefficients=coefficients,
        index=numbers("GridIndex"),
    )


def _matrix(transform: Any) -> NDArray[np.float64]:
    """Ask the transform where it takes the origin and the unit vectors: no parameterisation to get wrong."""

    def moved(point: list[float]) -> NDArray[np.float64]:
        start = itk_point.itkPointD3()
        for axis, coordinate in enumerate(point):
            start.SetElement(axis, coordinate)
        end = transform.TransformPoint(start)
        return np.array([end.GetElement(axis) for axis in range(3)])

    matrix = np.eye(4)
    matrix[:3, 3] = moved([0.0, 0.0, 0.0])
    for axis in range(3):
        matrix[:3, axis] = moved(list(np.eye(3)[axis])) - matrix[:3, 3]
    return matrix
