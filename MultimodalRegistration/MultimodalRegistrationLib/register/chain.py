"""Stages one after the other: a registration, then whatever refines or bends its result."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.clock import Clock, stages_of
from ..core.linear import displacement_mm
from ..core.progress import Progress
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..engines.presets.model import Preset
from ..engines.session import EngineSession
from ..engines.sessions import EngineSessions
from ..preprocess.steps import AUTOMATIC, Steps
from .apply_steps import Prepared, apply_steps
from .bending import run_bending_stage
from .fine import run_fine_stage
from .later_stages import BentStage, LinearStage
from .masks import Masks
from .options import DEFAULT_SEED
from .pair import make_pair
from .parts import plan_parts
from .result import RegistrationResult
from .run import register, select_engine
from .search.bounds import Bounds
from .staged_verdict import with_stage

__all__ = ["NextStage", "register_in_stages"]


@dataclass(frozen=True)
class NextStage:
    """What is run on the result of the stages before.

    Parameters
    ----------
    preset : Preset
        Settings.
    engine : str or None
        Name; None for the best one installed.
    masks : Masks
        In world coordinates, on any grid; those of the whole run where there is none. Of either, only what lies in the
        boxes.
    """

    preset: Preset
    engine: str | None = None
    masks: Masks = field(default_factory=Masks)


def register_in_stages(
    fixed: Volume,
    moving: Volume,
    *,
    preset: Preset,
    then: Sequence[NextStage] = (),
    engine: str | None = None,
    sessions: EngineSessions | None = None,
    verdict: bool = True,
    steps: Steps = AUTOMATIC,
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
    seed: int = DEFAULT_SEED,
    threads: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_log: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    keep_job_files: Path | None = None,
    **options: Any,
) -> RegistrationResult:
    """Register as :func:`~MultimodalRegistrationLib.register.run.register` does, with any chain of stages.

    A preset may hold stages that bend after those that are linear; further presets follow in ``then``. Each stage gets
    the original volumes and the transform so far, so that nothing is resampled twice.

    Parameters
    ----------
    fixed, moving : Volume
        In world coordinates; not changed.
    preset : Preset
        Of the first stages, at least one of which is linear.
    then : sequence of NextStage
        What follows.
    sessions : EngineSessions, optional
        Running engines to use, which stay; by default they are started and closed.
    engine, verdict, steps, fixed_mask, moving_mask, seed, threads, keep_job_files
        As there.
    on_progress, on_warning, on_log, cancel
        As there.
    **options
        Of the first stages, as there.

    Returns
    -------
    RegistrationResult
        With the later stages in ``later``.

    Raises
    ------
    InputError
        The first stage bends, or a linear one follows one that bends.
    EngineError, EngineNotInstalledError, Cancelled
        From the engines.
    """
    clock = Clock()
    warnings: list[str] = []

    def warn(message: str) -> None:
        warnings.append(message)
        if on_warning is not None:
            on_warning(message)

    common = Masks(fixed_mask, moving_mask).placed(fixed, moving, warn)
    chain = [(preset, select_engine(preset, engine), common)]
    for stage in then:
        own = stage.masks.placed(fixed, moving, warn).or_those_of(common).within_boxes(fixed, moving)
        chain.append((stage.preset, select_engine(stage.preset, stage.engine), own))
    parts = plan_parts(chain)
    first, *later = parts

    def told(number: int) -> Callable[[Progress], None]:
        def tell(progress: Progress) -> None:
            if on_progress is not None:
                on_progress(Progress(progress.stage, (number + progress.fraction) / len(parts)))

        return tell

    clock.lap("check")
    following: dict[str, Any] = {"on_log": on_log, "cancel": cancel}
    with EngineSessions(threads) if sessions is None else nullcontext(sessions) as engines:
        result = register(
            fixed,
            moving,
            preset=first.preset,
            session=engines.of(first.engine),
            verdict=verdict,
            steps=steps,
            fixed_mask=first.masks.fixed,
            moving_mask=first.masks.moving,
            seed=seed,
            threads=threads,
            on_progress=told(0),
            on_warning=on_warning,
            keep_job_files=keep_job_files,
            more_stages=bool(later),
            **following,
            **options,
        )
        clock.lap("engine start and hand-over", stages_of(result.seconds))
        prepared_for: dict[Masks, Prepared] = {}
        for number, part in enumerate(later, start=1):
            tell = told(number)
            following["keep"] = None if keep_job_files is None else keep_job_files / f"stage-{number + 1}"
            if part.masks not in prepared_for:
                prepared_for[part.masks] = apply_steps(
                    steps,
                    fixed,
                    moving,
                    masks=part.masks,
                    tell=_silent,
                    cancel=cancel,
                )
            prepared = prepared_for[part.masks]
            clock.lap(f"preprocess, stage {number + 1}")

            def on_share(words: str, share: float, tell: Callable[[Progress], None] = tell) -> None:
                tell(Progress(words, share))

            running = engines.of(part.engine)
            made: BentStage | LinearStage
            if part.bends:
                made = run_bending_stage(
                    running,
                    prepared.fixed,
                    prepared.moving,
                    result.transform,
                    part.preset,
                    fixed_mask=prepared.masks.fixed,
                    moving_mask=prepared.masks.moving,
                    verdict=verdict,
                    seed=seed,
                    on_progress=on_share,
                    on_warning=warn,
                    **following,
                )
            else:
                made = _refine(
                    running,
                    prepared.fixed,
                    prepared.moving,
                    result,
                    part.preset,
                    masks=prepared.masks,
                    crop_margin_mm=steps.crop_margin_mm,
                    seed=seed,
                    on_progress=on_share,
                    on_warning=warn,
                    following=following,
                )
            result = dataclasses.replace(result, later=(*result.later, made))
            clock.lap(f"engine start and hand-over, stage {number + 1}", stages_of(made.seconds, number + 1))
            if made.convergence.settled is False:
                warn(f"{part.preset.name}: {made.convergence.words}")
            if result.verdict is not None:
                judged, against = with_stage(result.verdict, made)
                result = dataclasses.replace(result, verdict=judged)
                if against:
                    warn(" ".join(against))
    if later and result.landmarks is not None:
        at_landmarks = result.landmarks.after(result.transform)
        weighed, speaks_against = at_landmarks.weighed(result.verdict)
        result = dataclasses.replace(result, landmarks=at_landmarks, verdict=weighed)
        if speaks_against is not None:
            warn(speaks_against)
    clock.lap("verdict")
    return dataclasses.replace(result, seconds=clock.seconds, warnings=(*result.warnings, *warnings))


def _silent(_words: str, _share: float) -> None:
    """The stage itself is told."""


def _refine(
    session: EngineSession,
    fixed: Volume,
    moving: Volume,
    before: RegistrationResult,
    preset: Preset,
    *,
    masks: Masks,
    crop_margin_mm: float | None,
    seed: int,
    on_progress: Callable[[str, float], None],
    on_warning: Callable[[str], None],
    following: Mapping[str, Any],
) -> LinearStage:
    matrix = before.transform.matrix
    assert matrix is not None, "checked before"
    pair = make_pair(
        fixed,
        moving,
        matrix,
        winsorize_percentiles=preset.winsorize_percentiles,
        fixed_mask=masks.fixed,
        moving_mask=masks.moving,
    )
    (found,) = run_fine_stage(
        session,
        pair,
        [np.eye(4)],
        preset,
        seed=seed,
        crop_margin_mm=crop_margin_mm,
        on_progress=on_progress,
        on_warning=on_warning,
        **following,
    )
    refined = pair.fixed_to_moving_lps(found.sampled_to_other_lps)
    from_start = dataclasses.replace(pair, start_fixed_to_moving_lps=before.start_fixed_to_moving_lps).pose_lps(refined)
    bounds = Bounds.given(pair.sampled.grid.center_lps, before.max_translation_mm, before.max_rotation_deg)
    if bounds.clamp(from_start) is not from_start:
        translation_mm, rotation_deg = bounds.of(from_start)
        on_warning(
            f"{preset.name} went {translation_mm:.1f} mm and {rotation_deg:.1f} degrees from the start, beyond the "
            "bounds of the run: what it found is left out."
        )
        refined, found = matrix, dataclasses.replace(found, sampled_to_other_lps=np.eye(4))
    points = pair.sampled.grid.sample_points_lps(8)
    moved_mm = float(displacement_mm(found.sampled_to_other_lps, np.eye(4), points).mean())
    return LinearStage(
        preset=preset,
        engine=session.engine,
        transform=SpatialTransform.of_matrix(preset.name, refined),
        convergence=found.convergence,
        seconds={"engine": found.seconds},
        log=found.log,
        moved_mm=moved_mm,
    )
