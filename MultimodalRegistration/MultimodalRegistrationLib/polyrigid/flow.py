r"""Several rigid motions as one smooth motion of space that does not fold.

A point at :math:`y` moves at time :math:`t` with the velocity

.. math:: \dot y = \sum_i w_i(y, t)\, v_i(y, t), \qquad \sum_i w_i = 1,

where :math:`v_i` is the velocity of structure :math:`i` on its way :math:`A_i(t)` (see :mod:`.motions`). The weights
travel with the structures: :math:`w_i` depends on the distances :math:`d_j(A_j(t)^{-1} y)` to where the structures
*are*, not to where they were. In a structure its own weight is one, so its points move with it all the way and arrive
at its rigid transform. Velocities that stay where they are, as in polyaffine transforms (Arsigny 2005, 2009), lose this
when a point leaves the zone of its structure before time 1.

The share of the way from structure i to its nearest neighbour is :math:`s_i = d_i / (d_i + \min_{j \ne i} d_j)`. The
weight is one up to :math:`s_i = \beta`, zero from :math:`1 - \beta`, a ramp with rounded ends between, and normalised;
a straight ramp spreads shear and compression most evenly over the gap. Far from all structures the weights are equal,
where only the motion that they have in common is left. The velocity is continuous and Lipschitz, so its flow is one to
one and its Jacobian determinant above zero, as long as no two structures meet on the way.

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

from ..core.grid import VolumeGrid
from .motions import RigidPath

__all__ = ["DistanceMap", "Flow"]

# Share of the way to the neighbour that still moves with the structure.
_RIGID_SHARE = 0.05
# Share of the ramp that is rounded, at each end.
_ROUNDED = 0.2
_POINTS_AT_ONCE = 30_000
_FEWEST_STEPS = 4
_MOST_STEPS = 256
_SMALLEST_MM = 1e-9


@dataclass(frozen=True, eq=False)
class DistanceMap:
    """Distance to the nodes that carry one structure.

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
    def to(cls, carried: NDArray[np.bool_], nodes: VolumeGrid) -> DistanceMap:
        """Measure the distance to marked nodes, shape (K, J, I)."""
        distances = ndimage.distance_transform_edt(~carried, sampling=nodes.spacing_mm[::-1])
        return cls(nodes, np.asarray(distances, dtype=np.float32))

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
    """The motion of space that carries all structures.

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
        share = apart / np.maximum(apart + other, _SMALLEST_MM)
        weights = 1 - _ramp(np.clip((share - _RIGID_SHARE) / (1 - 2 * _RIGID_SHARE), 0.0, 1.0))
        return np.asarray(weights / weights.sum(axis=0))

    def steps_for(self, probes_lps: NDArray[np.float64], tolerance_mm: float) -> int:
        """Number of time steps of which half would move no probe, shape (N, 3), by more than a tolerance."""
        steps = _FEWEST_STEPS
        coarse = self.end(probes_lps, steps)
        while steps < _MOST_STEPS:
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
