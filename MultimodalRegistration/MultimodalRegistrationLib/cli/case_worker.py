"""The child process that runs the cases of a study one after the other, and keeps its engines warm.

``python -m MultimodalRegistrationLib.cli.case_worker THREADS GIB``. Each line on standard input is a case and the
folder of its results, as JSON; the answer is one event (see :mod:`~MultimodalRegistrationLib.engines.supervisor`).
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..assess.request import AssessOutputs
from ..core.errors import EngineError, RegistrationError
from ..core.request import Request
from ..core.volume import Volume
from ..engines.session import EngineSessions
from ..engines.supervisor import join_supervisor, tell_application
from ..io.transforms import read_transform
from ..io.volumes import read_unjudged
from ..preprocess.request import PreprocessOutputs
from ..register.request import RegisterOutputs
from ..register.resample import resample_to_fixed
from ..study.batch.outcome import QA_FOLDER, RESULT_FILE, THUMBNAIL_FILE, TRANSFORM_FILE, VOLUME_FILE
from ..study.batch.thumbnail import write_thumbnail
from ..study.cases import Case, Step, case_of
from .guarded import run_guarded
from .jobs import Context, Job
from .progress import EventPrinter

_PREPROCESSED = "preprocess"
_CARRIED = "carried"


def main() -> None:
    """Run cases until standard input closes."""
    join_supervisor()
    # A step's progress comes as events on standard error, which the supervisor joins with the output.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    home = Path.cwd()
    with EngineSessions(int(sys.argv[1])) as engines:
        tell_application({"event": "ready", "pid": os.getpid()})
        for line in sys.stdin:
            order = json.loads(line)
            # Results are named relative to their folder, so that they stay right when it gets its last name.
            os.chdir(order["folder"])
            error = _run(case_of(order["case"]), engines, float(sys.argv[2]))
            # A folder that is some process's own cannot be renamed everywhere.
            os.chdir(home)
            tell_application({"event": "case-ended", "error": None if error is None else error.content()})


def _run(case: Case, engines: EngineSessions, memory_limit_gib: float) -> RegistrationError | None:
    preprocessed = any(step.command == "preprocess" for step in case.steps)
    try:
        for step in case.steps:
            if step.optional:
                continue
            job = _job(step, engines, memory_limit_gib, preprocessed=preprocessed)
            outcome = run_guarded(partial(job.run, Context(EventPrinter(), quiet=True, engines=engines)))
            if isinstance(outcome, RegistrationError):
                return outcome
    # The boundary of the process: one case that finds an error of ours must not end the study.
    except Exception as error:
        print(traceback.format_exc(), flush=True)
        return EngineError("This program", f"it stopped unexpectedly ({error!r})", "Report it with the case's log.")
    try:
        write_thumbnail(Path(THUMBNAIL_FILE), read_unjudged(case.fixed), _registered())
    # A result is one without a picture too; the summary shows that there is none.
    except Exception:
        print(f"Warning: there is no picture of this case.\n{traceback.format_exc()}", flush=True)
        Path(THUMBNAIL_FILE).unlink(missing_ok=True)
    _add_report(case, engines, memory_limit_gib)
    return None


def _add_report(case: Case, engines: EngineSessions, memory_limit_gib: float) -> None:
    """Make the report that nobody asked for; a result is one without it, too."""
    for step in case.steps:
        if not step.optional:
            continue
        try:
            job = _job(step, engines, memory_limit_gib, preprocessed=False)
            outcome = run_guarded(partial(job.run, Context(EventPrinter(), quiet=True, engines=engines)))
            problem = str(outcome) if isinstance(outcome, RegistrationError) else None
        # As for the picture.
        except Exception:
            problem = traceback.format_exc()
        if problem is not None:
            print(f"Warning: there is no report of this case.\n{problem}", flush=True)
            shutil.rmtree(QA_FOLDER, ignore_errors=True)


def _job(step: Step, engines: EngineSessions, memory_limit_gib: float, *, preprocessed: bool) -> Job:
    """What the study asks for, and where the results go."""
    request: Any = step.request
    outputs: Request
    if step.command == "preprocess":
        outputs = PreprocessOutputs(output_dir=_PREPROCESSED)
    elif step.command == "qa":
        request = replace(request, transform=(_result()["outputs"]["transform"],))
        outputs = AssessOutputs(output_dir=QA_FOLDER, no_maps=step.optional)
    else:
        if preprocessed:
            made = {role: f"{_PREPROCESSED}/{role}.nrrd" for role in ("fixed", "moving")}
            masks = {
                f"{role}_mask": getattr(request, f"{role}_mask") or f"{_PREPROCESSED}/{role}-mask.nrrd" for role in made
            }
            request = replace(request, **made, **masks)
        outputs = RegisterOutputs(
            output_transform=TRANSFORM_FILE,
            output_volume=VOLUME_FILE,
            json=RESULT_FILE,
            carry_dir=_CARRIED if request.carry else None,
            threads=engines.threads,
            memory_limit_gib=memory_limit_gib,
        )
    return Job(step.command, request, outputs)


def _result() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(RESULT_FILE).read_text(encoding="utf-8"))
    return content


def _registered() -> Volume:
    """The moving volume where the registration put it, which a failed one does not write, but a person must see."""
    result = _result()
    if result["outputs"]["volume"] is not None:
        return read_unjudged(result["outputs"]["volume"])
    fixed, moving = (read_unjudged(result["inputs"][role]) for role in ("fixed", "moving"))
    return resample_to_fixed(fixed, moving, read_transform(result["outputs"]["transform"]))


if __name__ == "__main__":
    main()
