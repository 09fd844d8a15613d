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
from MultimodalRegistrationLib.registration.apply_steps import apply_steps
from MultimodalRegistrationLib.registration.bending import BentStage, run_bending_stage
from MultimodalRegistrationLib.registration.fine import run_fine_stage
from MultimodalRegistrationLib.registration.options import DEFAULT_SEED
from MultimodalRegistrationLib.registration.pair import make_pair
from MultimodalRegistrationLib.registration.prepare import mask_on_grid
from MultimodalRegistrationLib.registration.result import LinearStage, Progress, RegistrationResult
from MultimodalRegistrationLib.registration.run import register, select_engine
from MultimodalRegistrationLib.verdict.rule import Verdict, Word

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
    common: dict[str, Any] = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    name = select_engine(preset, engine if session is None else session.engine)
    parts = _parts_of(preset, name, common)
    for stage in then:
        own = _stage_masks(stage, fixed, moving, common)
        parts += _parts_of(stage.preset, select_engine(stage.preset, stage.engine), own)
    _check_order(parts)
    first, *later = parts
    warnings: list[str] = []

    def warn(message: str) -> None:
        warnings.append(message)
        if on_warning is not None:
            on_warning(message)

    def told(number: int) -> Callable[[Progress], None]:
        def tell(progress: Progress) -> None:
            if on_progress is not None:
                on_progress(Progress(progress.stage, (number + progress.fraction) / len(parts)))

        return tell

    following: dict[str, Any] = {"on_log": on_log, "cancel": cancel}
    with ExitStack() as opened:
        sessions = {} if session is None else {session.engine: session}

        def session_of(engine_name: str) -> EngineSession:
            if engine_name not in sessions:
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
        following["keep"] = keep_job_files
        for number, part in enumerate(later, start=1):
            tell = told(number)
            prepared = apply_steps(steps, fixed, moving, **part.masks, tell=_silent, cancel=cancel)
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
            if isinstance(made, BentStage) and made.verdict is not None:
                judged = _with_bending(result.verdict, made)
                for words in made.verdict.against:
                    warn(words)
                result = dataclasses.replace(result, verdict=judged)
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


def _stage_masks(
    stage: NextStage, fixed: Volume, moving: Volume, common: Mapping[str, Volume | None]
) -> dict[str, Volume | None]:
    masks = dict(common)
    for role, given, volume in (("fixed_mask", stage.fixed_mask, fixed), ("moving_mask", stage.moving_mask, moving)):
        if given is not None:
            masks[role] = mask_on_grid(given, volume)[0]
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


def _with_bending(verdict: Verdict | None, stage: BentStage) -> Verdict | None:
    """The verdict on everything: no better than that on the bending."""
    if verdict is None or stage.verdict is None:
        return verdict
    judged = stage.verdict
    advice = {
        "helped": "The bending helped.",
        "unclear": "Whether the bending helped is unclear: compare it with the linear result.",
        "drop": "Drop the bending: the linear result is the better one.",
    }[judged.word]
    facts = (*verdict.facts, advice, *judged.facts)
    if judged.word == "helped":
        return dataclasses.replace(verdict, facts=facts)
    word: Word = "failed" if verdict.word == "failed" else "uncertain"
    return dataclasses.replace(verdict, word=word, against=(*verdict.against, advice, *judged.against), facts=facts)
