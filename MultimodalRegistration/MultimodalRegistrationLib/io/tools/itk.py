"""Transforms in ITK files and displacement fields in images, LPS, resampling direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike

from ...core.errors import InputError
from ...core.linear import sitk_from_matrix
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles, writing
from .context import Context
from .fields import field_of_transform
from .hdf5_times import erase_times
from .matlab import loadmat_or_error
from .text import AGAIN, read_lines

__all__ = [
    "FIELD_SUFFIXES",
    "NONLINEAR_SUFFIXES",
    "OUTPUT_FIELD_SUFFIXES",
    "TRANSFORM_SUFFIXES",
    "read_field",
    "read_itk",
    "write_field",
    "write_itk",
    "write_linear_transform",
    "write_transform",
]

TRANSFORM_SUFFIXES = (".h5", ".tfm", ".txt", ".mat")
NONLINEAR_SUFFIXES = (".h5", ".tfm")
FIELD_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
# Without those that keep their voxels in a second file, which would have to be renamed with the first.
OUTPUT_FIELD_SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".mha")

_REMEDY = "Give a transform that Slicer, ANTs or SimpleITK saved as .h5, .tfm, .txt or .mat, or a displacement field."


def read_itk(path: Path) -> sitk.Transform:
    """Read an ITK transform file of any kind.

    Raises
    ------
    InputError
        Unreadable, or not three-dimensional.
    """
    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        if b"Inverse" in path.read_bytes():
            raise InputError(
                path,
                "this holds the inverse of a non-linear transform, which only Slicer can read",
                "In Slicer's Transforms module, convert it to a grid transform and save that.",
            ) from error
        raise InputError(path, "this is not an ITK transform file", _REMEDY) from error
    if transform.GetDimension() != 3:
        raise InputError(path, f"this is a {transform.GetDimension()}D transform", "Give a three-dimensional one.")
    _check_whole(path, transform)
    return transform


def _check_whole(path: Path, transform: sitk.Transform) -> None:
    """Refuse files that are cut off: ITK takes what is missing for zero, or for whatever is in memory."""
    with path.open("rb") as file:
        is_text = file.read(1) == b"#"
    if is_text:
        parts = _parts(transform)
        lines = read_lines(path)
        for key, counts in (
            ("Parameters:", [part.GetNumberOfParameters() for part in parts]),
            # Euler transforms had three before they had four.
            ("FixedParameters:", [min(part.GetNumberOfFixedParameters(), 3) for part in parts]),
        ):
            found = [(n, len(line.split()) - 1) for n, line in enumerate(lines, start=1) if line.startswith(key)]
            if len(found) < len(parts):
                raise InputError(path, f"the file ends at line {len(lines)}, before {key[:-1]}", AGAIN)
            for (line, count), least in zip(found, counts, strict=False):
                if count < least:
                    raise InputError(path, f"line {line}: {count} numbers instead of {least}", AGAIN)
    elif path.suffix.lower() == ".mat":
        # Checked with SciPy, which notices when the file is too short.
        loadmat_or_error(path)


def _parts(transform: sitk.Transform) -> list[sitk.Transform]:
    """The transforms in a file, in its order; a transform of an unnamed class comes in a composite of one."""
    if transform.GetName() != "CompositeTransform":
        return [transform]
    composite = sitk.CompositeTransform(transform)
    return [composite.GetNthTransform(number) for number in range(composite.GetNumberOfTransforms())]


def read_field(path: Path) -> sitk.DisplacementFieldTransform:
    """Read an image with a displacement in mm, LPS, at each voxel.

    Raises
    ------
    InputError
        Unreadable, no displacements, or some that are not finite.
    """
    try:
        image = sitk.ReadImage(str(path), sitk.sitkVectorFloat64)
    except RuntimeError as error:
        raise InputError(path, "this is not an image that can be read", _REMEDY) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 3:
        found = f"{image.GetDimension()} dimensions and {image.GetNumberOfComponentsPerPixel()} components"
        raise InputError(path, f"an image of {found}, not a displacement field", _REMEDY)
    if not np.all(np.isfinite(sitk.GetArrayViewFromImage(image))):
        raise InputError(path, "some displacements are not finite", "Set them to zero, or crop the field.")
    return sitk.DisplacementFieldTransform(image)


def write_linear_transform(path: str | Path, fixed_to_moving_lps: ArrayLike) -> None:
    """Write a linear transform as an ITK affine transform.

    Parameters
    ----------
    path : str or Path
        File with one of :data:`TRANSFORM_SUFFIXES`.
    fixed_to_moving_lps : array, shape (4, 4)
        Maps fixed points to moving points, LPS, mm.
    """
    _write(sitk_from_matrix(fixed_to_moving_lps), Path(path))


def write_transform(path: str | Path, transform: SpatialTransform, *, target: str | Path | None = None) -> None:
    """Write a transform of any kind.

    Parameters
    ----------
    path : str or Path
        A linear transform has one of :data:`TRANSFORM_SUFFIXES`, others one of :data:`NONLINEAR_SUFFIXES`, a single
        grid of displacements also one of :data:`OUTPUT_FIELD_SUFFIXES`.
    transform : SpatialTransform
        ``fixed_to_moving_lps``; a composite is written with its stages.
    target : str or Path, optional
        What messages call the file, where it is written under another name first.

    Raises
    ------
    InputError
        The file type cannot hold this kind of transform, or the file cannot be written.
    """
    name, shown = str(path).lower(), path if target is None else target
    single = transform.stages[0].transform
    grid = transform.matrix is None and len(transform.stages) == 1 and single.GetName() == "DisplacementFieldTransform"
    if transform.matrix is not None:
        kind = "a linear transform"
        suffixes: tuple[str, ...] = TRANSFORM_SUFFIXES
    elif grid:
        kind, suffixes = "a grid of displacements", (*NONLINEAR_SUFFIXES, *OUTPUT_FIELD_SUFFIXES)
    else:
        kind, suffixes = "a non-linear transform with its stages", NONLINEAR_SUFFIXES
    if not name.endswith(suffixes):
        raise InputError(shown, f"this file type cannot hold {kind}", f"Use one of {', '.join(suffixes)}.")
    with writing(shown):
        if transform.matrix is not None:
            write_linear_transform(path, transform.matrix)
        elif name.endswith(NONLINEAR_SUFFIXES):
            # ITK writes no composite within a composite.
            parts = [stage.transform for stage in reversed(transform.stages)]
            _write(sitk.CompositeTransform(parts) if len(parts) > 1 else parts[0], Path(path))
        else:
            field = sitk.DisplacementFieldTransform(single).GetDisplacementField()
            sitk.WriteImage(sitk.Cast(field, sitk.sitkVectorFloat32), str(path), True)


def _write(transform: sitk.Transform, path: Path) -> None:
    sitk.WriteTransform(transform, str(path))
    if path.name.lower().endswith(".h5"):
        erase_times(path)


def write_itk(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write an ITK transform file; returns the error, which is 0."""
    write_transform(outputs.add(path, TRANSFORM_SUFFIXES), transform, target=path)
    return 0.0


def write_field(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a displacement field; returns the largest difference in mm between its nodes, where it was looked at."""
    staged = outputs.add(path, OUTPUT_FIELD_SUFFIXES)
    image, error_mm = field_of_transform(path, transform, context)
    with writing(path):
        sitk.WriteImage(image, str(staged), True)
    return error_mm
