r"""Rigid motions that take time: where a structure is on its way.

The motion of a structure is divided into what all structures have in common, and its own rest, which is small. The
common motion :math:`M` is the mean of the motions in their own group, at which the logarithms of the rests
:math:`M^{-1} T_i = \exp \xi_i` add up to zero; unlike a mean of matrices it does not depend on the origin or on which
volume is called fixed (Pennec and Arsigny 2013, doi:10.1007/978-3-642-30232-9_7). The rest is a screw, carried out
evenly in the time from 0 to 1:

.. math:: A_i(t) = \exp(t \xi_i), \qquad v_i(y) = \omega_i \times y + u_i.

Of two structures, one moves by :math:`\xi` and the other by :math:`-\xi`. A bone that turns about a joint then does
so all the way; on a straight way of its centroid, far from the joint, it would be pressed into its socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..core.linear import closest_rotation

__all__ = ["RigidPath", "common_motion"]

_MOST_ROUNDS = 50
_AT_REST = 1e-12
_SMALL_ANGLE = 1e-4


@dataclass(frozen=True)
class RigidPath:
    """The way of one structure: a screw motion.

    Parameters
    ----------
    turn : array, shape (3,)
        Rotation vector, LPS, radians.
    slide_mm : array, shape (3,)
        Velocity at the origin, LPS, mm in the unit of time.
    """

    turn: NDArray[np.float64]
    slide_mm: NDArray[np.float64]

    @classmethod
    def to(cls, matrix: NDArray[np.float64]) -> RigidPath:
        """The way that ends at a rigid transform, shape (4, 4), LPS, mm: its logarithm."""
        turn = Rotation.from_matrix(closest_rotation(matrix)).as_rotvec()
        return cls(turn, np.asarray(np.linalg.solve(_mean_rotation(turn), matrix[:3, 3])))

    def at(self, time: float) -> NDArray[np.float64]:
        """Where the structure is at a time from 0 to 1: rigid transform, shape (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_rotvec(time * self.turn).as_matrix()
        matrix[:3, 3] = _mean_rotation(time * self.turn) @ self.slide_mm * time
        return matrix

    @property
    def velocity(self) -> NDArray[np.float64]:
        """Matrix that takes points to their velocity, shape (3, 4), LPS, mm in the unit of time."""
        return np.column_stack([_across(self.turn), self.slide_mm])


def common_motion(fixed_to_moving_lps: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean of rigid transforms.

    Parameters
    ----------
    fixed_to_moving_lps : sequence of array, shape (4, 4)
        One or more.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``; of equal transforms the transform itself.
    """
    common = np.array(fixed_to_moving_lps[0])
    for _ in range(_MOST_ROUNDS):
        rests = [RigidPath.to(np.linalg.inv(common) @ matrix) for matrix in fixed_to_moving_lps]
        turn = np.asarray(np.mean([rest.turn for rest in rests], axis=0))
        slide = np.asarray(np.mean([rest.slide_mm for rest in rests], axis=0))
        if np.linalg.norm(turn) < _AT_REST and np.linalg.norm(slide) < _AT_REST:
            break
        common = common @ RigidPath(turn, slide).at(1.0)
    return common


def _across(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix of the cross product with a vector."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _mean_rotation(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the time from 0 to 1 of the rotation on its way, shape (3, 3)."""
    angle = float(np.linalg.norm(turn))
    first, second = 0.5, 1 / 6
    if angle > _SMALL_ANGLE:
        first = (1 - np.cos(angle)) / angle**2
        second = (angle - np.sin(angle)) / angle**3
    across = _across(turn)
    return np.asarray(np.eye(3) + first * across + second * across @ across)
