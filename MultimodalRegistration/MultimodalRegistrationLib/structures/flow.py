r"""Several rigid motions as one smooth motion of space that does not fold.

A point at :math:`y` moves at time :math:`t` with the velocity

.. math:: \dot y = \sum_i w_i(y, t)\, v_i(y, t), \qquad \sum_i w_i = 1,

where :math:`v_i` is the velocity of structure :math:`i` on its way :math:`A_i(t)` (see :mod:`.motions`). The weights
travel with the structures: :math:`w_i` depends on the distances :math:`d_j(A_j(t)^{-1} y)` to where the structures *are*,
not to where they were. In a structure its own weight is one, so its points move with it all the way and arrive at its
rigid transform. Velocities that stay where they are, as in polyaffine transforms (Arsigny 2005, 2009), lose this when a
point leaves the zone of its structure before time 1.

The share of the way from structure i to its nearest neighbour is :math:`s_i = d_i / (d_i + \min_{j \ne i} d_j)`. The weight
is one up to :math:`s_i = \beta`, zero from :math:`1 - \beta`, a cubic between, and normalised. Far from all structures the
weights are equal, where only the motion that they have in common is left. The velocity is continuous and Lipschitz, so
its flow is one to one and its Jacobian determinant above zero, as long as no two structures meet on the way.

References
----------
Arsigny, Pennec, Ayache 2005, doi:10.1007/11566489_90. Arsigny et al. 2009, doi:10.1007/s10851-008-0135-9. Little, Hill,
Hawkes 1997, doi:10.1006/cviu.1997.0608.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.linear import apply_matrix
from MultimodalRegistrationLib.structures.motions import RigidPath

__all__ = ["DistanceMap", "Flow"]

# Share of the way to the neighbour that still moves with the structure.
_RIGID_SHARE = 0.15
_POINTS_AT_ONCE = 100_000
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

    def at(self, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances of points, shape (N, 3), LPS; beyond the grid with the way to it added, so that they stay continuous."""
        index = apply_matrix(np.linalg.inv(self.nodes.ijk_to_lps), points_lps)
        inside = np.clip(index, 0, np.asarray(self.nodes.size) - 1)
        found = ndimage.map_coordinates(
            self.distances_mm, inside[:, ::-1].T, output=np.float64, order=1, mode="nearest", prefilter=False
        )
        beyond = (index - inside) @ self.nodes.ijk_to_lps[:3, :3].T
        return np.asarray(found + np.sqrt(np.einsum("ij,ij->i", beyond, beyond)))


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
            velocity += weight[:, None] * path.velocity(points_lps, time)
        return velocity

    def _weights(self, points_lps: NDArray[np.float64], time: float) -> NDArray[np.float64]:
        """Weights of the structures, shape (structures, N)."""
        if len(self.paths) == 1:
            return np.ones((1, len(points_lps)))
        apart = np.stack(
            [
                distance.at(apply_matrix(np.linalg.inv(path.at(time)), points_lps))
                for path, distance in zip(self.paths, self.distances, strict=True)
            ]
        )
        lowest = np.partition(apart, 1, axis=0)[:2]
        other = np.where(apart == lowest[0], lowest[1], lowest[0])
        share = apart / np.maximum(apart + other, _SMALLEST_MM)
        inner = np.clip((share - _RIGID_SHARE) / (1 - 2 * _RIGID_SHARE), 0.0, 1.0)
        weights = 1 - inner**2 * (3 - 2 * inner)
        return np.asarray(weights / weights.sum(axis=0))

    def steps_for(self, probes_lps: NDArray[np.float64], tolerance_mm: float) -> int:
        """Number of time steps after which half of them would change no probe, shape (N, 3), by more than a tolerance."""
        steps = _FEWEST_STEPS
        coarse = self.end(probes_lps, steps)
        while steps < _MOST_STEPS:
            steps *= 2
            fine = self.end(probes_lps, steps)
            if np.linalg.norm(fine - coarse, axis=1).max(initial=0.0) <= tolerance_mm:
                break
            coarse = fine
        return steps

    def end(
        self,
        points_lps: NDArray[np.float64],
        steps: int,
        *,
        on_fraction: Callable[[float], None] | None = None,
    ) -> NDArray[np.float64]:
        """Where points, shape (N, 3), LPS, are at time 1, by the classical Runge-Kutta method."""
        ends = np.empty_like(points_lps)
        for first in range(0, len(points_lps), _POINTS_AT_ONCE):
            if on_fraction is not None:
                on_fraction(first / len(points_lps))
            part = slice(first, first + _POINTS_AT_ONCE)
            ends[part] = self._end(points_lps[part], steps)
        return ends

    def _end(self, points_lps: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
        step = 1 / steps
        for number in range(steps):
            time = number * step
            first = self.velocity(points_lps, time)
            second = self.velocity(points_lps + step / 2 * first, time + step / 2)
            third = self.velocity(points_lps + step / 2 * second, time + step / 2)
            fourth = self.velocity(points_lps + step * third, time + step)
            points_lps = points_lps + step / 6 * (first + 2 * second + 2 * third + fourth)
        return points_lps
