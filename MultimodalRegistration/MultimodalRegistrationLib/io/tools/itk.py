"""Transforms in ITK files and displacement fields in images, LPS, resampling direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.spatial import SpatialTransform
from MultimodalRegistrationLib.io.outputs import OutputFiles, writing
from MultimodalRegistrationLib.io.tools.context import Context
from MultimodalRegistrationLib.io.tools.fields import field_of_transform
from MultimodalRegistrationLib.io.tools.matlab import loadmat_or_error
from MultimodalRegistrationLib.io.tools.text import AGAIN, read_lines

__all__ = ["FIELD_SUFFIXES", "TRANSFORM_SUFFIXES", "read_field", "read_itk", "write_field", "write_itk"]

TRANSFORM_SUFFIXES = (".h5", ".tfm", ".txt", ".mat")
FIELD_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")

_REMEDY = "Give a transform that Slicer, ANTs or SimpleITK saved as .h5, .tfm, .txt or .mat, or a displacement field."
# Without those that keep their voxels in a second file, which would have to be renamed with the first.
_OUTPUT_FIELD_SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".mha")


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


def write_itk(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write an ITK transform file; returns the error, which is 0."""
    staged = outputs.add(path, TRANSFORM_SUFFIXES)
    if transform.matrix is None and path.suffix.lower() not in (".h5", ".tfm"):
        raise InputError(path, "a non-linear transform", "Write it as .h5.")
    with writing(path):
        sitk.WriteTransform(transform.transform, str(staged))
    return 0.0


def write_field(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a displacement field; returns the largest difference in mm between its nodes, where it was looked at."""
    staged = outputs.add(path, _OUTPUT_FIELD_SUFFIXES)
    image, error_mm = field_of_transform(path, transform, context)
    with writing(path):
        sitk.WriteImage(image, str(staged), True)
    return error_mm
