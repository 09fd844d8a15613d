"""One registration, step by step: check, prepare, search, refine, judge, and the stages that follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.volume import Volume
from ..io.volume_checks import check_pair, check_values
from ..preprocess.check import volume_warnings
from .apply_steps import apply_steps
from .inputs import Inputs
from .judge import Poses, Started, judge_result
from .later_stages import run_later_stages
from .masks import Masks
from .memory_need import memory_warning
from .overlap import check_overlap, overlap_fraction
from .pair import Pair, make_pair
from .plan import Plan, make_plan
from .refine import Refined, refine
from .request import RegisterRequest
from .result import RegistrationResult
from .run import Run
from .search.candidates import Candidate
from .start import Start, choose_start
from .views import Comparison, View

# The engine starts from every candidate whose agreement comes this close to that of the best one.
_WORTH_THE_ENGINE = 0.96
_MAX_STARTS = 2
# Of a run, or of its first part: where the search begins, where the engine does, and where the judging does.
_SEARCH, _ENGINE, _JUDGE = 0.04, 0.3, 0.8


def register(inputs: Inputs, request: RegisterRequest, run: Run) -> RegistrationResult:
    """Find the transform that puts the moving volume onto the fixed one, and say whether to trust it.

    Parameters
    ----------
    inputs : Inputs
        The data.
    request : RegisterRequest
        What is asked for; its files are not read.
    run : Run
        Progress, warnings, engines.

    Returns
    -------
    RegistrationResult
        The transform with its evidence.

    Raises
    ------
    InputError
        Inputs that do not fit together.
    EngineError, EngineNotInstalledError, Cancelled
        From the engines.
    """
    plan = check(inputs, request, run)
    first = run.part(0.0, 1 / len(plan.parts))
    started = prepare(inputs, request, plan, first)
    poses = search(started, request, first)
    refined = refine_poses(started, poses, request, plan, first)
    result = judge_result(started, poses, refined, inputs, request, plan, first)
    return run_later_stages(result, inputs, plan, request, run)


def check(inputs: Inputs, request: RegisterRequest, run: Run) -> Plan:
    """Refuse what cannot be registered, warn of what is noticed, and plan the run.

    Raises
    ------
    InputError
        Values, grids, masks or stages that do not go together.
    EngineNotInstalledError
        None of a preset's engines is installed.
    """
    fixed, moving = inputs.fixed, inputs.moving
    make_plan(request)
    run.tell("checking the inputs", 0.0)
    for volume in (fixed, moving):
        check_values(volume.image, volume.name)
    check_pair(fixed.grid, fixed.name, moving.grid, moving.name)
    common = inputs.masks.placed(fixed, moving, run.warn).within_boxes(fixed, moving)
    later = inputs.later_masks or (Masks(),) * len(request.then)
    own = [masks.placed(fixed, moving, run.warn).or_those_of(common).within_boxes(fixed, moving) for masks in later]
    plan = make_plan(request, [common, *own])
    run.warn(
        memory_warning(plan.first.engine, fixed.grid, moving.grid, steps=plan.steps, given_masks=plan.first.masks.roles)
    )
    # Once, where one volume is given twice.
    for message in dict.fromkeys((*volume_warnings(fixed), *volume_warnings(moving))):
        run.warn(message)
    run.clock.lap("check")
    return plan


def prepare(inputs: Inputs, request: RegisterRequest, plan: Plan, run: Run) -> Started:
    """Preprocess copies of the volumes, choose the start and put both in its position.

    Raises
    ------
    InputError
        A start that cannot be used, or volumes that have too little in common there.
    """
    given = plan.first.masks
    prepared = apply_steps(plan.steps, inputs.fixed, inputs.moving, given, run.part(0.01, 0.03))
    fixed, moving, masks = prepared.fixed, prepared.moving, prepared.masks
    start = choose_start(request, inputs, fixed, moving, masks)
    for finding in () if start.landmarks is None else start.landmarks.warnings:
        run.warn(finding)
    overlap = overlap_fraction(
        fixed, moving, start.fixed_to_moving_lps, fixed_mask=masks.fixed, moving_mask=masks.moving
    )
    if request.start != "auto":
        check_overlap(overlap, fixed.name, moving.name, start.name, given.names)
    run.clock.lap("preprocess")
    run.tell("preparing the volumes", 0.03)
    masked = whole = _view(fixed, moving, masks, start, plan)
    if given.roles:
        whole = _view(fixed, moving, prepared.automatic, start, plan, masked.pair)
    # The engine loads while the poses are searched.
    run.engines.of(plan.first.engine)
    comparison = Comparison(masked, whole, seed=request.seed, threads=run.threads)
    run.clock.lap("prepare")
    return Started(prepared, start, overlap, given.names, comparison)


def _view(fixed: Volume, moving: Volume, masks: Masks, start: Start, plan: Plan, shared: Pair | None = None) -> View:
    pair = make_pair(
        fixed,
        moving,
        start.fixed_to_moving_lps,
        fixed_mask=masks.fixed,
        moving_mask=masks.moving,
        winsorize_percentiles=plan.first.preset.winsorize_percentiles,
        shared=shared,
    )
    return View.of(pair, start.max_translation_mm, start.max_rotation_deg)


def search(started: Started, request: RegisterRequest, run: Run) -> Poses:
    """Search all poses within the bounds, for the engine's starts and for the verdict.

    Raises
    ------
    InputError
        No pose with enough overlap.
    """
    comparison = started.comparison
    candidates: list[Candidate] = []
    if request.start == "auto" or request.verdict:
        searching = run.part(_SEARCH, _ENGINE)
        candidates = comparison.find_poses(lambda fraction: searching.tell("searching all poses", fraction))
    starts = [np.eye(4)]
    if request.start == "auto":
        starts = _worth_the_engine(candidates)
        found = [comparison.masked.pair.fixed_to_moving_lps(pose) for pose in starts]
        overlap = max(started.overlap_under(transform) for transform in found)
        names = started.prepared.fixed.name, started.prepared.moving.name
        check_overlap(overlap, *names, "the best pose found", started.mask_names, searched=True)
    run.clock.lap("search")
    return Poses(candidates, starts)


def _worth_the_engine(candidates: list[Candidate]) -> list[NDArray[np.float64]]:
    """Poses of the best candidate and of those that come close to it."""
    close = [candidate for candidate in candidates if candidate.score >= _WORTH_THE_ENGINE * candidates[0].score]
    return [candidate.sampled_to_other_lps for candidate in (close or candidates[:1])[:_MAX_STARTS]]


def refine_poses(started: Started, poses: Poses, request: RegisterRequest, plan: Plan, run: Run) -> Refined:
    """Run the engine from the poses of the search.

    Raises
    ------
    EngineError, Cancelled
        From the engine.
    """
    refined = refine(
        started.comparison,
        poses.starts,
        plan.first.preset,
        plan.first.engine,
        run.part(_ENGINE, _JUDGE),
        seed=request.seed,
        crop_margin_mm=plan.steps.crop_margin_mm,
    )
    run.clock.lap("engine start and hand-over", {"engine": refined.seconds})
    return refined
