"""Matrices of SPM: MATLAB files that place a volume in space.

SPM keeps the position of a volume that it moved as ``M`` (or ``mat``) in a ``.mat`` file beside it: voxel indices,
counted from one, to mm in RAS. With the position that the volume has in its own file, that is a transform of the moving
volume to where it lies over the fixed one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.frames import flip_ijk_to_space, modelling_ras_from_resampling_lps, resampling_lps_from_modelling_ras
from ...core.grid import VolumeGrid
from ...core.linear import translation_matrix
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles
from .context import Context
from .matlab import loadmat_or_error
from .text import checked_matrix, linear_matrix

__all__ = ["read_spm", "write_spm"]

_NAMES = ("M", "mat")
_REASON = "SPM's matrix places the moving volume, whose position before is needed"


def read_spm(path: Path, context: Context) -> SpatialTransform:
    """Read the position that SPM gave to a volume.

    Parameters
    ----------
    path : Path
        MATLAB file (version 4 to 7) with a 4 x 4 matrix ``M`` or ``mat``.
    context : Context
        With the moving volume, as it was before SPM moved it.

    Raises
    ------
    InputError
        No such file or matrix, or the moving volume is missing.
    """
    moving = context.need_moving(path, _REASON)
    content = loadmat_or_error(path, list(_NAMES))
    name = next((name for name in _NAMES if name in content), None)
    if name is None:
        raise InputError(
            path, "there is no matrix M or mat in it", "Give the .mat file that SPM wrote beside a volume."
        )
    placed = np.asarray(content[name])
    if placed.shape != (4, 4) or not np.issubdtype(placed.dtype, np.number) or not np.all(np.isfinite(placed)):
        shape = " x ".join(map(str, placed.shape))
        raise InputError(path, f"{name} is {shape}, not 4 x 4 numbers", "Give the matrix of one volume.")
    moved = checked_matrix(path, placed) @ np.linalg.inv(_ras_from_spm(moving.grid))
    return SpatialTransform.of_matrix(path.name, resampling_lps_from_modelling_ras(checked_matrix(path, moved)))


def write_spm(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write where SPM is to place the moving volume; returns the error, which is 0."""
    moving = context.need_moving(path, _REASON)
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".mat",))
    # Few runs write one, and the import would slow the start of all.
    from scipy.io import savemat

    savemat(staged, {"M": modelling_ras_from_resampling_lps(matrix) @ _ras_from_spm(moving.grid)}, appendmat=False)
    return 0.0


def _ras_from_spm(grid: VolumeGrid) -> NDArray[np.float64]:
    return np.asarray(flip_ijk_to_space(grid.ijk_to_lps) @ translation_matrix((-1, -1, -1)))
