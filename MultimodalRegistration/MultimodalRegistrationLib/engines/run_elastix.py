"""One elastix run, inside the worker.

Imports the compiled submodules of ITK by name: ``import itk`` and its lazy loader would take some 8 s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from itk import elxParameterObjectPython as elx_parameters

# Without it the indices that an image gives have no methods.
from itk import itkContinuousIndexPython  # noqa: F401
from itk import itkElastixRegistrationMethodPython as elx_registration
from itk import itkImagePython as itk_image
from itk import itkMatrixPython as itk_matrix
from itk import itkPointPython as itk_point
from itk import itkPyBufferPython as itk_buffer
from itk import vnl_matrix_fixedPython as vnl_matrix
from numpy.typing import NDArray

from ..core.grid import VolumeGrid, has_coarse_voxels, has_thick_slices
from ..core.linear import closest_rotation
from ..core.volume import box_of_marked
from ..io.tools.elastix import elastix_bspline, moved_bspline
from .catalogue import is_deformable
from .jobs import EngineJob
from .presets.elastix_files import RUN_PARAMETERS

_SPARSE_MASK = 0.25
# Steps of the spacing until no voxel is lost. Eleven were the most that any of 9,000 random grids needed; beyond them
# elastix would go without a layer.
_MAX_SPACING_STEPS = 64
# Of direction cosines; files round them, and a slight skew must stay.
_DIRECTION_TOLERANCE = 1e-6
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
        ``metric_fixed_to_metric_moving_lps``; a transform where a stage is deformable.

    Raises
    ------
    RuntimeError
        elastix failed.
    """
    in_place = any(_AXES_IN_SPACE & stage.keys() for stage in job.stages)
    fixed_grid, to_own = (job.metric_fixed.grid, np.eye(4)) if in_place else own_frame(job.metric_fixed.grid)
    moving_grid = job.metric_moving.grid.moved(to_own)
    method = elx_registration.itkElastixRegistrationMethodIF3IF3_New()
    fixed = _image(job.metric_fixed.voxels, fixed_grid)
    moving = _image(job.metric_moving.voxels, moving_grid)
    method.SetFixedImage(fixed)
    method.SetMovingImage(moving)
    if job.metric_fixed.mask is not None:
        method.SetFixedMask(_image(job.metric_fixed.mask, fixed_grid))
    if job.metric_moving.mask is not None:
        method.SetMovingMask(_image(job.metric_moving.mask, moving_grid))
    parameters = elx_parameters.elastixParameterObject_New()
    for stage in job.stages:
        special = {**_for_coarse_voxels(stage, job), **_sampler(stage, job.metric_fixed.mask)}
        parameters.AddParameterMap(_parameter_map({**stage, **special}, job.seed))
    method.SetParameterObject(parameters)
    method.SetLogToConsole(True)
    method.Update()
    to_lps = np.linalg.inv(to_own)
    if not any(is_deformable("elastix", stage) for stage in job.stages):
        return to_lps @ _matrix(method.GetCombinationTransform()) @ to_own
    found = method.GetTransformParameterObject()
    splines = [_bspline(found.GetParameterMap(number)) for number in reversed(range(len(job.stages)))]
    return sitk.CompositeTransform([moved_bspline(spline, to_lps) for spline in splines])


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
    if is_deformable("elastix", stage) or not isinstance(schedule, list) or _SCHEDULES & stage.keys():
        return {}
    own = list(schedule)
    changes: dict[str, Any] = {"FixedImagePyramidSchedule": own, "MovingImagePyramidSchedule": schedule}
    if has_thick_slices(job.metric_fixed.grid, job.metric_moving.grid):
        across = int(np.argmax(job.metric_fixed.grid.spacing_mm))
        # Of the coarsest resolution, the smoothing of half a slice stays: it is where the volumes are furthest apart.
        own[across::3] = [1 if number == 0 else 0 for number in range(len(own[across::3]))]
        return changes | ({"ImageSampler": "Random"} if stage.get("ImageSampler") == "RandomCoordinate" else {})
    # Other presets smooth at the end because they mean to.
    if has_coarse_voxels(job.metric_fixed.grid, job.metric_moving.grid) and len(own) > 3 and own[-3:] == [1, 1, 1]:
        own[-3:] = [0, 0, 0]
        return changes
    return {}


def _parameter_map(stage: dict[str, Any], seed: int) -> dict[str, tuple[str, ...]]:
    parameters = {**RUN_PARAMETERS, **stage, "WriteFinalTransformParameters": False, "RandomSeed": seed}
    lists = {key: value if isinstance(value, list) else [value] for key, value in parameters.items()}
    return {
        key: tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values) for key, values in lists.items()
    }


def _image(voxels: NDArray[Any], grid: VolumeGrid) -> Any:
    """Voxels as an image that does not own them: what calls this keeps the job as long as elastix runs.

    To copy them, ITK would load its lazy modules in another half second.
    """
    buffer = itk_buffer.itkPyBufferIUC3 if voxels.dtype == np.uint8 else itk_buffer.itkPyBufferIF3
    image = buffer.GetImageViewFromArray(voxels)
    _place(image, grid)
    return image


def _bspline(found: Any) -> sitk.BSplineTransform:
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


def own_frame(grid: VolumeGrid) -> tuple[VolumeGrid, NDArray[np.float64]]:
    """A grid moved to zero and to the axes of space, with spacings from which elastix finds all of its voxels.

    elastix maps the first and the last voxel to space and back, and rounds inwards: the last digit decides whether it
    uses the outermost layer of voxels. From zero and along the axes of space the first is exact, and the spacing is
    changed by some units in its last place until the last one is not lost.

    Parameters
    ----------
    grid : VolumeGrid
        Of the sampled volume.

    Returns
    -------
    VolumeGrid
        The same voxels in their own frame; the third axis points down where the grid is left-handed, and axes that are
        not quite at right angles remain so.
    array, shape (4, 4)
        Rigid ``grid_to_own_lps``, for all that is to move with the grid.
    """
    axes = np.reshape(grid.direction, (3, 3))
    hand = float(np.sign(np.linalg.det(axes)))
    to_own = np.eye(4)
    to_own[:3, :3] = closest_rotation(axes * [1.0, 1.0, hand]).T
    to_own[:3, 3] = -to_own[:3, :3] @ np.asarray(grid.origin_lps)
    exact = np.diag([1.0, 1.0, hand])
    turned = to_own[:3, :3] @ axes
    direction = exact if np.allclose(turned, exact, rtol=0, atol=_DIRECTION_TOLERANCE) else turned
    first, second, third = grid.spacing_mm
    for _ in range(_MAX_SPACING_STEPS):
        spacing_mm = (first, second, third)
        own = VolumeGrid(grid.size, spacing_mm, (0.0, 0.0, 0.0), tuple(direction.ravel().tolist()))
        lost = [found < size - 1 for found, size in zip(last_index(own), grid.size, strict=True)]
        if not any(lost):
            break
        first, second, third = (
            float(np.nextafter(spacing, np.inf)) if short else spacing
            for spacing, short in zip(spacing_mm, lost, strict=True)
        )
    return own, to_own


def last_index(grid: VolumeGrid) -> list[float]:
    """Continuous index of a grid's last voxel after elastix's way to space and back.

    Parameters
    ----------
    grid : VolumeGrid
        The grid.

    Returns
    -------
    list of float
        One for each axis; smaller than the size less one by rounding, or not.
    """
    image = itk_image.itkImageF3.New()
    image.SetRegions(list(grid.size))
    _place(image, grid)
    point = image.TransformIndexToPhysicalPoint([n - 1 for n in grid.size])
    back = image.TransformPhysicalPointToContinuousIndex(point)
    return [back.GetElement(axis) for axis in range(3)]


def _place(image: Any, grid: VolumeGrid) -> None:
    """Put an ITK image where a grid is."""
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_lps)
    direction = vnl_matrix.vnl_matrix_fixedD_3_3()
    for entry, value in enumerate(grid.direction):
        direction.put(entry // 3, entry % 3, value)
    image.SetDirection(itk_matrix.itkMatrixD33(direction))
