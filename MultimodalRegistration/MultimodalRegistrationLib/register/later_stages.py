"""The stages after the first one, each on the original volumes and the transform so far: nothing is resampled twice."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..core.clock import stages_of
from ..core.linear import displacement_mm
from ..core.progress import Progress
from ..core.spatial import SpatialTransform
from .apply_steps import Prepared, apply_steps
from .deformable import run_deformable_stage
from .fine import run_fine_stage
from .inputs import Inputs
from .masks import Masks
from .pair import make_pair
from .plan import Part, Plan
from .request import RegisterRequest
from .result import DeformableStage, LinearStage, RegistrationResult
from .run import Run
from .search.bounds import Bounds
from .staged_verdict import with_stage


def run_later_stages(
    result: RegistrationResult, inputs: Inputs, plan: Plan, request: RegisterRequest, run: Run
) -> RegistrationResult:
    """Refine or deform the result of the first part by those that follow, and judge it anew after each.

    Raises
    ------
    EngineError, EngineNotInstalledError, Cancelled
        From the engines.
    """
    prepared_for: dict[Masks, Prepared] = {}
    for number, part in enumerate(plan.later, start=1):
        own = run.part(number / len(plan.parts), (number + 1) / len(plan.parts))
        own.keep = None if run.keep is None else run.keep / f"stage-{number + 1}"
        if part.masks not in prepared_for:
            silent = dataclasses.replace(run, on_progress=_say_nothing)
            prepared_for[part.masks] = apply_steps(plan.steps, inputs.fixed, inputs.moving, part.masks, silent)
        run.clock.lap(f"preprocess, stage {number + 1}")
        made = _run_stage(prepared_for[part.masks], result, part, plan, request, own)
        result = dataclasses.replace(result, later=(*result.later, made))
        run.clock.lap(f"engine start and hand-over, stage {number + 1}", stages_of(made.seconds, number + 1))
        if made.convergence.settled is False:
            run.warn(f"{part.preset.name}: {made.convergence.words}")
        if result.verdict is not None:
            judged, against = with_stage(result.verdict, made)
            result = dataclasses.replace(result, verdict=judged)
            run.warn(" ".join(against) or None)
    if plan.later and result.landmarks is not None:
        at_landmarks = result.landmarks.after(result.transform)
        weighed, speaks_against = at_landmarks.weighed(result.verdict)
        result = dataclasses.replace(result, landmarks=at_landmarks, verdict=weighed)
        run.warn(speaks_against)
    run.clock.lap("verdict")
    return dataclasses.replace(result, seconds=run.clock.seconds, warnings=tuple(run.warnings))


def _say_nothing(_progress: Progress) -> None:
    """The stage itself is told."""


def _run_stage(
    prepared: Prepared, result: RegistrationResult, part: Part, plan: Plan, request: RegisterRequest, run: Run
) -> DeformableStage | LinearStage:
    if part.is_deformable:
        volumes = prepared.fixed, prepared.moving, prepared.masks
        return run_deformable_stage(*volumes, result.transform, part, run, verdict=request.verdict, seed=request.seed)
    return _run_linear_stage(prepared, result, part, run, seed=request.seed, crop_margin_mm=plan.steps.crop_margin_mm)


def _run_linear_stage(
    prepared: Prepared, before: RegistrationResult, part: Part, run: Run, *, seed: int, crop_margin_mm: float | None
) -> LinearStage:
    matrix = before.transform.matrix
    assert matrix is not None, "checked before"
    pair = make_pair(
        prepared.fixed,
        prepared.moving,
        matrix,
        winsorize_percentiles=part.preset.winsorize_percentiles,
        fixed_mask=prepared.masks.fixed,
        moving_mask=prepared.masks.moving,
    )
    (found,) = run_fine_stage(
        pair, [np.eye(4)], part.preset, part.engine, run, seed=seed, crop_margin_mm=crop_margin_mm
    )
    refined = pair.fixed_to_moving_lps(found.sampled_to_other_lps)
    from_start = dataclasses.replace(pair, start_fixed_to_moving_lps=before.start_fixed_to_moving_lps).pose_lps(refined)
    bounds = Bounds.given(pair.sampled.grid.center_lps, before.max_translation_mm, before.max_rotation_deg)
    if bounds.clamp(from_start) is not from_start:
        translation_mm, rotation_deg = bounds.of(from_start)
        run.warn(
            f"{part.preset.name} went {translation_mm:.1f} mm and {rotation_deg:.1f} degrees from the start, beyond "
            "the bounds of the run: what it found is left out."
        )
        refined, found = matrix, dataclasses.replace(found, sampled_to_other_lps=np.eye(4))
    points = pair.sampled.grid.sample_points_lps(8)
    return LinearStage(
        preset=part.preset,
        engine=part.engine,
        transform=SpatialTransform.of_matrix(part.preset.name, refined),
        convergence=found.convergence,
        seconds={"engine": found.seconds},
        log=found.log,
        moved_mm=float(displacement_mm(found.sampled_to_other_lps, np.eye(4), points).mean()),
    )
