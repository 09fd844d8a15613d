"""Linear transforms in ITK files (``.h5``, ``.tfm``, ``.txt``, ``.mat``), LPS, resampling direction.

The same file loads in Slicer as a linear transform node: Slicer inverts and converts to RAS on reading, so that
the node, applied to the moving volume, aligns it to the fixed one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.linear import (
    LARGEST_CONDITION,
    condition_number,
    matrix_from_sitk,
    sitk_from_matrix,
)

__all__ = ["TRANSFORM_SUFFIXES", "read_linear_transform", "write_linear_transform"]

TRANSFORM_SUFFIXES = (".h5", ".tfm", ".txt", ".mat")


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
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such file", "Check the spelling and the folder.")
    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise InputError(
            path,
            "this is not an ITK transform file",
            "Give a linear transform that Slicer, ANTs or SimpleITK saved as .h5, .tfm, .txt or .mat.",
        ) from error
    try:
        matrix = matrix_from_sitk(transform)
    except ValueError as error:
        raise InputError(
            path, f"this is {error}", "The initial transform must be linear and three-dimensional."
        ) from error
    condition = condition_number(matrix)
    if condition > LARGEST_CONDITION:
        raise InputError(
            path,
            f"the transform cannot be inverted (condition number {condition:.3g})",
            "Give a transform that does not flatten space.",
        )
    return matrix


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
