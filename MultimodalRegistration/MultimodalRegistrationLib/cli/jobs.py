"""Jobs: a request and where its results go, from options or from JSON, and the command that carries it out.

A command that is a job has in its module ``REQUESTS``, the classes of its request and of its outputs, and ``run_job``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.request import Request, add_options, arguments_of, json_schema
from ..engines.session import EngineSessions
from ..io.input_files import refuse_special_files
from .progress import CallbackPrinter, Printer, make_printer
from .signals import signals_cancel

_LOG = logging.getLogger("MultimodalRegistration")

SCHEMA = 1
_MODULES = {
    "register": "register",
    "structures": "structures",
    "prealign": "prealign",
    "refine-landmarks": "refine_landmarks",
    "preprocess": "preprocess",
    "qa": "qa",
}


@dataclass(frozen=True)
class Context:
    """How a command is run.

    Parameters
    ----------
    printer : Printer
        Told of progress and warnings.
    quiet : bool
        Whether nothing else is printed.
    engines : EngineSessions or None
        Running engines, which stay; None where the command starts its own.
    cancel : threading.Event or None
        Set it to stop; None where signals do.
    command : str
        What repeats the run, for reports; :meth:`Job.run` says it.
    """

    printer: Printer
    quiet: bool = False
    engines: EngineSessions | None = None
    cancel: threading.Event | None = None
    command: str = ""

    @classmethod
    def of_callbacks(
        cls,
        on_progress: Callable[[Progress], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Context:
        """For a caller in this process: nothing is printed, and nothing but the event cancels."""
        printer = CallbackPrinter(on_progress or _ignore, on_warning or _LOG.warning)
        return cls(printer, quiet=True, cancel=cancel or threading.Event())

    @contextmanager
    def cancelling(self) -> Iterator[threading.Event]:
        """The event that cancels: the caller's, or one that signals set."""
        if self.cancel is not None:
            yield self.cancel
        else:
            with signals_cancel() as cancel:
                yield cancel


def _ignore(_progress: Progress) -> None:
    """Nobody looks on."""


def add_job_parser(commands: Any, name: str, **texts: str) -> None:
    """Add the subcommand of a job, whose options are the fields of its requests."""
    module = _module(name)
    parser = commands.add_parser(name, allow_abbrev=False, **texts)
    add_options(parser, *module.REQUESTS)
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=lambda options: _run_options(name, options), requests=module.REQUESTS)


def _run_options(name: str, options: argparse.Namespace) -> int:
    request, outputs = (one.from_options(options) for one in requests_of(name))
    return Job(name, request, outputs).run(Context(make_printer(options), options.quiet))


def requests_of(name: str) -> tuple[type[Request], type[Request]]:
    """The classes of the request and of the outputs of a command."""
    requests: tuple[type[Request], type[Request]] = _module(name).REQUESTS
    return requests


def _module(name: str) -> Any:
    """The module of a command; imported when it is needed, as to import them all takes a second."""
    return importlib.import_module(f".{_MODULES[name]}", __package__)


@dataclass(frozen=True)
class Job:
    """A request and where its results go.

    Parameters
    ----------
    command : str
        That carries it out.
    request, outputs : Request
        Of the classes of that command.
    """

    command: str
    request: Request
    outputs: Request

    def content(self) -> dict[str, Any]:
        """For JSON."""
        parts = {"request": self.request.content(), "outputs": self.outputs.content()}
        return {"schema": SCHEMA, "job": self.command, **parts}

    def run(self, context: Context) -> int:
        """Carry it out; returns the exit code."""
        arguments = [self.command, *arguments_of(self.request), *arguments_of(self.outputs)]
        context = replace(context, command=shlex.join(["multimodal-registration", *arguments]))
        return int(_module(self.command).run_job(self.request, self.outputs, context))


def job_of(content: Any, *, where: str) -> Job:
    """The job of :meth:`Job.content`.

    Raises
    ------
    InputError
        No job, or one with an entry that cannot be used.
    """
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or content.get("job") not in _MODULES:
        raise InputError(where, f"this is no job of schema {SCHEMA}", f"'job' is one of {', '.join(_MODULES)}.")
    request, outputs = requests_of(content["job"])
    return Job(
        content["job"],
        request.from_content(content.get("request"), where=where),
        outputs.from_content(content.get("outputs"), where=where),
    )


def read_job(path: Path) -> Job:
    """Read a job from a JSON file.

    Raises
    ------
    InputError
        No such file, or no job.
    """
    refuse_special_files(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "Check the path.") from error
    except ValueError as error:
        raise InputError(path, f"not valid JSON ({error})", "Correct it.") from error
    return job_of(content, where=str(path))


def job_schema() -> dict[str, Any]:
    """The JSON Schema of all jobs."""
    kinds = []
    for name in _MODULES:
        request, outputs = (json_schema(one) for one in requests_of(name))
        properties = {"schema": {"const": SCHEMA}, "job": {"const": name}, "request": request, "outputs": outputs}
        kinds.append(
            {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
        )
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "title": "A job of multimodal-registration", "oneOf": kinds}
