"""What is known about the result of a search and an engine: the verdict, the errors at landmarks, the figures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.linear import displacement_mm, rotation_angle_deg
from ..core.spatial import SpatialTransform
from .apply_steps import Prepared
from .inputs import Inputs
from .landmark_start import LandmarkErrors
from .overlap import overlap_fraction
from .plan import Plan
from .refine import Refined
from .request import RegisterRequest
from .result import RegistrationResult
from .run import Run
from .search.candidates import Candidate
from .similarity import mutual_information
from .start import Start
from .verdict.rule import WORSE_THAN_START, Verdict, judge, verdict_warning
from .views import Comparison, placed_in
from .wrong_way_round import inverse_warning

# In a smaller overlap at the start, mutual information is large by chance.
_COMPARABLE_OVERLAP = 0.3


@dataclass(frozen=True, eq=False)
class Started:
    """What the search, the engine and the verdict work on.

    Parameters
    ----------
    prepared : Prepared
        Copies of the volumes with their masks; the user's volumes are only named.
    start : Start
        Where the run begins.
    overlap : float
        At the start: share of the smaller volume that lies inside the other.
    mask_names : list of str
        Of the user's masks.
    comparison : Comparison
        The volumes with the user's masks and without, in the position of the start.
    """

    prepared: Prepared
    start: Start
    overlap: float
    mask_names: list[str]
    comparison: Comparison

    def overlap_under(self, fixed_to_moving_lps: NDArray[np.float64]) -> float:
        """Share of the smaller volume that lies inside the other, 0 to 1, under a transform of shape (4, 4)."""
        prepared = self.prepared
        masks = {"fixed_mask": prepared.masks.fixed, "moving_mask": prepared.masks.moving}
        return overlap_fraction(prepared.fixed, prepared.moving, fixed_to_moving_lps, **masks)


@dataclass(frozen=True)
class Poses:
    """What the search found.

    Parameters
    ----------
    candidates : list of Candidate
        Poses in different basins, best first; empty where nothing was searched.
    starts : list of array, shape (4, 4)
        From which the engine starts.
    """

    candidates: list[Candidate]
    starts: list[NDArray[np.float64]]


def judge_result(
    started: Started,
    poses: Poses,
    refined: Refined,
    inputs: Inputs,
    request: RegisterRequest,
    plan: Plan,
    run: Run,
) -> RegistrationResult:
    """Weigh the result of the engine, and gather everything that is known about it."""
    pair, bounds, pose_lps = refined.view.pair, refined.view.bounds, refined.pose_lps
    at_start, at_end = (mutual_information(pair.sampled, pair.other, pose) for pose in (np.eye(4), pose_lps))
    run.warn(refined.without_masks)
    run.tell("judging the result", 0.8)
    verdict = _verdict(started, poses, refined, run.part(0.8, 0.98)) if request.verdict else None
    fixed_to_moving_lps = pair.fixed_to_moving_lps(pose_lps)
    verdict, at_landmarks = _with_landmarks(verdict, fixed_to_moving_lps, started.start, plan, run)
    result = RegistrationResult(
        fixed_to_moving_lps=fixed_to_moving_lps,
        steps=plan.steps,
        preprocess_facts=started.prepared.facts,
        engine=plan.first.engine,
        preset=plan.first.preset,
        seed=request.seed,
        sampled="moving" if pair.sampled_is_moving else "fixed",
        start_method=request.start,
        start=f"search around {started.start.name}" if request.start == "auto" else started.start.name,
        start_fixed_to_moving_lps=started.start.fixed_to_moving_lps,
        fixed_grid=started.prepared.fixed.grid,
        max_translation_mm=started.start.max_translation_mm,
        max_rotation_deg=started.start.max_rotation_deg,
        candidates=len(poses.starts),
        overlap_at_start=started.overlap,
        overlap_at_end=started.overlap_under(fixed_to_moving_lps),
        mutual_information_at_start=at_start,
        mutual_information_at_end=at_end,
        moved_mm=float(displacement_mm(pose_lps, np.eye(4), pair.sampled.grid.sample_points_lps(8)).mean()),
        rotated_deg=rotation_angle_deg(pose_lps),
        bounds_touched=tuple(bounds.touched(pose_lps)),
        landmarks=at_landmarks,
        convergence=refined.engine.convergence,
        verdict=verdict,
        seconds={},
        warnings=(),
        log=refined.engine.log,
    )
    _warn(result, started, refined, inputs, run)
    run.clock.lap("verdict")
    return replace(result, seconds=run.clock.seconds, warnings=tuple(run.warnings))


def _verdict(started: Started, poses: Poses, refined: Refined, run: Run) -> Verdict:
    comparison, view, pose_lps = started.comparison, refined.view, refined.pose_lps
    evidence = comparison.examiner_of(view).examine(
        pose_lps,
        placed_in(view, poses.candidates, comparison.masked),
        on_fraction=lambda fraction: run.tell("judging the result", fraction),
    )
    verdict = judge(evidence, tuple(view.bounds.touched(pose_lps)))
    return verdict if view is comparison.whole else comparison.weighed(verdict, pose_lps, poses.candidates)


def _with_landmarks(
    verdict: Verdict | None, fixed_to_moving_lps: NDArray[np.float64], start: Start, plan: Plan, run: Run
) -> tuple[Verdict | None, LandmarkErrors | None]:
    """The verdict with what the landmarks say, and the errors at them; later stages are weighed when they are done."""
    if start.landmarks is None:
        return verdict, None
    at_landmarks = start.landmarks.errors_of(SpatialTransform.of_matrix("result", fixed_to_moving_lps))
    if plan.later:
        return verdict, at_landmarks
    verdict, against = at_landmarks.weighed(verdict)
    if verdict is None:
        run.warn(against)
    return verdict, at_landmarks


def _warn(result: RegistrationResult, started: Started, refined: Refined, inputs: Inputs, run: Run) -> None:
    """Tell what the user should know before using the result."""
    verdict, at_start = result.verdict, result.mutual_information_at_start
    at_end, touched = result.mutual_information_at_end, result.bounds_touched
    if verdict is not None and verdict.word != "verified":
        run.warn(verdict_warning(verdict))
        if inputs.initial_fixed_to_moving_lps is not None:
            fixed, moving = started.prepared.fixed, started.prepared.moving
            run.warn(inverse_warning(fixed, moving, refined.view.pair, at_start, inputs.initial_name))
    if touched and verdict is None:
        run.warn(f"The result is at {' and '.join(touched)}; the true pose may lie beyond.")
    if result.convergence.settled is False:
        run.warn(result.convergence.words)
    # Where there is a verdict, it knows better: its agreement takes account of the overlap.
    comparable = verdict is None and result.overlap_at_start >= _COMPARABLE_OVERLAP
    if comparable and at_start is not None and (at_end is None or at_end < (1 - WORSE_THAN_START) * at_start):
        run.warn(
            "The volumes agree less after the registration than at its start (mutual information "
            f"{at_start:.3f} before, {'none' if at_end is None else f'{at_end:.3f}'} after): do not trust this result "
            "before looking at it."
        )
