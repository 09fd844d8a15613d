"""``register``: one volume to another."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ..core.clock import TOTAL, stages_of
from ..engines.catalogue import engine_status
from ..engines.session import EngineSessions
from ..register.job import FinishedJob, register_files
from ..register.request import RegisterOutputs, RegisterRequest
from ..register.result import DeformableStage, LinearStage, RegistrationResult
from ..register.run import Run
from ..register.verdict.rule import Verdict
from .jobs import Context, add_job_parser

REQUESTS = (RegisterRequest, RegisterOutputs)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    add_job_parser(
        commands,
        "register",
        help="register one volume to another",
        description="Find the transform that puts the moving volume onto the fixed one: linear, unless a preset is "
        "deformable.",
    )


def run_job(request: RegisterRequest, outputs: RegisterOutputs, context: Context) -> int:
    """Register files, and print what came of it.

    Returns
    -------
    int
        Exit code: that of the verdict.
    """
    printer = context.printer
    with ExitStack() as stack:
        engines = context.engines or stack.enter_context(EngineSessions(outputs.threads))
        cancel = stack.enter_context(context.cancelling())
        stack.callback(printer.finish)
        run = Run(engines, outputs.threads, printer.progress, printer.warning, printer.log, cancel)
        done = register_files(request, outputs, run)
    if not context.quiet:
        print(_summary(done))
    if done.message is not None:
        printer.warning(done.message)
    return done.code


def _summary(done: FinishedJob) -> str:
    result = done.result
    information = ", ".join(
        "none" if value is None else f"{value:.3f}"
        for value in (result.mutual_information_at_start, result.mutual_information_at_end)
    )
    engine = f"{result.engine} {engine_status(result.engine).version}"
    stages = stages_of(result.seconds)
    times = "; ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items() if seconds >= 0.05)
    of_what = " of the first stage" if result.later else ""
    lines = [
        f"Registered with {engine}, preset {result.preset.name}; start: {result.start}.",
        f"Moved from the start by {result.moved_mm:.1f} mm on average, {result.rotated_deg:.1f} degrees.",
        f"Mutual information at start and end{of_what}: {information} nat; "
        f"overlap at the end{of_what}: {result.overlap_at_end:.0%} of the smaller volume.",
        *_landmark_lines(result),
        result.convergence.words,
        *(_stage_line(stage) for stage in result.later),
        f"Seconds: {result.seconds[TOTAL]:.1f} ({times}).",
    ]
    if result.verdict is not None:
        lines += _verdict_lines(result.verdict, bent=result.transform.matrix is None)
    lines.append(f"Transform: {done.transform}")
    return "\n".join(lines)


def _stage_line(stage: LinearStage | DeformableStage) -> str:
    if isinstance(stage, LinearStage):
        return f"Then with preset {stage.preset.name} ({stage.engine}): {stage.moved_mm:.1f} mm further on average."
    judged = "not judged" if stage.verdict is None else stage.verdict.word
    return f"Then bent with preset {stage.preset.name} ({stage.engine}): {judged}."


def _landmark_lines(result: RegistrationResult) -> list[str]:
    errors = result.landmarks
    if errors is None:
        return []
    return [
        f"At {len(errors.pairs.labels)} landmarks, RMS in mm: {errors.as_placed.rms_mm:.1f} as the files place the "
        f"volumes, {errors.at_start.rms_mm:.1f} at the start, which was fitted to them, "
        f"{errors.at_end.rms_mm:.1f} at the end.",
        # With a verdict it is among its sentences.
        *([errors.words(None)] if result.verdict is None else []),
    ]


def _verdict_lines(verdict: Verdict, *, bent: bool) -> list[str]:
    error = verdict.estimated_error_mm
    of_what = " of the linear stages" if bent else ""
    estimate = "" if error is None else f"; estimated error{of_what} {error:.1f} mm if this is the right pose"
    return [
        f"Verdict: {verdict.word.upper()}{estimate}",
        *(f"- {words}" for words in (*verdict.against, *verdict.facts)),
    ]
