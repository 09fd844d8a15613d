"""One antsRegistration run, inside the worker.

Calls antsRegistration as antspyx wraps it, with its own options: the convenience function of antspyx would
resample both volumes with every run and does not pass masks to all stages.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ants
import numpy as np
import SimpleITK as sitk
from ants.internal import get_lib_fn, get_pointer_string
from numpy.typing import NDArray

from ..core.grid import VolumeGrid
from ..io.transforms import read_linear_transform
from .catalogue import is_deformable
from .jobs import EngineJob
from .presets.ants_files import stage_arguments


def run(job: EngineJob, folder: Path) -> NDArray[np.float64] | sitk.Transform:
    """Register with antsRegistration.

    Parameters
    ----------
    job : EngineJob
        Stages hold the settings of :data:`~MultimodalRegistrationLib.engines.catalogue.ENGINES`.
    folder : Path
        Where ANTs may write its transform.

    Returns
    -------
    array, shape (4, 4), or SimpleITK.Transform
        ``metric_fixed_to_metric_moving_lps``; a transform where a stage is deformable.

    Raises
    ------
    RuntimeError
        antsRegistration returned a non-zero code.
    """
    _print_line_by_line()
    volumes = (job.metric_fixed, job.metric_moving)
    images = [_image(volume.voxels, volume.grid) for volume in volumes]
    # Masks as 8-bit images: antsRegistration takes the memory for one, whatever it is.
    masks = [None if volume.mask is None else _image(volume.mask, volume.grid) for volume in volumes]
    prefix = folder / "ants"
    arguments = ["--dimensionality", "3", "--float", "1", "--verbose", "1", "--random-seed", str(job.seed)]
    # Without this, antsRegistration starts from the centres of mass.
    arguments += ["--initial-moving-transform", "Identity", "--collapse-output-transforms", "1"]
    deformable = any(is_deformable("ants", stage) for stage in job.stages)
    arguments += ["--output", f"[{prefix}]", "--write-composite-transform", "1" if deformable else "0"]
    arguments += ["--use-histogram-matching", "0"]
    mask_option = ",".join("NA" if mask is None else get_pointer_string(mask) for mask in masks)
    for stage in job.stages:
        arguments += stage_arguments(stage, *map(get_pointer_string, images))
        arguments += ["--masks", f"[{mask_option}]"]
    code = get_lib_fn("antsRegistration")(arguments)
    if code != 0:
        raise RuntimeError(f"antsRegistration returned the code {code}")
    return _checked(f"{prefix}Composite.h5") if deformable else read_linear_transform(f"{prefix}0GenericAffine.mat")


def _checked(path: str) -> sitk.Transform:
    composite = sitk.CompositeTransform(sitk.ReadTransform(path))
    parts = [composite.GetNthTransform(number).Downcast() for number in range(composite.GetNumberOfTransforms())]
    for part in parts:
        field = part.GetDisplacementField() if isinstance(part, sitk.DisplacementFieldTransform) else None
        if field is not None and not np.all(np.isfinite(sitk.GetArrayViewFromImage(field))):
            raise RuntimeError("the transform holds NaN or infinite values")
    return composite


def _image(voxels: NDArray[Any], grid: VolumeGrid) -> Any:
    return ants.from_numpy(
        # ANTs images are indexed I, J, K.
        np.ascontiguousarray(voxels.T),
        origin=grid.origin_lps,
        spacing=grid.spacing_mm,
        direction=np.asarray(grid.direction).reshape(3, 3),
    )


def _print_line_by_line() -> None:
    """Make the C library write each line at once: into a pipe it would keep them back, and progress with them."""
    if sys.platform == "win32":
        return
    import ctypes

    library = ctypes.CDLL(None)
    name = "__stdoutp" if sys.platform == "darwin" else "stdout"
    line_buffered = 0 if sys.platform == "darwin" else 1
    library.setvbuf(ctypes.c_void_p.in_dll(library, name), None, line_buffered, 0)
