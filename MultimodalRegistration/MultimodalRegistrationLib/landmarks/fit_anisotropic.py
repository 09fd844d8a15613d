r"""Rigid fit when the localisation error of points differs by direction.

With covariances :math:`\Sigma_i` of a moving and :math:`\Lambda_i` of a fixed point, the difference
:math:`e_i = R x_i + t - y_i` has the covariance :math:`C_i(R) = R \Sigma_i R^T + \Lambda_i`, and

.. math:: \sum_i e_i^T\, C_i(R)^{-1}\, e_i

is minimised. There is no closed form; the rotation is updated about its last value, and the covariances with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from ..core.errors import RegistrationError
from ..core.linear import apply_matrix
from ..core.point_fit import fit_rigid

__all__ = ["difference_covariances", "fit_rigid_anisotropic", "rigid_jacobian"]

_MOST_ITERATIONS = 200
_SETTLED = 1e-12


def difference_covariances(
    moving_to_fixed_lps: ArrayLike, moving_covariances: ArrayLike, fixed_covariances: ArrayLike
) -> NDArray[np.float64]:
    """Covariance of the difference of each pair.

    Parameters
    ----------
    moving_to_fixed_lps : array, shape (4, 4)
        Linear transform.
    moving_covariances, fixed_covariances : array, shape (N, 3, 3)
        Of the localisation errors, mm^2, each in LPS of its own volume.

    Returns
    -------
    array, shape (N, 3, 3)
        In LPS of the fixed volume, mm^2.
    """
    linear = np.asarray(moving_to_fixed_lps, dtype=np.float64)[:3, :3]
    return np.asarray(linear @ np.asarray(moving_covariances) @ linear.T + np.asarray(fixed_covariances))


def rigid_jacobian(points_lps: NDArray[np.float64], center_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivative of points by a small rotation vector about a centre and a translation.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        Points in mm.
    center_lps : array, shape (3,)
        Centre of rotation.

    Returns
    -------
    array, shape (N, 3, 6)
        Three columns for the rotation in mm per radian, three for the translation.
    """
    x, y, z = (points_lps - center_lps).T
    zero = np.zeros_like(x)
    # omega x r = -[r]_x omega
    turned = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], axis=1).reshape(-1, 3, 3)
    return np.concatenate([turned, np.broadcast_to(np.eye(3), turned.shape)], axis=2)


def fit_rigid_anisotropic(
    moving_lps: ArrayLike, fixed_lps: ArrayLike, moving_covariances: ArrayLike, fixed_covariances: ArrayLike
) -> NDArray[np.float64]:
    """Best rotation and translation for anisotropic localisation errors.

    Parameters
    ----------
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs of points, LPS, mm; at least 3 that are not on one line.
    moving_covariances, fixed_covariances : array, shape (N, 3, 3)
        Of the localisation errors, mm^2; their sum is positive definite.

    Returns
    -------
    array, shape (4, 4)
        ``moving_to_fixed_lps``.

    Raises
    ------
    RegistrationError
        The iteration does not settle.

    References
    ----------
    Balachandran and Fitzpatrick 2009, doi:10.1117/12.813887.
    """
    moving, fixed = np.asarray(moving_lps, dtype=np.float64), np.asarray(fixed_lps, dtype=np.float64)
    isotropic = np.trace(np.asarray(moving_covariances) + np.asarray(fixed_covariances), axis1=1, axis2=2)
    matrix = fit_rigid(moving, fixed, 1.0 / isotropic)
    radius_mm = float(np.linalg.norm(fixed - fixed.mean(axis=0), axis=1).max())
    for _ in range(_MOST_ITERATIONS):
        moved = apply_matrix(matrix, moving)
        center = moved.mean(axis=0)
        # Whitened by the Cholesky factor of each inverse covariance.
        whiten = np.linalg.cholesky(
            np.linalg.inv(difference_covariances(matrix, moving_covariances, fixed_covariances))
        ).swapaxes(1, 2)
        jacobian = (whiten @ rigid_jacobian(moved, center)).reshape(-1, 6)
        residual = (whiten @ (fixed - moved)[:, :, None]).reshape(-1)
        step = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        move = np.eye(4)
        move[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
        move[:3, 3] = center + step[3:] - move[:3, :3] @ center
        matrix = move @ matrix
        if max(radius_mm * np.linalg.norm(step[:3]), np.linalg.norm(step[3:])) < _SETTLED * (1.0 + radius_mm):
            return matrix
    raise RegistrationError(
        "The weighted rigid fit",
        f"does not settle within {_MOST_ITERATIONS} steps",
        "The uncertainties differ too much between points or directions; give less extreme ones.",
    )
