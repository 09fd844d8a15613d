"""An optimiser of its own with a smooth metric, to see where independent restarts end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from ...core.linear import apply_matrix
from ..search.candidates import search_step_mm
from ..search.lattice import Lattice, class_coordinates
from ..search.lattices import Lattices
from ..similarity import mutual_information_of_joint

__all__ = ["Polisher", "fine_lattices"]

_FINER_THAN_SEARCH = 6
_CLASSES = 24
_POINTS = 7_000
_DRAWS = 12 * _POINTS
_FEWEST_POINTS = 200
_STEP_MM = 0.1
_MOST_ITERATIONS = 8


def fine_lattices(lattices: Lattices) -> tuple[Lattice, Lattice]:
    """Both volumes at a sixth of the step of the search, fine enough for a :class:`Polisher`."""
    return lattices.at(search_step_mm(lattices.sampled, lattices.other) / _FINER_THAN_SEARCH)


class Polisher:
    """Mutual information with linear interpolation and linear Parzen windows: it can be climbed to a tenth of mm.

    Parameters
    ----------
    sampled, other : Lattice
        Fine lattices.
    pose_lps : array, shape (4, 4)
        Where to look: points are drawn from the region that both volumes show under this pose.
    seed : int
        Of the draw.
    """

    def __init__(self, sampled: Lattice, other: Lattice, pose_lps: NDArray[np.float64], seed: int) -> None:
        self._other = class_coordinates(other, _CLASSES)
        self._shows = other.shows
        self._lps_to_ijk = np.linalg.inv(other.ijk_to_lps)
        self._pose = pose_lps
        random = np.random.default_rng(seed)
        cells = np.argwhere(sampled.inside)[:, ::-1]
        # Between the cells, so that no pose is favoured where the lattices coincide.
        index = cells[random.integers(0, len(cells), _DRAWS)] + random.uniform(-0.5, 0.5, (_DRAWS, 3))
        points = apply_matrix(sampled.ijk_to_lps, index)
        inside = self._shows(self._index(pose_lps, points))
        index, points = index[inside][:_POINTS], points[inside][:_POINTS]
        self.points_lps = points
        if not self.can_tell:
            return
        self._center = points.mean(axis=0)
        self._radius_mm = max(float(np.sqrt(((points - self._center) ** 2).sum(axis=1).mean())), 1e-3)
        values = map_coordinates(class_coordinates(sampled, _CLASSES), index.T[::-1], order=1, mode="nearest")
        self._row = np.minimum(values.astype(int), _CLASSES - 2)
        self._row_share = values - self._row

    @property
    def can_tell(self) -> bool:
        """Whether enough points lie in what both volumes show."""
        return len(self.points_lps) >= _FEWEST_POINTS

    def _index(self, pose_lps: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
        return apply_matrix(self._lps_to_ijk @ pose_lps, points)

    def information(self, pose_lps: NDArray[np.float64]) -> float:
        """Mutual information in nats under a pose, shape (4, 4)."""
        index = self._index(pose_lps, self.points_lps)
        inside = self._shows(index)
        if inside.sum() < 0.2 * len(index):
            return 0.0
        values = map_coordinates(self._other, index[inside].T[::-1], order=1, mode="nearest")
        column = np.minimum(values.astype(int), _CLASSES - 2)
        column_share = values - column
        row, row_share = self._row[inside], self._row_share[inside]
        joint = np.zeros(_CLASSES * _CLASSES)
        for i, weight_row in ((0, 1 - row_share), (1, row_share)):
            for j, weight_column in ((0, 1 - column_share), (1, column_share)):
                cell = (row + i) * _CLASSES + column + j
                joint += np.bincount(cell, weight_row * weight_column, minlength=len(joint))
        return mutual_information_of_joint(joint.reshape(_CLASSES, _CLASSES))

    def pose_at(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """The pose of this object moved by six parameters in mm: rotation, as much at the points, and translation."""
        move = np.eye(4)
        move[:3, :3] = Rotation.from_rotvec(parameters[:3] / self._radius_mm).as_matrix()
        move[:3, 3] = self._center + parameters[3:] - move[:3, :3] @ self._center
        return self._pose @ move

    def _cost(self, parameters: NDArray[np.float64]) -> float:
        return -self.information(self.pose_at(parameters))

    def climb(self, start_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """The best pose, shape (4, 4), near the one at ``start_mm``, shape (6,); only if :attr:`can_tell`."""
        options: Any = {"eps": _STEP_MM, "maxiter": _MOST_ITERATIONS, "maxls": 8, "ftol": 1e-5}
        found = minimize(self._cost, start_mm, method="L-BFGS-B", options=options)
        return self.pose_at(found.x)
