"""``run``: a job from a JSON file, as another program or RESULT.json states it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from .jobs import Context, job_schema, read_job
from .progress import make_printer


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "run",
        help="run a job from a JSON file",
        description="Run a job that a JSON file states: a request, and where its results go.",
        allow_abbrev=False,
    )
    parser.add_argument("job", nargs="?", metavar="JOB.json", help="the job")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of jobs instead")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.schema:
        print(json.dumps(job_schema(), indent=1))
        return 0
    if options.job is None:
        raise InputError("JOB.json", "was not given", "Give the file of a job.")
    job = read_job(Path(options.job))
    options.requests = (type(job.request), type(job.outputs))
    return job.run(Context(make_printer(options), options.quiet))
