r"""Conversion between RAS (MRML, Slicer) and LPS (ITK, DICOM): the only place where it is done.

Both frames are in millimetres and differ by the sign of the first two axes, with
:math:`F = \mathrm{diag}(-1, -1, 1, 1) = F^{-1}`:

.. math:: p_{RAS} = F\,p_{LPS}, \qquad M_{RAS} = F\,M_{LPS}\,F.

ITK stores the *resampling* transform, which maps points of the fixed volume into the moving one. A MRML
transform node that is applied to the moving volume holds the *modelling* direction, moving to fixed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Space = Literal["LPS", "RAS"]


_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def flip_points_lps_ras(points: ArrayLike) -> NDArray[np.float64]:
    """Convert points from LPS to RAS or back.

    Parameters
    ----------
    points : array, shape (..., 3)
        Points in mm.

    Returns
    -------
    array, shape (..., 3)
        The same points in the other frame.
    """
    return np.asarray(points, dtype=np.float64) * np.array([-1.0, -1.0, 1.0])


def flip_matrix_lps_ras(matrix: ArrayLike) -> NDArray[np.float64]:
    """Express a linear transform of LPS points as one of RAS points, or back.

    Parameters
    ----------
    matrix : array, shape (4, 4)
        Homogeneous transform; domain and codomain are in the same frame.

    Returns
    -------
    array, shape (4, 4)
        The same mapping of space in the other frame, in the same direction.
    """
    return np.asarray(_FLIP @ np.asarray(matrix, dtype=np.float64) @ _FLIP)


def flip_ijk_to_space(ijk_to_space: ArrayLike) -> NDArray[np.float64]:
    """Turn a voxel-to-LPS matrix into a voxel-to-RAS one, or back.

    Parameters
    ----------
    ijk_to_space : array, shape (4, 4)
        From voxel indices, which are the same in both frames, to points in mm.

    Returns
    -------
    array, shape (4, 4)
        To the same points in the other frame.
    """
    return np.asarray(_FLIP @ np.asarray(ijk_to_space, dtype=np.float64))


def modelling_ras_from_resampling_lps(fixed_to_moving_lps: ArrayLike) -> NDArray[np.float64]:
    """Turn an ITK resampling transform into the matrix of a MRML transform node.

    Parameters
    ----------
    fixed_to_moving_lps : array, shape (4, 4)
        Maps points of the fixed volume to points of the moving volume, LPS, mm.

    Returns
    -------
    array, shape (4, 4)
        ``moving_to_fixed_ras``: to-parent matrix of the node that is applied to the moving volume.
    """
    return flip_matrix_lps_ras(np.linalg.inv(np.asarray(fixed_to_moving_lps, dtype=np.float64)))


def resampling_lps_from_modelling_ras(moving_to_fixed_ras: ArrayLike) -> NDArray[np.float64]:
    """Turn the matrix of a MRML transform node into an ITK resampling transform.

    Parameters
    ----------
    moving_to_fixed_ras : array, shape (4, 4)
        To-parent matrix of the node that is applied to the moving volume, RAS, mm.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``: maps points of the fixed volume to the moving volume.
    """
    return flip_matrix_lps_ras(np.linalg.inv(np.asarray(moving_to_fixed_ras, dtype=np.float64)))
