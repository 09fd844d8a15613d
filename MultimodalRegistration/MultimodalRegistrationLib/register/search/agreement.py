"""How well two volumes agree under many poses at once, and the best pose near each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...core.linear import apply_matrix
from .bounds import Bounds
from .lattice import Lattice, classes_of

__all__ = ["Agreement", "Poses"]

# More do not fit into the cache of a core: twice as slow.
_BATCH_POINTS = 100_000


class Poses:
    """Rigid poses of the sampled volume in the other one.

    Parameters
    ----------
    rotations : array, shape (N, 3, 3)
        Rotation matrices.
    centers_lps : array, shape (N, 3)
        Where the centre of the sampled points goes, LPS, mm.
    """

    def __init__(self, rotations: NDArray[np.float64], centers_lps: NDArray[np.float64]) -> None:
        self.rotations = rotations
        self.centers_lps = centers_lps

    def __len__(self) -> int:
        return len(self.rotations)

    def __getitem__(self, index: NDArray[np.intp] | slice) -> Poses:
        return Poses(self.rotations[index], self.centers_lps[index])


class Agreement:
    """Mutual information of two lattices over random points of the sampled one, weighted with their overlap.

    Parameters
    ----------
    sampled, other : Lattice
        Smoothed volumes.
    points : int
        Number of points drawn.
    classes : int
        Intensity classes of each volume.
    overlap_power : float
        Mutual information is multiplied by this power of the overlap, or else small overlaps win by chance.
    smallest_overlap : float
        Poses with less score -1.
    seed : int
        Of the draw.
    """

    def __init__(
        self,
        sampled: Lattice,
        other: Lattice,
        *,
        points: int,
        classes: int = 16,
        overlap_power: float = 0.5,
        smallest_overlap: float = 0.25,
        seed: int = 0,
    ) -> None:
        self._classes = classes
        self._overlap_power = overlap_power
        self._smallest_overlap = smallest_overlap
        labels, other_labels = classes_of(sampled, classes), classes_of(other, classes)
        index = np.argwhere(sampled.inside)
        # The score of an overlap is relative to the smaller of the two volumes.
        self._smaller = min(1.0, _volume_mm3(other) / _volume_mm3(sampled))
        if len(index) > points:
            index = index[np.sort(np.random.default_rng(seed).choice(len(index), points, replace=False))]
        self._rows = labels[tuple(index.T)].astype(np.int32) * classes
        points_lps = apply_matrix(sampled.ijk_to_lps, index[:, ::-1])
        self.center_lps = points_lps.mean(axis=0)
        self._offsets = (points_lps - self.center_lps).T.astype(np.float32)
        self.radius_mm = max(float(np.sqrt((self._offsets**2).sum(axis=0).mean())), 1e-3)
        # A border of -1 stands for everything outside.
        padded = np.pad(other_labels, 1, constant_values=-1)
        self._last = np.asarray(padded.shape[::-1], dtype=np.float32) - 1
        self._steps = np.array([1, padded.shape[2], padded.shape[1] * padded.shape[2]], dtype=np.int32)
        self._other = np.where(padded < 0, classes * classes, padded).astype(np.int32).ravel()
        self._lps_to_ijk = np.linalg.inv(other.ijk_to_lps)

    def poses_of(self, matrices: NDArray[np.float64]) -> Poses:
        """Poses from rigid ``sampled_to_other_lps`` matrices, shape (N, 4, 4)."""
        return Poses(matrices[:, :3, :3], matrices[:, :3, :3] @ self.center_lps + matrices[:, :3, 3])

    def matrices_of(self, poses: Poses) -> NDArray[np.float64]:
        """``sampled_to_other_lps`` matrices of poses, shape (N, 4, 4)."""
        matrices = np.tile(np.eye(4), (len(poses), 1, 1))
        matrices[:, :3, :3] = poses.rotations
        matrices[:, :3, 3] = poses.centers_lps - poses.rotations @ self.center_lps
        return matrices

    def score(self, poses: Poses) -> NDArray[np.float64]:
        """Agreement under each pose, shape (N,), in nats; -1 where the overlap is too small."""
        batch = max(1, _BATCH_POINTS // self._offsets.shape[1])
        parts = [self._measure(poses[first : first + batch])[0] for first in range(0, len(poses), batch)]
        return np.concatenate(parts)

    def overlap(self, poses: Poses) -> NDArray[np.float64]:
        """Share of the smaller volume inside the other under each pose, shape (N,)."""
        return np.minimum(self._measure(poses)[1], 1.0)

    def _measure(self, poses: Poses) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        linear = (self._lps_to_ijk[:3, :3] @ poses.rotations).astype(np.float32)
        # 1.5: one voxel of border, and half a voxel so that truncation rounds.
        constant = (apply_matrix(self._lps_to_ijk, poses.centers_lps) + 1.5).astype(np.float32)
        index = linear @ self._offsets
        index += constant[:, :, None]
        np.clip(index, 0, self._last[:, None], out=index)
        flat = np.einsum("nik,i->nk", index.astype(np.int32), self._steps)
        cells = self._classes**2
        joint_index = self._other[flat] + self._rows
        np.minimum(joint_index, cells, out=joint_index)
        joint_index += (np.arange(len(poses), dtype=np.int32) * (cells + 1))[:, None]
        counts = np.bincount(joint_index.ravel(), minlength=len(poses) * (cells + 1))
        joint = counts.reshape(len(poses), cells + 1)[:, :cells].reshape(-1, self._classes, self._classes)
        total = joint.sum(axis=(1, 2))
        n = np.maximum(total, 1)
        entropies = _n_log_n(joint).sum(axis=(1, 2)) - _n_log_n(joint.sum(1)).sum(1) - _n_log_n(joint.sum(2)).sum(1)
        information = entropies / n + np.log(n)
        overlap = total / (len(self._rows) * self._smaller)
        weighted = information * np.minimum(overlap, 1.0) ** self._overlap_power
        return np.where(overlap >= self._smallest_overlap, weighted, -1.0), overlap

    def climb(
        self, poses: Poses, steps_mm: tuple[float, ...], bounds: Bounds, most_moves: int = 6
    ) -> tuple[Poses, NDArray[np.float64]]:
        """Go uphill from every pose, all of them at once.

        A pattern search: each of the twelve single moves and the move along all the better ones together are tried, and
        the best is taken, at one step after the other.

        Parameters
        ----------
        poses : Poses
            Where to begin.
        steps_mm : tuple of float
            Steps of the translation; rotations move the points by about as much.
        bounds : Bounds
            Poses beyond are not entered.
        most_moves : int
            At each step.

        Returns
        -------
        poses : Poses
            In the same order.
        scores : array, shape (N,)
            Their agreement.
        """
        moves = np.concatenate([np.eye(6), -np.eye(6)])
        scores = self.score(poses)
        rotations, centers = poses.rotations.copy(), poses.centers_lps.copy()
        for step_mm in steps_mm:
            active = np.arange(len(scores))
            for _ in range(most_moves):
                here = scores[active]
                single = np.broadcast_to(moves, (len(active), 12, 6))
                gains = self._try(rotations[active], centers[active], single, step_mm, bounds)[0] - here[:, None]
                gains = np.maximum(gains, 0.0)
                slope = gains[:, :6] - gains[:, 6:]
                steepest = np.abs(slope).max(axis=1, keepdims=True)
                together = np.divide(slope, steepest, out=np.zeros_like(slope), where=steepest > 0)
                best_single = moves[gains.argmax(axis=1)]
                both = np.stack([together, best_single], axis=1)
                tried, new_rotations, new_centers = self._try(rotations[active], centers[active], both, step_mm, bounds)
                choice = tried.argmax(axis=1)
                each = np.arange(len(active))
                better = tried[each, choice] > here
                if not better.any():
                    break
                chosen, index = (each[better], choice[better]), active[better]
                rotations[index], centers[index] = new_rotations[chosen], new_centers[chosen]
                scores[index] = tried[chosen]
                active = index
        return Poses(rotations, centers), scores

    def angle_of_step(self, step_mm: float) -> float:
        """Angle in radians that moves the points by about a step: the mean of the sine over directions is pi / 4."""
        return step_mm / (self.radius_mm * np.pi / 4)

    def _try(
        self,
        rotations: NDArray[np.float64],
        centers: NDArray[np.float64],
        moves: NDArray[np.float64],
        step_mm: float,
        bounds: Bounds,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Scores, rotations and centres after moves, shape (N, M, 6): rotation vector, then translation."""
        n, m = moves.shape[:2]
        angle = self.angle_of_step(step_mm)
        turns = Rotation.from_rotvec(moves[:, :, :3].reshape(-1, 3) * angle).as_matrix().reshape(n, m, 3, 3)
        new_rotations = rotations[:, None] @ turns
        new_centers = centers[:, None] + moves[:, :, 3:] * step_mm
        if bounds.are_set:
            # Turns about the centre of the bounds leave it in place, so that they do not use up the translation.
            arm = self.center_lps - bounds.center_lps
            new_centers = new_centers + (rotations[:, None] @ (turns @ arm - arm)[..., None])[..., 0]
        flat = Poses(new_rotations.reshape(-1, 3, 3), new_centers.reshape(-1, 3))
        scores = self.score(flat)
        if bounds.are_set:
            centers_of_bounds = flat.centers_lps - flat.rotations @ (self.center_lps - bounds.center_lps)
            scores[~bounds.allow(flat.rotations, centers_of_bounds)] = -2.0
        return scores.reshape(n, m), new_rotations, new_centers


def _volume_mm3(lattice: Lattice) -> float:
    return float(lattice.inside.sum()) * lattice.spacing_mm**3


def _n_log_n(counts: NDArray[np.int_]) -> NDArray[np.float64]:
    return counts * np.log(np.maximum(counts, 1))
