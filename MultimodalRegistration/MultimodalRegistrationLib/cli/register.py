"""``register``: one volume to another."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..core.clock import TOTAL, Clock, stages_of
from ..core.errors import Cancelled, EngineError, InputError
from ..engines.catalogue import ENGINES, engine_status
from ..engines.presets.store import DEFAULT_PRESET, find_preset
from ..engines.sessions import EngineSessions
from ..io.outputs import OutputFiles, write_json, writing
from ..io.transforms import NONLINEAR_SUFFIXES, TRANSFORM_SUFFIXES, read_linear_transform, write_transform
from ..io.volumes import OUTPUT_VOLUME_SUFFIXES, VOLUME_SUFFIXES
from ..preprocess.steps import Steps, find_steps
from ..register.chain import register_in_stages
from ..register.later_stages import BentStage, LinearStage
from ..register.options import DEFAULT_SEED, check_numbers
from ..register.read_pair import VolumePair, read_pair
from ..register.report import result_content
from ..register.resample import resample_to_fixed
from ..register.result import RegistrationResult
from ..register.run import fallback_warning, select_engine
from ..register.start import START_METHODS
from ..register.verdict.rule import Verdict
from .carry_option import add_carry_options, carry_to_fixed, check_carry
from .landmark_options import add_landmark_options, read_landmark_pairs
from .progress import Printer, make_printer
from .signals import signals_cancel
from .then_option import add_then_option, check_then
from .verdict_options import JudgedOutputs, add_verdict_options

__all__ = ["add_parser", "run_register"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "register",
        help="register one volume to another",
        description="Find the transform that puts the moving volume onto the fixed one: linear, unless a preset bends.",
        allow_abbrev=False,
    )
    volume = f"{', '.join(VOLUME_SUFFIXES)} or the folder of one DICOM series"
    parser.add_argument("--fixed", required=True, metavar="F", help=f"volume that stays: {volume}")
    parser.add_argument("--moving", required=True, metavar="M", help="volume that is moved onto it; likewise")
    parser.add_argument(
        "--output-transform",
        required=True,
        metavar="T.h5",
        help="result; loads in Slicer as a transform node for the moving volume, in SimpleITK as the fixed-to-moving "
        "resampling transform",
    )
    parser.add_argument("--output-volume", metavar="R.nrrd", help="the moving volume, resampled to the fixed grid")
    add_carry_options(parser)
    parser.add_argument("--preset", default=DEFAULT_PRESET, metavar="NAME|FILE", help="default: %(default)s")
    add_then_option(parser)
    parser.add_argument(
        "--engine", type=str.lower, choices=sorted(ENGINES), help="default: elastix if installed, else simpleitk"
    )
    parser.add_argument(
        "--initial-transform",
        metavar="T0",
        help="linear ITK transform to start from, same convention as the result; default: the positions in the files",
    )
    add_landmark_options(parser)
    parser.add_argument(
        "--start",
        choices=START_METHODS,
        default="auto",
        help="auto (default): search all poses around the initial transform, or the fit of the landmarks; given: start "
        "there; center, moments: align the centres of the volumes, or of mass",
    )
    parser.add_argument(
        "--max-translation", type=float, metavar="MM", help="how far the result may be from the start; default: any"
    )
    parser.add_argument("--max-rotation", type=float, metavar="DEG", help="likewise, 0 to 180; default: any")
    parser.add_argument(
        "--preprocess",
        default="auto",
        metavar="auto|none|FILE",
        help="what is done to copies of the volumes first: what was measured to help, nothing, or what a file says",
    )
    parser.add_argument("--no-verdict", action="store_true", help="do not judge the result; saves some seconds")
    add_verdict_options(parser)
    parser.add_argument("--fixed-mask", metavar="L", help="label map; voxels above zero are used")
    parser.add_argument("--moving-mask", metavar="L", help="likewise for the moving volume")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="default: all usable cores, but 1 for the engines ants and simpleitk, whose last digits vary with more",
    )
    parser.add_argument(
        "--memory-limit",
        type=float,
        metavar="GIB",
        help="volumes that need more for the run are read coarser; default: half of the free memory",
    )
    parser.add_argument("--json", metavar="RESULT.json", help="everything about the run, for scripts")
    parser.add_argument("--keep-temporary-files", metavar="DIR", help="put the engine's log and settings here")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with EngineSessions(options.threads) as sessions:
        return run_register(options, sessions)


def run_register(options: argparse.Namespace, sessions: EngineSessions) -> int:
    """Do what the options say.

    Parameters
    ----------
    options : Namespace
        Of the parser.
    sessions : EngineSessions
        Running engines, which stay.

    Returns
    -------
    int
        Exit code: that of the verdict.
    """
    clock = Clock()
    check_numbers(
        seed=options.seed,
        threads=options.threads,
        max_translation_mm=options.max_translation,
        max_rotation_deg=options.max_rotation,
    )
    preset = find_preset(options.preset)
    engine = select_engine(preset, options.engine)
    steps = find_steps(options.preprocess)
    printer = make_printer(options)
    then = check_then(options)
    inputs = [*_inputs(options).values(), str(preset.path), *(path for stage in then for path in stage.files)]
    inputs += options.carry or []
    if options.preprocess not in ("auto", "none"):
        inputs.append(options.preprocess)
    with OutputFiles([path for path in inputs if path]) as outputs, signals_cancel() as cancel:
        bent = preset.bends(engine) or any(stage.preset.bends(stage.engine) for stage in then)
        suffixes = NONLINEAR_SUFFIXES if bent else TRANSFORM_SUFFIXES
        judged_outputs = JudgedOutputs(options, outputs, suffixes)
        volume_file = outputs.add(options.output_volume, OUTPUT_VOLUME_SUFFIXES) if options.output_volume else None
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        carried = check_carry(options, outputs)
        kept = _folder_for_temporary_files(options.keep_temporary_files)
        # The engine loads while the volumes are read.
        sessions.of(engine)
        fallback = fallback_warning(preset, options.engine, engine)
        if fallback is not None:
            printer.warning(fallback)
        volumes = _read(options, engine, steps, printer)
        initial = None if options.initial_transform is None else read_linear_transform(options.initial_transform)
        landmarks = read_landmark_pairs(options)
        clock.lap("read")
        try:
            result = register_in_stages(
                volumes.fixed,
                volumes.moving,
                preset=preset,
                then=[stage.read() for stage in then],
                engine=engine,
                sessions=sessions,
                start=options.start,
                initial_fixed_to_moving_lps=initial,
                initial_name=str(options.initial_transform),
                landmarks=landmarks,
                max_translation_mm=options.max_translation,
                max_rotation_deg=options.max_rotation,
                verdict=not options.no_verdict,
                steps=steps,
                fixed_mask=volumes.fixed_mask,
                moving_mask=volumes.moving_mask,
                seed=options.seed,
                threads=options.threads,
                on_progress=printer.progress,
                on_warning=printer.warning,
                on_log=printer.log,
                cancel=cancel,
                keep_job_files=kept,
            )
        except EngineError as error:
            printer.finish()
            raise _with_log_file(error, options, kept) from error
        early = (*([] if fallback is None else [fallback]), *volumes.warnings)
        others = [] if volume_file is None else [Path(options.output_volume)]
        others += [] if carried is None else carried.targets
        judged = judged_outputs.judged(None if result.verdict is None else result.verdict.word, others)
        clock.lap("read", stages_of(result.seconds))
        with writing(judged.transform):
            write_transform(judged.staged_transform, result.transform)
        if volume_file is not None and judged.all_written:
            resampled = resample_to_fixed(volumes.fixed, volumes.moving, result.transform)
            with writing(options.output_volume):
                sitk.WriteImage(resampled.image, str(volume_file), True)
        done = []
        if carried is not None and judged.all_written:
            done = carry_to_fixed(carried, result.transform, volumes.fixed.grid, printer.warning)
        clock.lap("write")
        result = dataclasses.replace(result, seconds=clock.seconds, warnings=(*early, *result.warnings))
        if json_file is not None:
            written = {"transform": str(judged.transform), "volume": options.output_volume}
            if not judged.all_written:
                written["volume"] = None
            content = {
                **result_content(result, inputs=_inputs(options)),
                "carried": done,
                "outputs": written,
                "exit_code": int(judged.code),
            }
            write_json(json_file, content)
        if cancel.is_set():
            raise Cancelled()
        outputs.commit()
    if kept is not None:
        (kept / f"{engine}.log").write_text(result.log, encoding="utf-8")
        shutil.copyfile(preset.path, kept / "preset.json")
        for number, stage in enumerate(result.later, start=2):
            (kept / f"stage-{number}-{stage.engine}.log").write_text(stage.log, encoding="utf-8")
            shutil.copyfile(stage.preset.path, kept / f"stage-{number}-preset.json")
    printer.finish()
    if not options.quiet:
        print(_summary(result, judged.transform))
    if judged.message is not None:
        printer.warning(judged.message)
    return judged.code


def _read(options: argparse.Namespace, engine: str, steps: Steps, printer: Printer) -> VolumePair:
    if options.memory_limit is not None and not options.memory_limit > 0:
        raise InputError("--memory-limit", f"{options.memory_limit:g} GiB was given", "Give a number above zero.")
    return read_pair(
        options.fixed,
        options.moving,
        engine=engine,
        fixed_mask_path=options.fixed_mask,
        moving_mask_path=options.moving_mask,
        steps=steps,
        memory_limit_bytes=None if options.memory_limit is None else options.memory_limit * 2**30,
        on_warning=printer.warning,
        may_reduce=options.output_volume is None and options.carry is None,
    )


def _folder_for_temporary_files(folder: str | None) -> Path | None:
    if folder is None:
        return None
    path = Path(folder)
    try:
        path.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(path, f"the folder cannot be used ({error.strerror})", "Choose another folder.") from error
    return path


def _with_log_file(error: EngineError, options: argparse.Namespace, kept: Path | None) -> EngineError:
    """Keep the log of a failed engine beside the output, or where the user asked, and say where."""
    target = Path(options.output_transform)
    log_file = (kept or target.parent) / f"{target.name}.engine.log"
    try:
        log_file.write_text(error.log, encoding="utf-8")
    except OSError as problem:
        return EngineError(
            error.subject,
            error.found,
            f"{error.remedy} The engine's log could not be written to {log_file} ({problem.strerror}).",
            log=error.log,
        )
    return EngineError(error.subject, error.found, f"{error.remedy} The engine's log: {log_file}", log=error.log)


def _inputs(options: argparse.Namespace) -> dict[str, str | None]:
    names = ("fixed", "moving", "initial_transform", "fixed_landmarks", "moving_landmarks", "fixed_mask", "moving_mask")
    return {name: getattr(options, name) for name in names}


def _summary(result: RegistrationResult, transform_path: Path) -> str:
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
    lines.append(f"Transform: {transform_path}")
    return "\n".join(lines)


def _stage_line(stage: LinearStage | BentStage) -> str:
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
