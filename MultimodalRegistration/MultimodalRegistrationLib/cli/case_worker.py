"""The child process that runs the cases of a study one after the other, and keeps its engines warm.

``python -m MultimodalRegistrationLib.cli.case_worker THREADS GIB``. Each line on standard input is a case and the
folder of its results, as JSON; the answer is one event (see :mod:`~MultimodalRegistrationLib.engines.supervisor`).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import EngineError, RegistrationError
from ..core.volume import Volume
from ..engines.sessions import EngineSessions
from ..engines.worker import join_supervisor, tell_application
from ..io.transforms import read_transform
from ..io.volumes import read_unjudged
from ..register.resample import resample_to_fixed
from ..study.batch.outcome import QA_FOLDER, RESULT_FILE, THUMBNAIL_FILE, TRANSFORM_FILE, VOLUME_FILE
from ..study.batch.thumbnail import write_thumbnail
from ..study.cases import Case, Step, case_of
from . import preprocess, qa, register
from .guarded import run_guarded

__all__ = ["case_parsers", "main"]

_PREPROCESSED = "preprocess"
_CARRIED = "carried"


def case_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands that a case may hold, by name."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for module in (preprocess, register, qa):
        module.add_parser(commands)
    return dict(commands.choices)


def main() -> None:
    """Run cases until standard input closes."""
    join_supervisor()
    given = [f"--threads={int(sys.argv[1])}", f"--memory-limit={sys.argv[2]}"]
    # A step's progress comes as events on standard error, which the supervisor joins with the output.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parsers = case_parsers()
    home = Path.cwd()
    with EngineSessions(int(sys.argv[1])) as sessions:
        tell_application({"event": "ready", "pid": os.getpid()})
        for line in sys.stdin:
            order = json.loads(line)
            # Results are named relative to their folder, so that they stay right when it gets its last name.
            os.chdir(order["folder"])
            error = _run(case_of(order["case"]), parsers, sessions, given)
            # A folder that is some process's own cannot be renamed everywhere.
            os.chdir(home)
            tell_application({"event": "case-ended", "error": None if error is None else error.content()})


def _run(
    case: Case, parsers: dict[str, argparse.ArgumentParser], sessions: EngineSessions, given: Sequence[str]
) -> RegistrationError | None:
    preprocessed = any(step.command == "preprocess" for step in case.steps)
    try:
        for step in case.steps:
            if step.optional:
                continue
            arguments = _arguments(step, preprocessed=preprocessed)
            if step.command == "register":
                arguments = [*arguments, *given]
            options = _options(step, arguments, parsers)
            run = partial(register.run_register, sessions=sessions) if step.command == "register" else options.run
            outcome = run_guarded(partial(run, options))
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
    _add_report(case, parsers)
    return None


def _options(step: Step, arguments: Sequence[str], parsers: dict[str, argparse.ArgumentParser]) -> argparse.Namespace:
    options = parsers[step.command].parse_args(arguments)
    options.events, options.quiet, options.command_line = True, True, [step.command, *arguments]
    return options


def _add_report(case: Case, parsers: dict[str, argparse.ArgumentParser]) -> None:
    """Make the report that nobody asked for; a result is one without it, too."""
    for step in case.steps:
        if not step.optional:
            continue
        try:
            options = _options(step, _arguments(step, preprocessed=False), parsers)
            outcome = run_guarded(partial(options.run, options))
            problem = str(outcome) if isinstance(outcome, RegistrationError) else None
        # As for the picture.
        except Exception:
            problem = traceback.format_exc()
        if problem is not None:
            print(f"Warning: there is no report of this case.\n{problem}", flush=True)
            shutil.rmtree(QA_FOLDER, ignore_errors=True)


def _arguments(step: Step, *, preprocessed: bool) -> Sequence[str]:
    """Those of the study file, and where the results go."""
    given = list(step.arguments)
    if step.command == "preprocess":
        return [*given, f"--output-dir={_PREPROCESSED}"]
    if step.command == "qa":
        return [*given, f"--transform={_result()['outputs']['transform']}", f"--output-dir={QA_FOLDER}"]
    results = [f"--output-transform={TRANSFORM_FILE}", f"--output-volume={VOLUME_FILE}", f"--json={RESULT_FILE}"]
    if "--carry" in given:
        results.append(f"--carry-dir={_CARRIED}")
    if preprocessed:
        for role in ("fixed", "moving"):
            given = [text for text in given if not text.startswith(f"--{role}=")]
            given.append(f"--{role}={_PREPROCESSED}/{role}.nrrd")
            if not any(text.startswith(f"--{role}-mask=") for text in given):
                given.append(f"--{role}-mask={_PREPROCESSED}/{role}-mask.nrrd")
    return [*given, *results]


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
