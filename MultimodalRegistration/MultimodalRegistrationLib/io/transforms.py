"""Transforms in files: LPS, resampling direction. Those of other tools are in ``io/tools``.

An ITK file (``.h5``, ``.tfm``, ``.txt``, ``.mat``) loads in Slicer as a transform node: Slicer inverts and converts to
RAS on reading, so that the node, applied to the moving volume, aligns it to the fixed one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.linear import sitk_from_matrix
from MultimodalRegistrationLib.geometry.spatial import SpatialTransform
from MultimodalRegistrationLib.io.outputs import writing
from MultimodalRegistrationLib.io.tools.choose import read_as
from MultimodalRegistrationLib.io.tools.itk import FIELD_SUFFIXES, TRANSFORM_SUFFIXES

__all__ = [
    "FIELD_SUFFIXES",
    "NONLINEAR_SUFFIXES",
    "OUTPUT_FIELD_SUFFIXES",
    "TRANSFORM_SUFFIXES",
    "approximation",
    "read_linear_transform",
    "read_transform",
    "write_linear_transform",
    "write_transform",
]

NONLINEAR_SUFFIXES = (".h5", ".tfm")
# Without those that keep their voxels in a second file, which would have to be renamed with the first.
OUTPUT_FIELD_SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".mha")


def read_transform(path: str | Path) -> SpatialTransform:
    """Read a transform of any kind that its file tells by itself.

    Parameters
    ----------
    path : str or Path
        ITK transform, also a composite; image with a displacement in mm, LPS, at each voxel; transform parameter file
        of elastix; file of ANTs, or their list as for ``antsApplyTransforms``; LTA of FreeSurfer; DICOM Spatial
        Registration object.

    Returns
    -------
    SpatialTransform
        ``fixed_to_moving_lps``, with the file's name.

    Raises
    ------
    InputError
        Missing, unreadable, not three-dimensional, linear and not invertible, or of a format that needs the volumes or
        the convention: the remedy names the command that converts it.
    """
    return read_as(path)


def approximation(transform: SpatialTransform) -> str | None:
    """A warning about a transform that was not read exactly; None for all others."""
    if transform.error_mm == 0:
        return None
    return f"{transform.name} was read as a grid of displacements, which is within {transform.error_mm:.4f} mm of it."


def read_linear_transform(path: str | Path) -> NDArray[np.float64]:
    """Read a linear ITK transform.

    Parameters
    ----------
    path : str or Path
        Any linear ITK transform, also a composite of linear ones.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``, mm.

    Raises
    ------
    InputError
        Missing, unreadable, not linear, not three-dimensional or not invertible.
    """
    spatial = read_transform(path)
    if spatial.matrix is None:
        raise InputError(path, "this is a non-linear transform", "The initial transform must be linear.")
    return spatial.matrix


def write_linear_transform(path: str | Path, fixed_to_moving_lps: ArrayLike) -> None:
    """Write a linear transform as an ITK affine transform.

    Parameters
    ----------
    path : str or Path
        File with one of :data:`TRANSFORM_SUFFIXES`.
    fixed_to_moving_lps : array, shape (4, 4)
        Maps fixed points to moving points, LPS, mm.
    """
    sitk.WriteTransform(sitk_from_matrix(fixed_to_moving_lps), str(path))


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
            sitk.WriteTransform(sitk.CompositeTransform(parts) if len(parts) > 1 else parts[0], str(path))
        else:
            field = sitk.DisplacementFieldTransform(single).GetDisplacementField()
            sitk.WriteImage(sitk.Cast(field, sitk.sitkVectorFloat32), str(path), True)
