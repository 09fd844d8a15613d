"""Stages one after the other: a registration, then whatever refines or bends its result."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from MultimodalRegistrationLib.engines.session import EngineSession
from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.linear import displacement_mm
from MultimodalRegistrationLib.geometry.spatial import SpatialTransform
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.preprocess.steps import AUTOMATIC, Steps
from MultimodalRegistrationLib.presets.model import Preset
from MultimodalRegistrationLib.presets.specification import bends
from MultimodalRegistrationLib.registration.apply_steps import Prepared, apply_steps
from MultimodalRegistrationLib.registration.bending import BentStage, run_bending_stage
from MultimodalRegistrationLib.registration.fine import run_fine_stage
from MultimodalRegistrationLib.registration.options import DEFAULT_SEED
from MultimodalRegistrationLib.registration.pair import make_pair
from MultimodalRegistrationLib.registration.prepare import mask_on_grid, resampled_words
from MultimodalRegistrationLib.registration.result import LinearStage, Progress, RegistrationResult
from MultimodalRegistrationLib.registration.run import register, select_engine
from MultimodalRegistrationLib.verdict.rule import Verdict, Word

__all__ = ["NextStage", "register_in_stages"]

# A later linear stage that moves the result less leaves its verdict as it is.
_SMALL_MOVE_MM = 1.0


@dataclass(frozen=True)
class NextStage:
    """What is run on the result of the stages before.

    Parameters
    ----------
    preset : Preset
        Settings.
    engine : str or None
        Name; None for the best one installed.
    fixed_mask, moving_mask : Volume or None
        Zeros and ones in world coordinates; None for those of the whole run.
    """

    preset: Preset
    engine: str | None = None
    fixed_mask: Volume | None = None
    moving_mask: Volume | None = None


@dataclass(frozen=True)
class _Part:
    """Stages of one preset that are all linear, or all bend."""

    preset: Preset
    engine: str
    bends: bool
    masks: Mapping[str, Any]


def register_in_stages(
    fixed: Volume,
    moving: Volume,
    *,
    preset: Preset,
    then: Sequence[NextStage] = (),
    engine: str | None = None,
    session: EngineSession | None = None,
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
    """Register as :func:`~MultimodalRegistrationLib.registration.run.register` does, with any chain of stages.

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
    engine, session, verdict, steps, fixed_mask, moving_mask, seed, threads, keep_job_files
        As there; the session is one of the first preset's engine.
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
    warnings: list[str] = []

    def warn(message: str) -> None:
        warnings.append(message)
        if on_warning is not None:
            on_warning(message)

    given = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    common: dict[str, Any] = _placed_masks(given, fixed, moving, warn)
    name = select_engine(preset, engine if session is None else session.engine)
    parts = _parts_of(preset, name, common)
    for stage in then:
        given = {"fixed_mask": stage.fixed_mask, "moving_mask": stage.moving_mask}
        own = {**common, **_placed_masks(given, fixed, moving, warn, only_given=True)}
        more = _parts_of(stage.preset, select_engine(stage.preset, stage.engine), own)
        parts = [*parts[:-1], *_joined(parts[-1], more[0]), *more[1:]]
    _check_order(parts)
    first, *later = parts

    def told(number: int) -> Callable[[Progress], None]:
        def tell(progress: Progress) -> None:
            if on_progress is not None:
                on_progress(Progress(progress.stage, (number + progress.fraction) / len(parts)))

        return tell

    following: dict[str, Any] = {"on_log": on_log, "cancel": cancel}
    with ExitStack() as opened:
        sessions = {} if session is None else {session.engine: session}

        def session_of(engine_name: str) -> EngineSession:
            # One whose engine died takes no more jobs.
            if engine_name not in sessions or sessions[engine_name].closed:
                sessions[engine_name] = opened.enter_context(EngineSession(engine_name, threads=threads))
            return sessions[engine_name]

        result = register(
            fixed,
            moving,
            preset=first.preset,
            session=session_of(first.engine),
            verdict=verdict,
            steps=steps,
            **common,
            seed=seed,
            threads=threads,
            on_progress=told(0),
            on_warning=on_warning,
            keep_job_files=keep_job_files,
            **following,
            **options,
        )
        prepared_for: dict[tuple[int, int], Prepared] = {}
        for number, part in enumerate(later, start=1):
            tell = told(number)
            following["keep"] = None if keep_job_files is None else keep_job_files / f"stage-{number + 1}"
            key = id(part.masks["fixed_mask"]), id(part.masks["moving_mask"])
            if key not in prepared_for:
                prepared_for[key] = apply_steps(steps, fixed, moving, **part.masks, tell=_silent, cancel=cancel)
            prepared = prepared_for[key]
            masks: dict[str, Any] = {"fixed_mask": prepared.fixed_mask, "moving_mask": prepared.moving_mask}

            def on_share(words: str, share: float, tell: Callable[[Progress], None] = tell) -> None:
                tell(Progress(words, share))

            running = session_of(part.engine)
            made: BentStage | LinearStage
            if part.bends:
                made = run_bending_stage(
                    running,
                    prepared.fixed,
                    prepared.moving,
                    result.transform,
                    part.preset,
                    **masks,
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
                    masks=masks,
                    crop_margin_mm=steps.crop_margin_mm,
                    seed=seed,
                    on_progress=on_share,
                    on_warning=warn,
                    following=following,
                )
            result = dataclasses.replace(result, later=(*result.later, made))
            result.seconds[f"engine, stage {number + 1}"] = made.seconds
            if made.convergence.settled is False:
                warn(f"{part.preset.name}: {made.convergence.words}")
            judged, against = _with_stage(result.verdict, made)
            result = dataclasses.replace(result, verdict=judged)
            if against:
                warn(" ".join(against))
    return dataclasses.replace(result, warnings=(*result.warnings, *warnings))


def _parts_of(preset: Preset, engine: str, masks: Mapping[str, Volume | None]) -> list[_Part]:
    parts: list[_Part] = []
    for stage in preset.engines[engine]:
        bent = bends(engine, stage)
        if parts and parts[-1].bends == bent:
            together = [*parts[-1].preset.engines[engine], stage]
            parts[-1] = _Part(_only(preset, engine, together), engine, bent, masks)
        else:
            parts.append(_Part(_only(preset, engine, [stage]), engine, bent, masks))
    return parts


def _joined(before: _Part, after: _Part) -> list[_Part]:
    """Linear stages of one engine with the same masks are one run, so that its end is judged."""
    same = before.engine == after.engine and all(before.masks[role] is after.masks[role] for role in before.masks)
    if before.bends or after.bends or not same:
        return [before, after]
    stages = [*before.preset.engines[before.engine], *after.preset.engines[after.engine]]
    names = f"{before.preset.name}, {after.preset.name}"
    return [
        _Part(
            dataclasses.replace(_only(before.preset, before.engine, stages), name=names),
            before.engine,
            False,
            before.masks,
        )
    ]


def _only(preset: Preset, engine: str, stages: list[dict[str, Any]]) -> Preset:
    return dataclasses.replace(preset, engines={**preset.engines, engine: stages})


def _check_order(parts: Sequence[_Part]) -> None:
    if parts[0].bends:
        raise InputError(
            parts[0].preset.name,
            "this preset only bends, and nothing has brought the volumes together before it",
            "Put a linear preset first, such as: --preset rigid --then warp, or choose the preset deformable.",
        )
    for before, after in pairwise(parts):
        if before.bends and not after.bends:
            raise InputError(
                after.preset.name,
                f"its linear stages would follow '{before.preset.name}', which bends",
                "Put linear presets before those that bend.",
            )


def _placed_masks(
    given: Mapping[str, Volume | None],
    fixed: Volume,
    moving: Volume,
    warn: Callable[[str], None],
    *,
    only_given: bool = False,
) -> dict[str, Volume | None]:
    """Masks on the grids of their volumes."""
    masks: dict[str, Volume | None] = {}
    for (role, mask), volume in zip(given.items(), (fixed, moving), strict=True):
        if mask is None:
            if not only_given:
                masks[role] = None
            continue
        masks[role], resampled = mask_on_grid(mask, volume)
        if resampled:
            warn(resampled_words(mask, volume))
    return masks


def _silent(_words: str, _share: float) -> None:
    """The stage itself is told."""


def _refine(
    session: EngineSession,
    fixed: Volume,
    moving: Volume,
    before: RegistrationResult,
    preset: Preset,
    *,
    masks: Mapping[str, Any],
    crop_margin_mm: float | None,
    seed: int,
    on_progress: Callable[[str, float], None],
    on_warning: Callable[[str], None],
    following: Mapping[str, Any],
) -> LinearStage:
    matrix = before.transform.matrix
    assert matrix is not None, "checked before"
    pair = make_pair(fixed, moving, matrix, winsorize_percentiles=preset.winsorize_percentiles, **masks)
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
    points = pair.sampled.grid.sample_points_lps(8)
    moved_mm = float(displacement_mm(found.sampled_to_other_lps, np.eye(4), points).mean())
    return LinearStage(
        preset,
        session.engine,
        SpatialTransform.of_matrix(preset.name, refined),
        moved_mm,
        found.convergence,
        found.seconds,
        found.log,
    )


def _with_stage(verdict: Verdict | None, stage: BentStage | LinearStage) -> tuple[Verdict | None, tuple[str, ...]]:
    """The verdict on everything, no better than that on a later stage, and what speaks against that stage."""
    if verdict is None:
        return None, ()
    against: tuple[str, ...]
    if isinstance(stage, LinearStage):
        facts = (*verdict.facts, f"{stage.preset.name} moved it by another {stage.moved_mm:.1f} mm on average.")
        most_mm = max(_SMALL_MOVE_MM, 2 * (verdict.estimated_error_mm or 0.0))
        if stage.moved_mm <= most_mm:
            return dataclasses.replace(verdict, facts=facts), ()
        against = (
            f"{stage.preset.name} moved the result of the stages before, which was judged, by {stage.moved_mm:.1f} mm.",
        )
    else:
        assert stage.verdict is not None, "both are judged, or neither"
        judged = stage.verdict
        facts = (*verdict.facts, *(("The bending helped.",) if judged.word == "helped" else ()), *judged.facts)
        if judged.word == "helped":
            return dataclasses.replace(verdict, facts=facts), ()
        advice = {
            "unclear": "Whether the bending helped is unclear: compare it with the linear result.",
            "drop": "Drop the bending, and run again without it: the linear result is the better one.",
        }[judged.word]
        against = (advice, *judged.against)
    word: Word = "failed" if verdict.word == "failed" else "uncertain"
    return dataclasses.replace(verdict, word=word, against=(*verdict.against, *against), facts=facts), against
