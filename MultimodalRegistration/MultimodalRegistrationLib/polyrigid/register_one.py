"""One structure, registered near the start that all have in common; it never ends where it agrees less than there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import EngineError
from ..core.linear import apply_matrix, displacement_mm, rotation_angle_deg
from ..core.volume import Volume
from ..engines.presets.preset import Preset
from ..preprocess.steps import AUTOMATIC
from ..register import prepare
from ..register.apply_steps import Prepared, apply_steps
from ..register.fine import FineResult, run_fine_stage
from ..register.masks import Masks
from ..register.overlap import overlap_fraction
from ..register.pair import Pair
from ..register.result import RegistrationResult
from ..register.run import Run
from ..register.search.bounds import Bounds
from ..register.search.lattices import Lattices
from ..register.similarity import mutual_information
from ..register.verdict.convergence import Convergence
from ..register.verdict.evidence import Examiner
from ..register.verdict.polish import Polisher, fine_lattices
from ..register.verdict.rule import SHARP, Verdict, judge, verdict_warning, with_doubts
from ..register.views import View
from .near_start import MotionBounds, Surroundings, near_start_candidates, prepared_pair
from .structure import Structure, StructureRegion

Outcome = Literal["registered", "kept", "failed"]
# By which share a pose must agree better than the common start to show that a structure has left it; volumes that
# share nothing differ by some hundredths of a nat as well.
_CLEARLY, _CHANCE_NATS = 0.09, 0.04
# The engine starts from the best poses near the common start: those that agree nearly as well as the best.
_WORTH_THE_ENGINE, _MAX_STARTS = 0.96, 2
# How many poses of the search are compared with the engine's.
_MAX_POSES = 4
# What agrees so much better is another pose, not the same one sampled anew.
_NOISE = 0.03


@dataclass(frozen=True, eq=False)
class RegisteredStructure:
    """One structure and its transform.

    Parameters
    ----------
    structure : Structure
        Which one.
    result : RegistrationResult
        Of its region alone; the transform holds for the full volumes.
    outcome : str
        ``"registered"``: at a pose of its own; ``"kept"``: at the common start; ``"failed"``: left there, though it is
        somewhere else.
    """

    structure: Structure
    result: RegistrationResult
    outcome: Outcome = "registered"

    @property
    def is_usable(self) -> bool:
        """Whether the combined transform may move it so: what failed is somewhere else."""
        return self.result.verdict is not None and self.result.verdict.word != "failed"


def register_one(
    region: StructureRegion,
    *,
    preset: Preset,
    engine: str,
    fixed_to_moving_lps: NDArray[np.float64],
    bounds: MotionBounds,
    seed: int,
    run: Run,
) -> RegisteredStructure:
    """Register one structure.

    Restarts from all over the bounds lead to a few poses, from the best of which the engine goes on. What it finds, the
    poses of the search and the common start itself are then compared over the structure and the shell around it.

    Parameters
    ----------
    region : StructureRegion
        Both volumes around the structure.
    preset : Preset
        Settings; rigid.
    engine : str
        Name.
    fixed_to_moving_lps : array, shape (4, 4)
        The common start.
    bounds : MotionBounds
        How far from it the structure may be. A pose at a bound is never taken: the optimum lies beyond.
    seed : int
        Of every random draw.
    run : Run
        Progress, warnings, engines.

    Returns
    -------
    RegisteredStructure
        At the common start where nothing near it can be trusted.

    Raises
    ------
    InputError, Cancelled
        From the steps and the engine.
    """
    clock, tell = run.clock, run.tell
    with clock.stage("prepare"):
        tell("preparing the volumes", 0.0)
        prepared = apply_steps(
            AUTOMATIC,
            region.fixed,
            region.moving,
            # A mask of the user would be widened by some mm, which here is not margin but a neighbour.
            Masks(),
            run.part(0.0, 0.05),
        )
        prepared = replace(prepared, masks=_within(region.fixed_mask, prepared.masks))
        view = _view(prepared, region, preset, fixed_to_moving_lps, bounds)
        percentiles = preset.winsorize_percentiles
        surroundings = Surroundings(
            prepare.engine_copy(prepared.fixed, prepared.masks.fixed, np.eye(4), percentiles),
            prepare.engine_copy(prepared.moving, prepared.masks.moving, np.eye(4), percentiles),
            seed=seed,
        )
    pair = view.pair

    def agreements(poses_lps: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return surroundings.agreements([pair.fixed_to_moving_lps(pose) for pose in poses_lps])

    with clock.stage("search"):
        tell("searching near the common start", 0.1)
        candidates = near_start_candidates(view.lattices, view.bounds, seed=seed)
        found = [candidate.sampled_to_other_lps for candidate in candidates[:_MAX_POSES]]
        scores = agreements(found)
        order = np.argsort(-scores, kind="stable")
        starts = [found[i] for i in order if scores[i] >= _WORTH_THE_ENGINE * scores.max()][:_MAX_STARTS]
    tell("waiting for the engine", 0.3)
    fine: list[FineResult] = []
    stopped: EngineError | None = None
    try:
        fine = run_fine_stage(pair, starts, preset, engine, run.part(0.3, 0.75), seed=seed, crop_margin_mm=None)
    except EngineError as error:
        # A structure that hardly shows; where the engine itself is gone, the run is.
        if run.engines.has_died(engine):
            raise
        stopped = error
    clock.lap("engine start and hand-over", {"engine": sum(result.seconds for result in fine)})
    with clock.stage("verdict"):
        tell("judging the result", 0.75)
        # The engine's first: within the noise they are the finest.
        poses = [result.sampled_to_other_lps for result in fine] + found + _polished(view, starts[0], seed)
        scores, at_start = agreements(poses), float(agreements([np.eye(4)])[0])
        pose_lps, agreement = _best(view.bounds, poses, scores, at_start, len(fine))
        examiner = Examiner(view.lattices, view.bounds, seed=seed, threads=run.threads)
        evidence = examiner.examine(
            pose_lps, candidates, lambda share: tell("judging the result", 0.75 + 0.24 * share), mirror=False
        )
        doubts = [] if stopped is None else [f"The engine stopped: {stopped.found}."]
        if scores.max() > (1 + _NOISE) * agreement:
            doubts.append(
                f"At the bounds of {bounds.translation_mm:.0f} mm and {bounds.rotation_deg:.0f} degrees it agrees "
                f"better, {scores.max():.2f} nat against {agreement:.2f}: the true pose may lie beyond."
            )
        verdict = with_doubts(judge(evidence), doubts)
        outcome: Outcome = "kept" if np.array_equal(pose_lps, np.eye(4)) else "registered"
        if not is_trusted(verdict, at_start, agreement, _moved_mm(pair, pose_lps, region.structure)):
            verdict = kept_verdict(verdict, at_start, agreement)
            outcome, pose_lps = "failed" if verdict.word == "failed" else "kept", np.eye(4)
    run.warn(verdict_warning(verdict))
    best_run = fine[int(scores[: len(fine)].argmax())] if fine else None
    convergence = Convergence(None, "The engine stopped.", ()) if best_run is None else best_run.convergence
    if outcome == "registered" and convergence.settled is False:
        run.warn(convergence.words)
    matrix = pair.fixed_to_moving_lps(pose_lps)
    fixed, moving = prepared.fixed, prepared.moving
    masks = {"fixed_mask": prepared.masks.fixed, "moving_mask": prepared.masks.moving}
    clock.lap("verdict")
    result = RegistrationResult(
        fixed_to_moving_lps=matrix,
        steps=AUTOMATIC,
        preprocess_facts=prepared.facts,
        engine=engine,
        preset=preset,
        seed=seed,
        sampled="moving" if pair.sampled_is_moving else "fixed",
        start_method="auto",
        start="search near the common start",
        start_fixed_to_moving_lps=fixed_to_moving_lps,
        fixed_grid=fixed.grid,
        max_translation_mm=bounds.translation_mm,
        max_rotation_deg=bounds.rotation_deg,
        candidates=len(starts),
        overlap_at_start=overlap_fraction(fixed, moving, fixed_to_moving_lps, **masks),
        overlap_at_end=overlap_fraction(fixed, moving, matrix, **masks),
        mutual_information_at_start=mutual_information(pair.sampled, pair.other, np.eye(4)),
        mutual_information_at_end=mutual_information(pair.sampled, pair.other, pose_lps),
        moved_mm=_moved_mm(pair, pose_lps, region.structure),
        rotated_deg=rotation_angle_deg(pose_lps),
        bounds_touched=(),
        landmarks=None,
        convergence=convergence,
        verdict=verdict,
        seconds=clock.seconds,
        warnings=tuple(run.warnings),
        log="" if best_run is None else best_run.log,
    )
    return RegisteredStructure(region.structure, result, outcome)


def _within(marked: Volume, automatic: Masks) -> Masks:
    """The structure and its shell as the mask of the fixed volume, without what was left out of that on its own."""
    if automatic.fixed is None:
        return Masks(marked, automatic.moving)
    both = sitk.And(sitk.Cast(marked.image > 0, sitk.sitkUInt8), sitk.Cast(automatic.fixed.image > 0, sitk.sitkUInt8))
    return Masks(Volume(both, marked.name), automatic.moving)


def _view(
    prepared: Prepared,
    region: StructureRegion,
    preset: Preset,
    fixed_to_moving_lps: NDArray[np.float64],
    bounds: MotionBounds,
) -> View:
    """The pair in the position of the common start, bounded at the centre of the structure."""
    pair = prepared_pair(prepared, fixed_to_moving_lps, preset.winsorize_percentiles)
    center_lps = region.structure.points_lps.mean(axis=0)
    if pair.sampled_is_moving:
        center_lps = apply_matrix(fixed_to_moving_lps, center_lps)
    limits = Bounds.given(center_lps, bounds.translation_mm, bounds.rotation_deg)
    return View(pair, limits, Lattices(pair.sampled, pair.other))


def _polished(view: View, pose_lps: NDArray[np.float64], seed: int) -> list[NDArray[np.float64]]:
    """Where an optimiser of our own ends from a pose and from the start, as far as there is enough to compare."""
    fine = fine_lattices(view.lattices)
    polishers = [Polisher(*fine, start, seed) for start in (pose_lps, np.eye(4))]
    return [polisher.climb(np.zeros(6)) for polisher in polishers if polisher.can_tell]


def _best(
    bounds: Bounds,
    poses_lps: list[NDArray[np.float64]],
    scores: NDArray[np.float64],
    at_start: float,
    engine_results: int,
) -> tuple[NDArray[np.float64], float]:
    """The best pose within the bounds and its agreement; the start where none agrees better."""
    within = np.array([not bounds.touched(pose) and bounds.clamp(pose) is pose for pose in poses_lps])
    allowed = np.where(within, scores, -1.0)
    best = int(allowed.argmax())
    engine = int(allowed[:engine_results].argmax()) if engine_results else best
    if allowed[engine] >= (1 - _NOISE) * allowed[best]:
        best = engine
    if allowed[best] <= at_start:
        return np.eye(4), at_start
    return poses_lps[best], float(allowed[best])


def _moved_mm(pair: Pair, pose_lps: NDArray[np.float64], structure: Structure) -> float:
    """How far a pose moves the structure from where the start puts it, mean over its voxels."""
    points = structure.points_lps
    found, start = pair.fixed_to_moving_lps(pose_lps), pair.start_fixed_to_moving_lps
    return float(displacement_mm(found, start, points).mean())


def is_trusted(verdict: Verdict, at_start: float, agreement: float, moved_mm: float) -> bool:
    """Whether a pose is taken for the common start.

    Parameters
    ----------
    verdict : Verdict
        On the pose.
    at_start, agreement : float
        Of the structure and its surroundings, in nats, at the start and at the pose.
    moved_mm : float
        Between the two.
    """
    if verdict.word != "uncertain":
        return verdict.word == "verified"
    # What is in doubt must show at least: an optimum, which agrees clearly better if it is another one.
    is_near = moved_mm <= verdict.evidence.step_mm / 2
    return verdict.evidence.sharpness >= SHARP and (is_near or _agrees_clearly_better(agreement, at_start))


def kept_verdict(found: Verdict, at_start: float, agreement: float) -> Verdict:
    """The verdict on the common start, where the best pose near it cannot be trusted.

    Parameters
    ----------
    found : Verdict
        On that pose.
    at_start, agreement : float
        As for :func:`is_trusted`.

    Returns
    -------
    Verdict
        Failed where that pose is a clear optimum, so that the structure is not where the start puts it, and where it is
        instead is not known; otherwise uncertain.
    """
    gone = _agrees_clearly_better(agreement, at_start) and found.evidence.sharpness >= SHARP
    compared = f"{agreement:.2f} nat near it, {at_start:.2f} at the start"
    if gone:
        message = f"It is not where the common start puts it ({compared}), but no pose near it can be trusted."
    elif agreement > at_start:
        message = f"Kept at the common start: nothing near it agrees clearly better ({compared})."
    else:
        message = f"Kept at the common start, which agrees best ({at_start:.2f} nat) but shows too little to go by."
    against = (message, *(f"Of the best pose near it: {sentence}" for sentence in found.against))
    return replace(found, word="failed" if gone else "uncertain", against=against, facts=(), estimated_error_mm=None)


def _agrees_clearly_better(agreement: float, at_start: float) -> bool:
    return agreement > max((1 + _CLEARLY) * at_start, at_start + _CHANCE_NATS)
