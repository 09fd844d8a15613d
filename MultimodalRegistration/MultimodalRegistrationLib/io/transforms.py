"""Transforms in files: LPS, resampling direction. Those of other tools are in ``io/tools``.

An ITK file (``.h5``, ``.tfm``, ``.txt``, ``.mat``) loads in Slicer as a transform node: Slicer inverts and converts to
RAS on reading, so that the node, applied to the moving volume, aligns it to the fixed one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.spatial import SpatialTransform
from .tools.choose import read_as
from .tools.itk import (
    FIELD_SUFFIXES,
    NONLINEAR_SUFFIXES,
    OUTPUT_FIELD_SUFFIXES,
    TRANSFORM_SUFFIXES,
    write_linear_transform,
    write_transform,
)

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
