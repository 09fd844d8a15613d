"""Sets of rotations that cover all orientations, or those near one, evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

__all__ = ["even_rotations"]

_PHI = np.sqrt(2.0)
_PSI = 1.533751168755204288118041  # positive root of psi^4 = psi + 4
_COARSE_COUNT = 400


def even_rotations(largest_deg: float = 180.0, count: int = _COARSE_COUNT) -> NDArray[np.float64]:
    """Rotations by up to an angle, spread evenly, the identity first.

    A super-Fibonacci spiral on the unit quaternions (Alexa 2022, doi:10.1109/CVPR52688.2022.00811): for any number of
    points nearly as even as the best known sets.

    Parameters
    ----------
    largest_deg : float
        Largest angle from the identity.
    count : int
        How many cover all orientations. Fewer lie within a smaller angle.

    Returns
    -------
    array, shape (N, 3, 3)
        Rotation matrices.
    """
    s = np.arange(count) + 0.5
    t = s / len(s)
    r, big_r = np.sqrt(t), np.sqrt(1 - t)
    alpha, beta = 2 * np.pi * s / _PHI, 2 * np.pi * s / _PSI
    spiral = Rotation.from_quat(
        np.stack([r * np.sin(alpha), r * np.cos(alpha), big_r * np.sin(beta), big_r * np.cos(beta)], axis=1)
    )
    near = spiral[np.rad2deg(spiral.magnitude()) <= largest_deg]
    return np.concatenate([np.eye(3)[None], near.as_matrix()])
