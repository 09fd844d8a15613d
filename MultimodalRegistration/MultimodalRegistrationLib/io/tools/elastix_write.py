"""Transform parameter files that elastix and transformix read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.grid import VolumeGrid
from ...core.linear import matrix_from_sitk
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles, writing
from .context import Context
from .fields import field_of_transform

__all__ = ["write_elastix"]

_SUFFIXES = (".txt",)
_RESAMPLING = {
    "ResampleInterpolator": "FinalBSplineInterpolator",
    "FinalBSplineInterpolationOrder": 3,
    "Resampler": "DefaultResampler",
    "DefaultPixelValue": 0,
    "ResultImageFormat": "nii",
    "ResultImagePixelType": "float",
}


def write_elastix(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a chain of transform parameter files.

    Parameters
    ----------
    outputs : OutputFiles
        All files are announced there: ``path``, and beside it those that it builds on, ``NAME.initial0.txt`` and so on,
        and ``NAME.field0.nii`` where there is a displacement field.
    path : Path
        The file to give to transformix. Displacement fields are named without a folder, as seen from theirs.
    transform : SpatialTransform
        ``fixed_to_moving_lps``. Linear parts, B-splines and displacement fields are written as such.
    context : Context
        With the fixed volume, whose grid transformix resamples to.

    Returns
    -------
    float
        ``error_mm``: 0, as all parts are written exactly, but displacements in 32 bit.
    """
    grid = context.need_fixed(path, "the file tells the grid that transformix resamples to").grid
    parts = _merged([stage.transform for stage in transform.stages])
    error_mm = 0.0
    initial = "NoInitialTransform"
    for number, part in enumerate(parts):
        target = path if number == len(parts) - 1 else path.with_name(f"{path.stem}.initial{number}{path.suffix}")
        staged = outputs.add(target, _SUFFIXES)
        if isinstance(part, np.ndarray):
            entries = _affine(part)
        elif part.GetName() == "BSplineTransform":
            entries = _bspline(sitk.BSplineTransform(part))
        elif part.GetName() == "DisplacementFieldTransform":
            field = path.with_name(f"{path.stem}.field{number}.nii")
            error_mm += _write_field(outputs, field, part, context)
            entries = {
                "Transform": "DeformationFieldTransform",
                "DeformationFieldFileName": field.name,
                "DeformationFieldInterpolationOrder": 1,
                "NumberOfParameters": 0,
            }
        else:
            raise InputError(path, f"elastix has nothing like a {part.GetName()}", "Write it as a displacement field.")
        common = {**_of_grid(grid), "HowToCombineTransforms": "Compose", "InitialTransformParameterFileName": initial}
        content = {**entries, **common, **_RESAMPLING}
        staged.write_text("".join(_line(key, value) for key, value in content.items()), encoding="utf-8")
        initial = target.name
    return error_mm


def _merged(parts: list[sitk.Transform]) -> list[NDArray[np.float64] | sitk.Transform]:
    """Linear parts that follow each other become one matrix, shape (4, 4)."""
    merged: list[NDArray[np.float64] | sitk.Transform] = []
    for part in parts:
        if not part.IsLinear():
            merged.append(part)
        elif merged and isinstance(merged[-1], np.ndarray):
            merged[-1] = matrix_from_sitk(part) @ merged[-1]
        else:
            merged.append(matrix_from_sitk(part))
    return merged


def _affine(matrix: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "Transform": "AffineTransform",
        "NumberOfParameters": 12,
        "TransformParameters": [*matrix[:3, :3].ravel().tolist(), *matrix[:3, 3].tolist()],
        "CenterOfRotationPoint": [0.0, 0.0, 0.0],
    }


def _bspline(part: sitk.BSplineTransform) -> dict[str, Any]:
    fixed = part.GetFixedParameters()
    return {
        "Transform": "BSplineTransform",
        "NumberOfParameters": part.GetNumberOfParameters(),
        "TransformParameters": list(part.GetParameters()),
        "BSplineTransformSplineOrder": part.GetOrder(),
        "UseCyclicTransform": False,
        "GridSize": [int(number) for number in fixed[:3]],
        "GridIndex": [0, 0, 0],
        "GridOrigin": list(fixed[3:6]),
        "GridSpacing": list(fixed[6:9]),
        "GridDirection": _by_columns(fixed[9:18]),
    }


def _of_grid(grid: VolumeGrid) -> dict[str, Any]:
    return {
        "FixedImageDimension": 3,
        "MovingImageDimension": 3,
        "FixedInternalImagePixelType": "float",
        "MovingInternalImagePixelType": "float",
        "Size": list(grid.size),
        "Index": [0, 0, 0],
        "Spacing": list(grid.spacing_mm),
        "Origin": list(grid.origin_lps),
        "Direction": _by_columns(grid.direction),
        "UseDirectionCosines": True,
    }


def _by_columns(direction: tuple[float, ...]) -> list[float]:
    return list(np.reshape(direction, (3, 3)).T.ravel().tolist())


def _write_field(outputs: OutputFiles, path: Path, part: sitk.Transform, context: Context) -> float:
    staged = outputs.add(path, (".nii",))
    image, error_mm = field_of_transform(path, SpatialTransform("", part), context)
    with writing(path):
        sitk.WriteImage(sitk.Cast(image, sitk.sitkVectorFloat32), str(staged))
    return error_mm


def _line(key: str, value: Any) -> str:
    words = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool):
            words.append(f'"{str(one).lower()}"')
        else:
            words.append(f'"{one}"' if isinstance(one, str) else repr(one))
    return f"({key} {' '.join(words)})\n"
