"""What speaks for and against a result, measured on the two volumes without knowing the engine.

The measures follow from how registrations go wrong. A wrong basin that looks right has a rival that looks as right:
the margin over the best rival tells. A flat optimum lets restarts from nearby end apart. A mirrored volume fits better
after it is mirrored back. Agreement of restarts alone proves nothing, since all of them may share one wrong basin.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...core.linear import apply_matrix, closest_rotation, displacement_mm, rotation_angle_deg
from ...core.machine import usable_cores
from ..search.agreement import Agreement, Poses
from ..search.bounds import Bounds
from ..search.candidates import Candidate, search_step_mm
from ..search.lattices import Lattices
from .polish import Polisher, fine_lattices

__all__ = ["Evidence", "Examiner"]

_POINTS = 15_000
_RESTARTS = 3
_BACKWARD = 2
_DIP = 0.98
_PERTURBATION_STEPS = 0.4
_MIRROR_DIRECTIONS = np.array([d for d in product((-1, 0, 1), repeat=3) if d > (0, 0, 0)], dtype=np.float64)


@dataclass(frozen=True)
class Evidence:
    """Measured facts about a result.

    Agreements are mutual information in nats, weighted with the overlap; zero where that is too small to tell.

    Parameters
    ----------
    agreement, agreement_best_nearby, agreement_at_start, agreement_nearby : float
        At the result, at the best of the result and the restarts from it, at the start, and the mean over poses moved
        by one step from the result.
    rival_agreement, rival_distance_mm, rival_rotation_deg : float or None
        The best pose in another basin and how far it is; None when no other was found.
    mirrored_agreement : float or None
        The best pose of the mirrored volume; None where a mirror image is out of the question.
    restarts_mm : tuple of float
        How far independent restarts from perturbed poses, with other samples, ended from the result; mean over the
        region that both volumes show.
    backward_mm : tuple of float
        Likewise with the roles of the two volumes exchanged.
    overlap : float
        Share of the smaller volume inside the other, at the resolution of the examination.
    step_mm : float
        The coarse step: what counts as another basin.
    """

    agreement: float
    agreement_best_nearby: float
    agreement_at_start: float
    agreement_nearby: float
    rival_agreement: float | None
    rival_distance_mm: float | None
    rival_rotation_deg: float | None
    mirrored_agreement: float | None
    restarts_mm: tuple[float, ...]
    backward_mm: tuple[float, ...]
    overlap: float
    step_mm: float

    @property
    def distances_mm(self) -> tuple[float, ...]:
        """Of all restarts, forward and backward."""
        return self.restarts_mm + self.backward_mm

    @property
    def margin(self) -> float:
        """By what share the agreement drops from the result to the best rival; negative when the rival is better."""
        return _drop(self.agreement_best_nearby, self.rival_agreement)

    @property
    def mirror_margin(self) -> float | None:
        """By what share it drops to the best pose of the mirrored volume; None where that was not looked for."""
        if self.mirrored_agreement is None:
            return None
        return _drop(self.agreement_best_nearby, self.mirrored_agreement)

    @property
    def sharpness(self) -> float:
        """By what share it drops on the way one coarse step away."""
        return _drop(self.agreement, self.agreement_nearby)


def _drop(best: float, other: float | None) -> float:
    if best <= 0:
        return -1.0 if (other or 0.0) > 0 else 0.0
    return 1.0 - max(other or 0.0, 0.0) / best


class Examiner:
    """Measures poses of one pair of volumes.

    Parameters
    ----------
    lattices : Lattices
        Of the pair; the start is the identity.
    bounds : Bounds
        Limits of the run.
    seed : int
        Of the random points and perturbations.
    threads : int, optional
        By default as many as there are usable cores; the result does not depend on it.
    unmasked : callable, optional
        Where the lattices have masks of the user: agreement without these of poses ``sampled_to_other_lps``, shape
        (N, 4, 4). Every agreement is then the mean of both, so that what a mask marks counts twice and the rest once.
    """

    def __init__(
        self,
        lattices: Lattices,
        bounds: Bounds,
        *,
        seed: int,
        threads: int | None = None,
        unmasked: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    ) -> None:
        self.step_mm = search_step_mm(lattices.sampled, lattices.other)
        self._bounds, self._seed = bounds, seed
        self._threads = threads or usable_cores()
        self._unmasked = unmasked
        self._lattices = lattices
        self._sampled, self._other = lattices.at(self.step_mm / 4)
        self._agreement = Agreement(self._sampled, self._other, points=_POINTS, seed=seed)

    def agreements(self, poses_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Agreement under poses ``sampled_to_other_lps``, shape (N, 4, 4); -1 where the overlap is too small."""
        scores = self._agreement.score(self._agreement.poses_of(poses_lps))
        if self._unmasked is None:
            return scores
        return np.asarray((scores.clip(0) + self._unmasked(poses_lps).clip(0)) / 2)

    def agreement(self, pose_lps: NDArray[np.float64]) -> float:
        """Agreement under one pose, shape (4, 4)."""
        return float(self.agreements(pose_lps[None])[0])

    def best_within_bounds(self, poses_lps: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """The best pose that a climb within the bounds reaches from any of these, each within them, shape (4, 4)."""
        ended, scores = self._agreement.climb(
            self._agreement.poses_of(np.stack(poses_lps)), self._steps(1 / 4, 1 / 8, 1 / 16, 1 / 32), self._bounds, 12
        )
        return self._agreement.matrices_of(ended)[int(scores.argmax())]

    def optimum_near(self, pose_lps: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Where a climb of the smooth metric ends from a pose, shape (4, 4); None if too few points lie in both."""
        polisher = Polisher(*fine_lattices(self._lattices), pose_lps, self._seed)
        return polisher.climb(np.zeros(6)) if polisher.can_tell else None

    def examine(
        self,
        pose_lps: NDArray[np.float64],
        candidates: list[Candidate],
        on_fraction: Callable[[float], None] = lambda fraction: None,
        *,
        mirror: bool = True,
    ) -> Evidence:
        """Collect the evidence.

        Parameters
        ----------
        pose_lps : array, shape (4, 4)
            The result, ``sampled_to_other_lps``.
        candidates : list of Candidate
            From the global search; those in other basins are the rivals.
        on_fraction : callable
            Called with the share done, 0 to 1; what it raises ends the examination.
        mirror : bool
            Whether the mirrored volume is compared too: a shaft looks like its mirror image, and where the rest of the
            body tells left from right that says nothing.

        Returns
        -------
        Evidence
            Same volumes, pose and seed: same evidence.
        """
        probe = self.common_points_lps(pose_lps)
        agreement = max(self.agreement(pose_lps), 0.0)
        nearby = float(self.agreements(self._nearby(pose_lps)).clip(0).mean())
        rival = self._rival(pose_lps, probe, candidates)
        mirrored = 0.0 if mirror else None
        ends: list[NDArray[np.float64]] = []
        turned: list[NDArray[np.float64]] = []
        if agreement > 0:
            mirrored, ends, turned = self._restarted(pose_lps, on_fraction, mirror)
        return Evidence(
            agreement=agreement,
            agreement_best_nearby=float(self.agreements(np.stack([pose_lps, *ends, *turned])).max().clip(0)),
            agreement_at_start=max(self.agreement(np.eye(4)), 0.0),
            agreement_nearby=nearby,
            rival_agreement=None if rival is None else rival[0],
            rival_distance_mm=None if rival is None else rival[1],
            rival_rotation_deg=None if rival is None else rival[2],
            mirrored_agreement=mirrored,
            restarts_mm=tuple(float(displacement_mm(end, pose_lps, probe).mean()) for end in ends),
            backward_mm=tuple(float(displacement_mm(end, pose_lps, probe).mean()) for end in turned),
            overlap=float(self._agreement.overlap(self._agreement.poses_of(pose_lps[None]))[0]),
            step_mm=self.step_mm,
        )

    def _restarted(
        self, pose_lps: NDArray[np.float64], on_fraction: Callable[[float], None], mirror: bool
    ) -> tuple[float | None, list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """The best agreement of the mirrored volume, and where the forward and the backward restarts end."""
        # Here, so that no two threads make the same ones.
        for share in (2, 6):
            self._lattices.at(self.step_mm / share)
        pool = ThreadPoolExecutor(self._threads)
        try:
            mirrored = pool.submit(self._mirrored, pose_lps) if mirror else None
            runs = [pool.submit(self._restart, pose_lps, number) for number in range(_RESTARTS)]
            runs += [pool.submit(self._backward, pose_lps, number) for number in range(_BACKWARD)]
            ends = []
            for number, run in enumerate(runs):
                ends.append(run.result())
                on_fraction((number + 1) / len(runs))
            forward, backward = ends[:_RESTARTS], ends[_RESTARTS:]
            return (
                None if mirrored is None else mirrored.result(),
                [end for end in forward if end is not None],
                [end for end in backward if end is not None],
            )
        finally:
            # A cancelled run does not wait for those that have not begun.
            pool.shutdown(cancel_futures=True)

    def common_points_lps(self, pose_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of what both volumes and their masks show under a pose, in the sampled one, shape (N, 3)."""
        index = np.argwhere(self._sampled.inside)[:, ::-1]
        points = apply_matrix(self._sampled.ijk_to_lps, index[:: max(1, len(index) // 4000)])
        mapped = apply_matrix(np.linalg.inv(self._other.ijk_to_lps) @ pose_lps, points)
        inside = self._other.shows(mapped)
        return points[inside] if inside.sum() > 10 else points

    def _nearby(self, pose_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The pose moved by a step to both sides along each axis and about each axis, shape (12, 4, 4)."""
        pose = self._agreement.poses_of(pose_lps[None])
        unit = np.concatenate([np.eye(3), -np.eye(3)])
        angle = self._agreement.angle_of_step(self.step_mm)
        turned = pose.rotations @ Rotation.from_rotvec(unit * angle).as_matrix()
        moved = Poses(
            np.concatenate([np.repeat(pose.rotations, 6, axis=0), turned]),
            np.concatenate([pose.centers_lps + unit * self.step_mm, np.repeat(pose.centers_lps, 6, axis=0)]),
        )
        return self._agreement.matrices_of(moved)

    def _steps(self, *shares: float) -> tuple[float, ...]:
        return tuple(share * self.step_mm for share in shares)

    def _restart(self, pose_lps: NDArray[np.float64], number: int) -> NDArray[np.float64] | None:
        """Where our own optimiser ends from a perturbed pose with points of its own; None if there are too few."""
        polisher = Polisher(*fine_lattices(self._lattices), pose_lps, self._seed + number)
        return polisher.climb(self._perturbation(number)) if polisher.can_tell else None

    def _backward(self, pose_lps: NDArray[np.float64], number: int) -> NDArray[np.float64] | None:
        """Likewise with the roles of the volumes exchanged; the answer is of the original direction."""
        sampled, other = fine_lattices(self._lattices)
        polisher = Polisher(other, sampled, np.asarray(np.linalg.inv(pose_lps)), self._seed + number)
        if not polisher.can_tell:
            return None
        return np.asarray(np.linalg.inv(polisher.climb(self._perturbation(number))))

    def _perturbation(self, number: int) -> NDArray[np.float64]:
        vector = np.random.default_rng([self._seed, number]).normal(size=6)
        return vector * _PERTURBATION_STEPS * self.step_mm / np.linalg.norm(vector)

    def _mirrored(self, pose_lps: NDArray[np.float64]) -> float:
        """The best agreement of the mirrored volume, from mirrors in planes of thirteen directions."""
        coarse = Agreement(*self._lattices.at(self.step_mm / 2), points=4000, seed=self._seed)
        pose = coarse.poses_of(pose_lps[None])
        normals = _MIRROR_DIRECTIONS / np.linalg.norm(_MIRROR_DIRECTIONS, axis=1, keepdims=True)
        mirrors = np.eye(3) - 2 * normals[:, :, None] * normals[:, None, :]
        axes = self._sampled.axes
        starts = Poses(pose.rotations @ (axes @ mirrors @ axes.T), np.repeat(pose.centers_lps, len(mirrors), axis=0))
        free = Bounds(coarse.center_lps)
        ended, scores = coarse.climb(starts, self._steps(1, 1 / 2, 1 / 4), free)
        best = coarse.matrices_of(ended[np.argsort(-scores)[:2]])
        poses, _ = self._agreement.climb(self._agreement.poses_of(best), self._steps(1 / 4, 1 / 8, 1 / 16), free)
        return float(self.agreements(self._agreement.matrices_of(poses)).max())

    def _rival(
        self, pose_lps: NDArray[np.float64], probe: NDArray[np.float64], candidates: list[Candidate]
    ) -> tuple[float, float, float] | None:
        """Agreement, distance and angle of the best pose in another basin."""
        far = [
            candidate.sampled_to_other_lps
            for candidate in candidates
            if displacement_mm(candidate.sampled_to_other_lps, pose_lps, probe).mean() > self.step_mm
        ]
        if not far:
            return None
        ended, _ = self._agreement.climb(
            self._agreement.poses_of(np.stack(far)), self._steps(1 / 2, 1 / 4, 1 / 8, 1 / 16), self._bounds
        )
        matrices = self._agreement.matrices_of(ended)
        best: tuple[float, float, float] | None = None
        for matrix, score in zip(matrices, self.agreements(matrices), strict=True):
            distance_mm = float(displacement_mm(matrix, pose_lps, probe).mean())
            if distance_mm <= self.step_mm or (best is not None and score <= best[0]):
                continue
            if self._has_a_dip_between(pose_lps, matrix, float(score)):
                best = float(score), distance_mm, rotation_angle_deg(np.linalg.inv(pose_lps) @ matrix)
        return best

    def _has_a_dip_between(self, pose_a: NDArray[np.float64], pose_b: NDArray[np.float64], score: float) -> bool:
        """Whether the agreement is lower somewhere on the way: otherwise the two poses share one basin."""
        ends = self._agreement.poses_of(np.stack([pose_a, pose_b]))
        turn = Rotation.from_matrix(closest_rotation(np.linalg.inv(pose_a) @ pose_b)).as_rotvec()
        shares = np.array([0.25, 0.5, 0.75])
        way = Poses(
            ends.rotations[0] @ Rotation.from_rotvec(shares[:, None] * turn).as_matrix(),
            ends.centers_lps[0] + shares[:, None] * (ends.centers_lps[1] - ends.centers_lps[0]),
        )
        return bool(self.agreements(self._agreement.matrices_of(way)).min() < _DIP * score)
