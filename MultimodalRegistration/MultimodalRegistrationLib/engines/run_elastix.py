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
from itk import itkImagePython as itk_image
from itk import itkMatrixPython as itk_matrix
from itk import itkPointPython as itk_point
from itk import itkPyBufferPython as itk_buffer
from itk import vnl_matrix_fixedPython as vnl_matrix
from numpy.typing import NDArray

from MultimodalRegistrationLib.engines.handover import EngineJob
from MultimodalRegistrationLib.geometry.coarse_voxels import has_coarse_voxels, has_thick_slices
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.marked import box_of_marked
from MultimodalRegistrationLib.io.tools.elastix_bspline import elastix_bspline
from MultimodalRegistrationLib.presets.specification import any_bends

__all__ = ["run"]

_SPARSE_MASK = 0.25
# Two or three are needed.
_TRIES = 64


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
    linear = not any_bends("elastix", job.stages)
    to_own = _to_own_frame(job.fixed.grid) if linear else np.eye(4)
    fixed_grid = _whole(job.fixed.grid) if linear else job.fixed.grid
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
    if linear:
        return np.linalg.inv(to_own) @ _matrix(method.GetCombinationTransform()) @ to_own
    found = method.GetTransformParameterObject()
    return sitk.CompositeTransform(
        [_bent(found.GetParameterMap(number)) for number in reversed(range(len(job.stages)))]
    )


def _handed_axes(grid: VolumeGrid) -> tuple[NDArray[np.float64], float]:
    """The rotation nearest to the axes of a grid, the third one turned round where it is left-handed; and 1 or -1."""
    axes = np.reshape(grid.direction, (3, 3))
    hand = float(np.sign(np.linalg.det(axes)))
    left, _, right = np.linalg.svd(axes * [1.0, 1.0, hand])
    return left @ right, hand


def _to_own_frame(grid: VolumeGrid) -> NDArray[np.float64]:
    """Rigid transform, shape (4, 4), that puts a grid's first voxel at zero and its axes along those of space."""
    rotation, _ = _handed_axes(grid)
    to_own = np.eye(4)
    to_own[:3, :3] = rotation.T
    to_own[:3, 3] = -rotation.T @ np.asarray(grid.origin_lps)
    return to_own


def _whole(grid: VolumeGrid) -> VolumeGrid:
    """The grid in its own frame, with spacings from which elastix finds all of its voxels.

    elastix maps the first and the last voxel to space and back, and rounds inwards: the last digit decides whether it
    uses the outermost layer of voxels. From zero and along the axes of space the first is exact, and the spacing is
    changed by some units in its last place until the last one is not lost.
    """
    _, hand = _handed_axes(grid)
    spacing = list(grid.spacing_mm)
    for _ in range(_TRIES):
        own = VolumeGrid(
            grid.size, (spacing[0], spacing[1], spacing[2]), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, hand)
        )
        last = _last_index(own)
        short = [axis for axis in range(3) if last[axis] < grid.size[axis] - 1]
        if not short:
            break
        for axis in short:
            spacing[axis] = float(np.nextafter(spacing[axis], np.inf))
    return own


def _last_index(grid: VolumeGrid) -> list[float]:
    """Continuous index of a grid's last voxel after elastix's way to space and back."""
    image = itk_image.itkImageF3.New()
    image.SetRegions(list(grid.size))
    _place(image, grid)
    point = image.TransformIndexToPhysicalPoint([n - 1 for n in grid.size])
    back = image.TransformPhysicalPointToContinuousIndex(point)
    return [back.GetElement(axis) for axis in range(3)]


def _sampler(stage: dict[str, Any], mask: NDArray[np.uint8] | None) -> dict[str, Any]:
    """Another sampler for a mask that fills little of its bounding box.

    RandomCoordinate draws from the box, up to ten times as often as it needs samples, and gives up when most of them
    lie beside the mask.
    """
    if mask is None or stage.get("ImageSampler") != "RandomCoordinate":
        return {}
    share = float(np.mean(mask[box_of_marked(mask)] > 0))
    return {"ImageSampler": "RandomSparseMask"} if share < _SPARSE_MASK else {}


def _for_coarse_voxels(stage: dict[str, Any], job: EngineJob) -> dict[str, Any]:
    """A much coarser volume is not smoothed at the end; thick slices are sampled at their voxels, and never smoothed.

    Between the voxels there is nothing but interpolation, and the scanner has averaged over them already. For settings
    as those of our presets only: linear stages that say how much both volumes are smoothed alike.
    """
    schedule = stage.get("ImagePyramidSchedule")
    if any_bends("elastix", job.stages) or not isinstance(schedule, list):
        return {}
    own = list(schedule)
    changes: dict[str, Any] = {"FixedImagePyramidSchedule": own, "MovingImagePyramidSchedule": schedule}
    if has_thick_slices(job.fixed.grid, job.moving.grid):
        across = int(np.argmax(job.fixed.grid.spacing_mm))
        # Of the coarsest resolution, the smoothing of half a slice stays: it is where the volumes are furthest apart.
        own[across::3] = [1 if number == 0 else 0 for number in range(len(own[across::3]))]
        return changes | ({"ImageSampler": "Random"} if stage.get("ImageSampler") == "RandomCoordinate" else {})
    if has_coarse_voxels(job.fixed.grid, job.moving.grid):
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
    buffer = itk_buffer.itkPyBufferIUC3 if voxels.dtype == np.uint8 else itk_buffer.itkPyBufferIF3
    image = buffer.GetImageFromArray(voxels)
    _place(image, grid)
    return image


def _place(image: Any, grid: VolumeGrid) -> None:
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_lps)
    direction = vnl_matrix.vnl_matrix_fixedD_3_3()
    for entry, value in enumerate(grid.direction):
        direction.put(entry // 3, entry % 3, value)
    image.SetDirection(itk_matrix.itkMatrixD33(direction))


def _bent(found: Any) -> sitk.Transform:
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
