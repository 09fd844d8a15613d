r"""Matrices of FSL's FLIRT.

They map points of the input (moving) to points of the reference (fixed), each in mm along the axes of its own volume
from the centre of its first voxel; where the voxels are stored in neurological order (the voxel-to-space matrix has a
positive determinant), the first axis is counted from the other end. See Jenkinson and Smith 2001,
doi:10.1016/S1361-8415(01)00036-6.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles
from .context import Context
from .text import checked_inverse, linear_matrix, matrix_lines, matrix_of_lines, read_lines

__all__ = ["read_flirt", "write_flirt"]

_REASON = "a matrix of FLIRT holds for its two volumes only"


def read_flirt(path: Path, context: Context) -> SpatialTransform:
    """Read a matrix of FLIRT.

    Parameters
    ----------
    path : Path
        Four lines of four numbers.
    context : Context
        With the reference as fixed and the input as moving volume.

    Raises
    ------
    InputError
        No such matrix, or a volume is missing.
    """
    fixed, moving = context.need_scans(path, _REASON)
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) > 4:
        raise InputError(path, f"{len(lines)} lines instead of 4", "Give the matrix that FLIRT wrote with -omat.")
    to_reference = matrix_of_lines(path, lines, 0)
    matrix = _lps_from_fsl(moving.grid) @ checked_inverse(path, to_reference) @ np.linalg.inv(_lps_from_fsl(fixed.grid))
    return SpatialTransform.of_matrix(path.name, matrix)


def write_flirt(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a linear transform for ``flirt -applyxfm -init``; returns the error, which is 0."""
    fixed, moving = context.need_scans(path, _REASON)
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".mat", ".txt", ".xfm"))
    to_reference = np.linalg.inv(_lps_from_fsl(fixed.grid)) @ np.linalg.inv(matrix) @ _lps_from_fsl(moving.grid)
    staged.write_text("\n".join(matrix_lines(to_reference)) + "\n", encoding="utf-8")
    return 0.0


def _lps_from_fsl(grid: VolumeGrid) -> NDArray[np.float64]:
    from_voxels = grid.ijk_to_lps
    to_voxels = np.diag([*(1 / np.asarray(grid.spacing_mm)), 1.0])
    # LPS and RAS differ by two signs, so the determinant has the same sign in both.
    if np.linalg.det(from_voxels[:3, :3]) > 0:
        to_voxels[0] *= -1
        to_voxels[0, 3] = grid.size[0] - 1
    return np.asarray(from_voxels @ to_voxels)
