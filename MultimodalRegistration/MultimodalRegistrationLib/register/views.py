"""The two volumes with the user's masks and without them, and the poses that the search finds in both.

A mask says what is to fit, not where it is: the part that it marks may fit nearly as well in a wrong place, above all
where only one volume has a mask. So the search sees the whole volumes, its poses are improved with and without the
masks, and what decides between them is the mean of both agreements: what is marked counts twice, the rest once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.linear import displacement_mm
from .pair import Pair
from .search.bounds import Bounds
from .search.candidates import (
    Candidate,
    candidates_of,
    coarse_candidates,
    distinct,
    find_candidates,
    improved_candidates,
    nearby_candidates,
    search_step_mm,
)
from .search.lattice import content_extent_mm
from .search.lattices import Lattices
from .verdict.evidence import Examiner
from .verdict.rule import Verdict, with_optimum_unmasked

__all__ = ["Comparison", "View", "placed_in"]

_PROBES = 4
_MOST_POSES = 8
# By which a pose must agree better than another for its agreement to tell them apart.
_CLEARLY = 1.03
# How far what a mask marks may have moved on its own, in steps of the search in the whole volumes.
_REACH_STEPS = 4
# Of the coarse poses in the whole volumes, best first, those that are improved with the masks too.
_COARSE_WITH_MASKS = 40
# Of the time of a search.
_COARSE_SHARE, _WHOLE_SHARE = 0.75, 0.88
# The next best place agrees less than this share of the best, where what a mask marks stands out.
_STANDS_OUT = 0.75
# Of a volume: what its mask marks, as a box.
_SMALL_PART = 1 / 3


# Compared and hashed by identity: voxels are not compared.
@dataclass(frozen=True, eq=False)
class View:
    """A pair of volumes as the search and the verdict see it.

    Parameters
    ----------
    pair : Pair
        With its masks.
    bounds : Bounds
        Limits of its poses.
    lattices : Lattices
        Of the pair.
    """

    pair: Pair
    bounds: Bounds
    lattices: Lattices

    @classmethod
    def of(cls, pair: Pair, max_translation_mm: float | None, max_rotation_deg: float | None) -> View:
        """A view with the bounds that a user gives."""
        bounds = Bounds.given(pair.sampled.grid.center_lps, max_translation_mm, max_rotation_deg)
        return cls(pair, bounds, Lattices(pair.sampled, pair.other))

    def poses_from(self, other: View, poses_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Poses of this pair that are those of another view of the same volumes and start, shape (N, 4, 4)."""
        if other.pair.sampled_is_moving == self.pair.sampled_is_moving:
            return poses_lps
        return np.stack([self.pair.pose_lps(other.pair.fixed_to_moving_lps(pose)) for pose in poses_lps])


class Comparison:
    """Two volumes with the user's masks and without them, and what decides between their poses.

    Parameters
    ----------
    masked : View
        With the user's masks.
    whole : View
        Without them; the same object where there are none.
    seed, threads
        As for :func:`~MultimodalRegistrationLib.register.search.candidates.find_candidates`.
    """

    def __init__(self, masked: View, whole: View, *, seed: int, threads: int | None) -> None:
        self.masked, self.whole = masked, whole
        self._seed, self._threads = seed, threads
        self._masks_stand_alone = False
        self._best_of_whole_lps: NDArray[np.float64] | None = None
        self._examiners: dict[View, Examiner] = {}

    def examiner_of(self, view: View) -> Examiner:
        """Measures poses of a view: of the masked one also without the masks, unless these stand alone."""
        if view not in self._examiners:
            unmasked = None
            if view is not self.whole and not self._masks_stand_alone:
                unmasked = self._agreements_of_whole
            self._examiners[view] = Examiner(
                view.lattices, view.bounds, seed=self._seed, threads=self._threads, unmasked=unmasked
            )
        return self._examiners[view]

    def _agreements_of_whole(self, poses_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Agreement of the whole volumes under poses of the masked view, shape (N, 4, 4)."""
        return self.examiner_of(self.whole).agreements(self.whole.poses_from(self.masked, poses_lps))

    def find_poses(self, on_fraction: Callable[[float], None]) -> list[Candidate]:
        """Search all poses within the bounds.

        Parameters
        ----------
        on_fraction : callable
            As for :func:`~MultimodalRegistrationLib.register.search.candidates.find_candidates`.

        Returns
        -------
        list of Candidate
            Poses of the masked view in different basins, best first; at least one.
        """
        masked, whole = self.masked, self.whole
        if masked is whole:
            return find_candidates(
                masked.lattices, masked.bounds, seed=self._seed, threads=self._threads, on_fraction=on_fraction
            )
        coarse = coarse_candidates(
            whole.lattices,
            whole.bounds,
            threads=self._threads,
            on_fraction=lambda share: on_fraction(_COARSE_SHARE * share),
        )
        by_whole = placed_in(masked, improved_candidates(whole.lattices, whole.bounds, coarse, seed=self._seed), whole)
        self._best_of_whole_lps = by_whole[0].sampled_to_other_lps
        on_fraction(_WHOLE_SHARE)
        coarse = [
            *by_whole,
            *placed_in(masked, coarse[:_COARSE_WITH_MASKS], whole),
            *nearby_candidates(
                masked.lattices,
                masked.bounds,
                by_whole[0].sampled_to_other_lps,
                reach_mm=_REACH_STEPS * search_step_mm(whole.lattices.sampled, whole.lattices.other),
                seed=self._seed,
            ),
        ]
        if self._masks_mark_small_parts():
            # They can be told from everything else, and what they mark may be anywhere.
            coarse += coarse_candidates(masked.lattices, masked.bounds, threads=self._threads)
        by_masks = improved_candidates(masked.lattices, masked.bounds, coarse, seed=self._seed)
        self._masks_stand_alone = self._stand_alone(by_whole[0], by_masks)
        # Otherwise there is more to tell by without the masks: what is found with them must agree clearly better.
        worth = 1.0 if self._masks_stand_alone else _CLEARLY
        return self._distinct([*self._scored(by_whole, worth), *self._scored(by_masks, 1.0)], _MOST_POSES)

    def _masks_mark_small_parts(self) -> bool:
        """Whether masks mark a small part of each volume; what is larger the search in the whole volumes finds."""
        pair = self.masked.pair
        return all(
            volume.mask is not None
            and np.prod(content_extent_mm(volume)) < _SMALL_PART * np.prod(volume.grid.extent_mm)
            for volume in (pair.sampled, pair.other)
        )

    def _stand_alone(self, by_whole: Candidate, by_masks: list[Candidate]) -> bool:
        """Whether what the masks mark fits in one place clearly better than anywhere else, not where the whole does."""
        apart = self._distinct([replace(by_whole, score=np.inf), *by_masks], len(by_masks) + 1)
        if len(apart) < 2:
            return False
        poses = np.stack([candidate.sampled_to_other_lps for candidate in apart])
        agreements = Examiner(self.masked.lattices, self.masked.bounds, seed=self._seed).agreements(poses).clip(0)
        best = int(agreements.argmax())
        return best > 0 and float(np.delete(agreements, best).max()) < _STANDS_OUT * agreements[best]

    def _scored(self, candidates: list[Candidate], worth: float) -> list[Candidate]:
        poses = np.stack([candidate.sampled_to_other_lps for candidate in candidates])
        return candidates_of(poses, worth * self.examiner_of(self.masked).agreements(poses))

    def _distinct(self, candidates: list[Candidate], most: int) -> list[Candidate]:
        volumes = self.masked.lattices.sampled, self.masked.lattices.other
        return distinct(candidates, volumes[0].grid.sample_points_lps(_PROBES), search_step_mm(*volumes), most)

    def weighed(self, verdict: Verdict, pose_lps: NDArray[np.float64], candidates: list[Candidate]) -> Verdict:
        """The verdict on a result of the masked view, with what the volumes say without the masks.

        Where they agree better at a place of its own elsewhere, the masks decided and the verdict says so. Where only
        the optimum lies elsewhere, nothing tells which of the two is right: the estimated error includes the distance.

        Parameters
        ----------
        verdict : Verdict
            From the evidence of the masked view.
        pose_lps : array, shape (4, 4)
            The result, of the masked view.
        candidates : list of Candidate
            The poses of that view that it was chosen from; the best one without masks need not be among them.
        """
        poses = np.stack([pose_lps, *(candidate.sampled_to_other_lps for candidate in candidates)])
        if self._best_of_whole_lps is not None:
            poses = np.concatenate([poses, self._best_of_whole_lps[None]])
        agreements = self._agreements_of_whole(poses)
        best = int(agreements.argmax())
        probe = self.masked.lattices.sampled.grid.sample_points_lps(_PROBES)
        apart_mm = float(displacement_mm(poses[best], pose_lps, probe).mean())
        step_mm = self.examiner_of(self.masked).step_mm
        if agreements[best] > _CLEARLY * agreements[0] and apart_mm > step_mm:
            fact = (
                f"The masks decided: without them a pose {apart_mm:.0f} mm away agrees better, {agreements[best]:.2f} "
                f"nat against {agreements[0]:.2f}. The estimated error holds for what they mark."
            )
            return replace(verdict, facts=(*verdict.facts, fact))
        optimum = self.examiner_of(self.whole).optimum_near(self.whole.poses_from(self.masked, pose_lps[None])[0])
        if optimum is None:
            return verdict
        marked = self.examiner_of(self.masked).common_points_lps(pose_lps)
        optimum_lps = self.masked.poses_from(self.whole, optimum[None])[0]
        return with_optimum_unmasked(verdict, float(displacement_mm(optimum_lps, pose_lps, marked).mean()))


def placed_in(view: View, candidates: list[Candidate], of: View) -> list[Candidate]:
    """Candidates of another view as those of this one, within its bounds."""
    if view is of or not candidates:
        return candidates
    poses = view.poses_from(of, np.stack([candidate.sampled_to_other_lps for candidate in candidates]))
    return [
        Candidate(view.bounds.clamp(pose), candidate.score) for pose, candidate in zip(poses, candidates, strict=True)
    ]
