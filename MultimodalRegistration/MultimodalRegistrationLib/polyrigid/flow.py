r"""Several rigid motions as one smooth motion of space that does not fold.

A point at :math:`y` moves at time :math:`t` with the velocity

.. math:: \dot y = \sum_i w_i(y, t)\, v_i(y, t), \qquad \sum_i w_i = 1,

where :math:`v_i` is the velocity of structure :math:`i` on its way :math:`A_i(t)` (see below). The weights
travel with the structures: :math:`w_i` depends on the distances :math:`d_j(A_j(t)^{-1} y)` to where the structures
*are*, not to where they were. In a structure its own weight is one, so its points move with it all the way and arrive
at its rigid transform. Velocities that stay where they are, as in polyaffine transforms (Arsigny 2005, 2009), lose this
when a point leaves the zone of its structure before time 1.

The share of the way from structure i to its nearest neighbour is :math:`s_i = d_i / (d_i + \min_{j \ne i} d_j)`. The
weight is one up to :math:`s_i = \beta`, zero from :math:`1 - \beta`, a ramp with rounded ends between, and normalised;
a straight ramp spreads shear and compression most evenly over the gap. Far from all structures the weights are equal,
where only the motion that they have in common is left. The velocity is continuous and Lipschitz, so its flow is one to
one and its Jacobian determinant above zero, as long as no two structures meet on the way.

The motion of a structure is divided into what all structures have in common, and its own rest, which is small. The
common motion :math:`M` is the mean of the motions in their own group, at which the logarithms of the rests
:math:`M^{-1} T_i = \exp \xi_i` add up to zero; unlike a mean of matrices it does not depend on the origin or on which
volume is called fixed (Pennec and Arsigny 2013, doi:10.1007/978-3-642-30232-9_7). The rest is a screw, carried out
evenly in the time from 0 to 1:

.. math:: A_i(t) = \exp(t \xi_i), \qquad v_i(y) = \omega_i \times y + u_i.

Of two structures, one moves by :math:`\xi` and the other by :math:`-\xi`. A bone that turns about a joint then does
so all the way; on a straight way of its centroid, far from the joint, it would be pressed into its socket.

References
----------
Arsigny, Pennec, Ayache 2005, doi:10.1007/11566489_90. Arsigny et al. 2009, doi:10.1007/s10851-008-0135-9. Little, Hill,
Hawkes 1997, doi:10.1006/cviu.1997.0608.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..core.grid import VolumeGrid
from ..core.linear import closest_rotation

# Share of the way to the neighbour that still moves with the structure.
_RIGID_SHARE = 0.05
# Share of the ramp that is rounded, at each end.
_ROUNDED = 0.2
_POINTS_AT_ONCE = 30_000
_MIN_STEPS = 4
_MAX_STEPS = 256
_MIN_MM = 1e-9


_MAX_ROUNDS = 50
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
    for _ in range(_MAX_ROUNDS):
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


@dataclass(frozen=True, eq=False)
class DistanceMap:
    """Distance to the nodes of one structure.

    Parameters
    ----------
    nodes : VolumeGrid
        The grid.
    distances_mm : array, shape (K, J, I), float32
        At its nodes.
    """

    nodes: VolumeGrid
    distances_mm: NDArray[np.float32]

    @classmethod
    def to(cls, inside: NDArray[np.bool_], nodes: VolumeGrid) -> DistanceMap:
        """Measure the distance to marked nodes, shape (K, J, I)."""
        distances = ndimage.distance_transform_edt(~inside, sampling=nodes.spacing_mm[::-1])
        return cls(nodes, np.asarray(distances, dtype=np.float32))

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The nodes of the structure, shape (K, J, I)."""
        return np.asarray(self.distances_mm == 0)

    def at(self, points_lps: NDArray[np.float64], moved_by: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Distances of points.

        Parameters
        ----------
        points_lps : array, shape (N, 3)
            LPS, mm. Beyond the grid the way to it is added, so that distances stay continuous.
        moved_by : array, shape (4, 4), optional
            Rigid transform of the structure since time 0.

        Returns
        -------
        array, shape (N,)
            In mm.
        """
        to_index = np.linalg.inv(self.nodes.ijk_to_lps)
        if moved_by is not None:
            to_index = to_index @ np.linalg.inv(moved_by)
        # Along K, J, I and by coordinate, as the interpolation wants them.
        index = to_index[2::-1, :3] @ points_lps.T
        index += to_index[2::-1, 3:]
        last = np.asarray(self.distances_mm.shape)[:, None] - 1
        found = np.asarray(
            ndimage.map_coordinates(
                self.distances_mm, index, output=np.float64, order=1, mode="nearest", prefilter=False
            )
        )
        outside = np.flatnonzero(((index < 0) | (index > last)).any(axis=0))
        if len(outside):
            excess = index[:, outside] - np.clip(index[:, outside], 0, last)
            found[outside] += np.linalg.norm(self.nodes.ijk_to_lps[:3, :3] @ excess[::-1], axis=0)
        return found


@dataclass(frozen=True, eq=False)
class Flow:
    """The motion of space in which all structures move rigidly.

    Parameters
    ----------
    paths : sequence of RigidPath
        The way of each structure.
    distances : sequence of DistanceMap
        To each structure at time 0.
    """

    paths: Sequence[RigidPath]
    distances: Sequence[DistanceMap]

    def velocity(self, points_lps: NDArray[np.float64], time: float) -> NDArray[np.float64]:
        """Velocity at points, shape (N, 3), LPS, mm in the unit of time, at a time from 0 to 1."""
        weights = self._weights(points_lps, time)
        velocity = np.zeros_like(points_lps)
        for weight, path in zip(weights, self.paths, strict=True):
            motion = path.velocity
            velocity += weight[:, None] * (points_lps @ motion[:, :3].T + motion[:, 3])
        return velocity

    def _weights(self, points_lps: NDArray[np.float64], time: float) -> NDArray[np.float64]:
        """Weights of the structures, shape (structures, N)."""
        if len(self.paths) == 1:
            return np.ones((1, len(points_lps)))
        apart = np.stack(
            [distance.at(points_lps, path.at(time)) for path, distance in zip(self.paths, self.distances, strict=True)]
        )
        nearest, next_one = apart[0].copy(), np.full(len(points_lps), np.inf)
        for one in apart[1:]:
            next_one = np.minimum(next_one, np.maximum(nearest, one))
            nearest = np.minimum(nearest, one)
        other = np.where(apart == nearest, next_one, nearest)
        share = apart / np.maximum(apart + other, _MIN_MM)
        weights = 1 - _ramp(np.clip((share - _RIGID_SHARE) / (1 - 2 * _RIGID_SHARE), 0.0, 1.0))
        return np.asarray(weights / weights.sum(axis=0))

    def steps_for(self, probes_lps: NDArray[np.float64], tolerance_mm: float) -> int:
        """Number of time steps of which half would move no probe, shape (N, 3), by more than a tolerance."""
        steps = _MIN_STEPS
        coarse = self.end(probes_lps, steps)
        while steps < _MAX_STEPS:
            steps *= 2
            fine = self.end(probes_lps, steps)
            if np.linalg.norm(fine - coarse, axis=1).max(initial=0.0) <= tolerance_mm:
                break
            coarse = fine
        return steps

    def end(self, points_lps: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
        """Where points, shape (N, 3), LPS, that begin at time 0 are at time 1, by the classical Runge-Kutta method."""
        return self._integrate(points_lps, 0.0, 1 / steps, steps)

    def begin(self, points_lps: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
        """Where points, shape (N, 3), LPS, that end at time 1 were at time 0: the inverse."""
        return self._integrate(points_lps, 1.0, -1 / steps, steps)

    def _integrate(self, points_lps: NDArray[np.float64], start: float, step: float, steps: int) -> NDArray[np.float64]:
        found = np.empty_like(points_lps)
        for first in range(0, len(points_lps), _POINTS_AT_ONCE):
            part = slice(first, first + _POINTS_AT_ONCE)
            points = points_lps[part]
            for number in range(steps):
                points = self._step(points, start + number * step, step)
            found[part] = points
        return found

    def _step(self, points_lps: NDArray[np.float64], time: float, step: float) -> NDArray[np.float64]:
        first = self.velocity(points_lps, time)
        second = self.velocity(points_lps + step / 2 * first, time + step / 2)
        third = self.velocity(points_lps + step / 2 * second, time + step / 2)
        fourth = self.velocity(points_lps + step * third, time + step)
        return points_lps + step / 6 * (first + 2 * second + 2 * third + fourth)


def _ramp(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 at 0 to 1 at 1 with a continuous slope: parabolas at the ends, straight between."""
    low = np.minimum(share, 1 - share)
    rounded = np.where(low < _ROUNDED, low**2 / (2 * _ROUNDED), low - _ROUNDED / 2) / (1 - _ROUNDED)
    return np.where(share < 0.5, rounded, 1 - rounded)
