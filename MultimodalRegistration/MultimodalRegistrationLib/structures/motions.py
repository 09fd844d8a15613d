r"""Rigid motions that take time: where a structure is on its way.

The motion of a structure is divided into what all structures have in common, and its own rest, which is small. The
common motion :math:`M` is the rigid transform closest to all motions in the least-squares sense over the voxels of the
structures, each of the same weight. The rest, :math:`M^{-1} T_i`, is carried out in the time from 0 to 1: the centroid
goes straight and the structure turns about it evenly,

.. math:: A_i(t)\,x = e^{t [\omega]_\times} (x - c) + c + t\,\Delta, \qquad
   v_i(y, t) = \omega \times (y - c - t \Delta) + \Delta,

with the rotation vector :math:`\omega` (the matrix logarithm of the rotation), the centroid :math:`c` and its
displacement :math:`\Delta`. The screw motion of the logarithm of the whole matrix would swing a structure that turns
little and moves far on a wide arc. Played backward it is the way of the inverse motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from MultimodalRegistrationLib.geometry.linear import apply_matrix, closest_rotation
from MultimodalRegistrationLib.landmarks._rigid import superpose

__all__ = ["RigidPath", "common_motion"]

_POINTS_OF_ONE = 2000


@dataclass(frozen=True)
class RigidPath:
    """The way of one structure.

    Parameters
    ----------
    center_lps : array, shape (3,)
        Point that goes straight, at time 0, mm.
    turn : array, shape (3,)
        Rotation vector, LPS, radians.
    shift_mm : array, shape (3,)
        Displacement of the centre, LPS.
    """

    center_lps: NDArray[np.float64]
    turn: NDArray[np.float64]
    shift_mm: NDArray[np.float64]

    @classmethod
    def to(cls, matrix: NDArray[np.float64], center_lps: NDArray[np.float64]) -> RigidPath:
        """The way that ends at a rigid transform, shape (4, 4), LPS, mm."""
        turn = Rotation.from_matrix(closest_rotation(matrix)).as_rotvec()
        return cls(center_lps, turn, apply_matrix(matrix, center_lps) - center_lps)

    def at(self, time: float) -> NDArray[np.float64]:
        """Where the structure is at a time from 0 to 1: rigid transform, shape (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_rotvec(time * self.turn).as_matrix()
        matrix[:3, 3] = self.center_lps + time * self.shift_mm - matrix[:3, :3] @ self.center_lps
        return matrix

    def velocity(self, points_lps: NDArray[np.float64], time: float) -> NDArray[np.float64]:
        """Velocity, shape (N, 3), mm in the unit of time, of points, shape (N, 3), that move with the structure."""
        x, y, z = self.turn
        across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        return np.asarray((points_lps - self.center_lps - time * self.shift_mm) @ across.T + self.shift_mm)


def common_motion(
    points_lps: Sequence[NDArray[np.float64]], fixed_to_moving_lps: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The rigid transform closest to several.

    Parameters
    ----------
    points_lps : sequence of array, shape (N, 3)
        Voxels of each structure, LPS, mm.
    fixed_to_moving_lps : sequence of array, shape (4, 4)
        Rigid transform of each structure.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``.
    """
    fixed, moving, weights = [], [], []
    for points, matrix in zip(points_lps, fixed_to_moving_lps, strict=True):
        some = points[:: max(1, len(points) // _POINTS_OF_ONE)]
        fixed.append(some)
        moving.append(apply_matrix(matrix, some))
        weights.append(np.full(len(some), 1 / len(some)))
    rotation, translation, _ = superpose(np.concatenate(fixed), np.concatenate(moving), np.concatenate(weights))
    common = np.eye(4)
    common[:3, :3], common[:3, 3] = rotation, translation
    return common
