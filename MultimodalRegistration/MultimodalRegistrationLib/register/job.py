"""A registration of files: read what the request names, register, write the results whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..core.errors import Cancelled, EngineError, ExitCode, FieldName, InputError
from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..engines.presets.preset import preset_content
from ..io.outputs import OutputFiles, write_json, writing
from ..io.tools.itk import NONLINEAR_SUFFIXES, TRANSFORM_SUFFIXES, write_transform
from ..io.volumes import OUTPUT_VOLUME_SUFFIXES
from ..transforms.apply import Plan as PropagationPlan
from ..transforms.propagate import Carrier
from ..transforms.propagate_files import Carried, plan_carried
from .inputs import Inputs, read_inputs
from .judged_outputs import JudgedFiles, JudgedOutputs
from .pipeline import register
from .plan import Plan, fallback_warning, make_plan
from .report import result_content
from .request import STAGE_FILES, RegisterOutputs, RegisterRequest
from .resample import resample_to_fixed
from .result import RegistrationResult
from .run import Run

_INPUTS = ("fixed", "moving", "initial_transform", "fixed_landmarks", "moving_landmarks", *STAGE_FILES)


@dataclass(frozen=True)
class FinishedJob:
    """What a registration of files gave.

    Parameters
    ----------
    result : RegistrationResult
        The transform and its evidence.
    transform : Path
        Its file; a result that is not to be used has the verdict in its name.
    code : ExitCode
        Of the verdict.
    message : str or None
        What was not written because of the verdict.
    """

    result: RegistrationResult
    transform: Path
    code: ExitCode
    message: str | None


def register_files(request: RegisterRequest, outputs: RegisterOutputs, run: Run) -> FinishedJob:
    """Register the volumes of a request, and write what is asked for.

    Parameters
    ----------
    request : RegisterRequest
        What to do.
    outputs : RegisterOutputs
        Where the results go.
    run : Run
        Progress, warnings, engines, and the event that cancels.

    Raises
    ------
    InputError
        Inputs or outputs that cannot be used.
    EngineError, EngineNotInstalledError, Cancelled
        From the engines; nothing was written but the log of an engine that failed.
    """
    plan = make_plan(request)
    with OutputFiles(_input_files(request, plan)) as files:
        planned = _plan_outputs(request, outputs, plan, files)
        run.keep = _folder_for_temporary_files(outputs.keep_temporary_files)
        # The engine loads while the volumes are read.
        run.engines.of(plan.first.engine)
        run.warn(fallback_warning(plan.first.preset, request.engine, plan.first.engine))
        inputs = read_inputs(
            request,
            plan.first.engine,
            memory_limit_gib=outputs.memory_limit_gib,
            may_reduce=outputs.output_volume is None and not request.carry,
            on_warning=run.warn,
        )
        run.clock.lap("read")
        try:
            result = register(inputs, request, run)
        except EngineError as error:
            raise _with_log_file(error, outputs, run.keep) from error
        judged = planned.judged.judged(None if result.verdict is None else result.verdict.word, planned.others)
        done = _write(planned, judged, result, inputs, run)
        result = replace(result, seconds=run.clock.seconds)
        if planned.json is not None:
            content = result_content(result, inputs={name: getattr(request, name) for name in _INPUTS})
            written = {
                "transform": str(judged.transform),
                "volume": outputs.output_volume if judged.all_written else None,
            }
            content |= {"request": request.content(), "carried": done, "outputs": written}
            write_json(planned.json, {**content, "exit_code": int(judged.code)})
        if run.cancel is not None and run.cancel.is_set():
            raise Cancelled()
        files.commit()
    if run.keep is not None:
        _keep_logs(result, run.keep)
    return FinishedJob(result, judged.transform, judged.code, judged.message)


def _input_files(request: RegisterRequest, plan: Plan) -> list[str]:
    """Files that must not be overwritten."""
    given = [getattr(request, name) for name in _INPUTS]
    given += [getattr(stage, name) for stage in request.then for name in STAGE_FILES]
    given += [str(part.preset.path) for part in plan.parts]
    steps = request.preprocess
    given += [*request.carry, steps if isinstance(steps, str) and steps not in ("auto", "none") else None]
    return [path for path in given if path]


@dataclass(frozen=True)
class _PlannedOutputs:
    """Where the results are written until all of them are."""

    judged: JudgedOutputs
    volume: tuple[str, Path] | None
    json: Path | None
    propagated: Carried | None

    @property
    def others(self) -> list[Path]:
        """What is written with the transform only."""
        volume = [] if self.volume is None else [Path(self.volume[0])]
        return volume + ([] if self.propagated is None else self.propagated.targets)


def _plan_outputs(
    request: RegisterRequest, outputs: RegisterOutputs, plan: Plan, files: OutputFiles
) -> _PlannedOutputs:
    is_deformable = any(part.is_deformable for part in plan.parts)
    suffixes = NONLINEAR_SUFFIXES if is_deformable else TRANSFORM_SUFFIXES
    judged = JudgedOutputs(request, outputs.output_transform, files, suffixes)
    volume = outputs.output_volume
    staged = None if volume is None else (volume, files.add(volume, OUTPUT_VOLUME_SUFFIXES))
    json_file = None if outputs.json is None else files.add(outputs.json, (".json",))
    if bool(request.carry) != (outputs.carry_dir is not None):
        missing = "carry_dir" if request.carry else "carry"
        raise InputError(FieldName(missing), "was not given", "Give both the files and their folder, or neither.")
    propagated = None if outputs.carry_dir is None else plan_carried(request.carry, outputs.carry_dir, files)
    return _PlannedOutputs(judged, staged, json_file, propagated)


def _write(
    planned: _PlannedOutputs, judged: JudgedFiles, result: RegistrationResult, inputs: Inputs, run: Run
) -> list[dict[str, Any]]:
    """Write transform, resampled volume and propagated files; returns what was done with these."""
    with writing(judged.transform):
        write_transform(judged.staged_transform, result.transform)
    done: list[dict[str, Any]] = []
    if planned.volume is not None and judged.all_written:
        resampled = resample_to_fixed(inputs.fixed, inputs.moving, result.transform)
        with writing(planned.volume[0]):
            sitk.WriteImage(resampled.image, str(planned.volume[1]), True)
    if planned.propagated is not None and judged.all_written:
        done = _propagate(planned.propagated, result.transform, inputs.fixed.grid, run.warn)
    run.clock.lap("write")
    return done


def _propagate(
    files: Carried, transform: SpatialTransform, fixed_grid: VolumeGrid, on_warning: Callable[[str], None]
) -> list[dict[str, Any]]:
    carrier = Carrier(transform, to_fixed=True)
    grids = (fixed_grid, carrier.resampling(fixed_grid)) if files.has_volumes else ()
    return files.write(PropagationPlan(carrier, *grids), on_warning)


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


def _with_log_file(error: EngineError, outputs: RegisterOutputs, kept: Path | None) -> EngineError:
    """Keep the log of a failed engine beside the output, or where the user asked, and say where."""
    target = Path(outputs.output_transform)
    log_file = (kept or target.parent) / f"{target.name}.engine.log"
    try:
        log_file.write_text(error.log, encoding="utf-8")
    except OSError as problem:
        told = f"The engine's log could not be written to {log_file} ({problem.strerror})."
    else:
        told = f"The engine's log: {log_file}"
    return EngineError(error.subject, error.found, f"{error.remedy} {told}", log=error.log)


def _keep_logs(result: RegistrationResult, folder: Path) -> None:
    (folder / f"{result.engine}.log").write_text(result.log, encoding="utf-8")
    write_json(folder / "preset.json", preset_content(result.preset))
    for number, stage in enumerate(result.later, start=2):
        (folder / f"stage-{number}-{stage.engine}.log").write_text(stage.log, encoding="utf-8")
        write_json(folder / f"stage-{number}-preset.json", preset_content(stage.preset))
