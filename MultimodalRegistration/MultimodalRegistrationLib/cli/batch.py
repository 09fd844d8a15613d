"""``batch``: a whole study, unattended."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ..core.errors import Cancelled, InputError
from ..core.progress import Progress
from ..study.batch.capacity import memory_share_bytes, worker_count
from ..study.batch.case_process import require_psutil
from ..study.batch.dask_connection import check_scheduler
from ..study.batch.folder import StudyFolder, study_names
from ..study.batch.limits import DEFAULT_RETRIES, DEFAULT_TIMEOUT_MIN, limits_of
from ..study.batch.run_dask import run_dask
from ..study.batch.run_local import run_local
from ..study.batch.summary import StudySummary, read_summary, write_summary
from ..study.batch.telling import Telling
from ..study.cases import Case, Study
from ..study.read_study import read_study, study_of_volumes
from .progress import Printer, make_printer
from .signals import signals_cancel

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "batch",
        help="a whole study, unattended",
        description="Register all cases of a study, several at a time, and say which need a look.",
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("study", nargs="?", metavar="STUDY", help=".csv or .json: a row for each case")
    what.add_argument("--fixed", metavar="F", help="instead of a study: one volume that stays")
    what.add_argument("--summary", metavar="D", help="write the summary of a folder of results anew, and print it")
    parser.add_argument("--moving", nargs="+", metavar="M", help="with --fixed: volumes, each moved onto it")
    parser.add_argument("--output-dir", metavar="D", help="new or empty folder for the results")
    parser.add_argument("--preset", metavar="NAME|FILE", help="for cases whose row states none")
    parser.add_argument("--workers", type=int, metavar="N", help="cases at a time; default: by cores and free memory")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="tcp://HOST:PORT of a Dask cluster to run on instead of this computer"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a study that was interrupted")
    parser.add_argument(
        "--only",
        choices=("failed",),
        help="run the cases of a study again that have no result, and those that were not run",
    )
    parser.add_argument(
        "--retry",
        type=int,
        default=DEFAULT_RETRIES,
        metavar="N",
        help="how often a case is run again that crashed, hung or took too much memory (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout", type=float, default=DEFAULT_TIMEOUT_MIN, metavar="MIN", help="for a case (default: %(default)g)"
    )
    parser.add_argument("--dry-run", action="store_true", help="check the study and say what would be done")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.summary is not None:
        return _summary_alone(Path(options.summary), quiet=options.quiet)
    if options.output_dir is None:
        raise InputError("--output-dir", "was not given", "Say where the results go.")
    if options.scheduler is not None and options.workers is not None:
        raise InputError("--workers", "was given with --scheduler", "Leave it out: the cluster says how many.")
    limits = limits_of(options.timeout, options.retry)
    study = _study(options)
    workers = worker_count(options.workers, study)
    if options.scheduler is not None:
        check_scheduler(options.scheduler)
    else:
        require_psutil()
    printer = make_printer(options)
    if options.dry_run:
        if not options.quiet:
            print(_plan(study, f"{workers} at a time" if options.scheduler is None else f"on {options.scheduler}"))
        return 0
    resume = options.resume or options.only is not None
    with signals_cancel() as cancel, StudyFolder(Path(options.output_dir), study, resume=resume) as folder:
        if options.only is not None:
            _take_back_failed(folder, study)
        cases = [case for case in study.cases if not folder.ended(case)]
        telling = Telling(
            len(study.cases),
            len(study.cases) - len(cases),
            # Without a terminal, the lines of the cases say it all.
            on_progress=printer.progress if options.events or sys.stderr.isatty() else _unseen,
            on_line=lambda words: _tell(printer, words, quiet=options.quiet),
        )
        try:
            if options.scheduler is not None:
                run_dask(folder, cases, limits, scheduler=options.scheduler, telling=telling, cancel=cancel)
            else:
                run_local(
                    folder,
                    cases,
                    limits,
                    workers=workers,
                    memory_limit_bytes=memory_share_bytes(workers),
                    telling=telling,
                    cancel=cancel,
                )
        except Cancelled:
            _summed_up(folder.path, [case.name for case in study.cases], quiet=True)
            raise
        finally:
            printer.finish()
        return _summed_up(folder.path, [case.name for case in study.cases], quiet=options.quiet)


def _study(options: argparse.Namespace) -> Study:
    if (options.fixed is None) != (options.moving is None):
        missing = "--moving" if options.moving is None else "--fixed"
        raise InputError(missing, "was not given", "Give --fixed and --moving, or a study file.")
    if options.fixed is not None:
        return study_of_volumes(options.fixed, options.moving, preset=options.preset)
    return read_study(options.study, preset=options.preset)


def _unseen(_progress: Progress) -> None:
    """There is no bar."""


def _tell(printer: Printer, words: str, *, quiet: bool) -> None:
    if quiet:
        return
    printer.finish()
    try:
        print(words, flush=True)
    except BrokenPipeError:
        # Whoever looked on has gone; the study goes on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _take_back_failed(folder: StudyFolder, study: Study) -> None:
    cases = {case.name: case for case in study.cases}
    for found in read_summary(folder.path, list(cases)).cases:
        if found.word == "no result":
            folder.take_back(cases[found.name])


def _plan(study: Study, how: str) -> str:
    lines = [f"{len(study.cases)} cases, {how}:"]
    return "\n".join([*lines, *(_case_line(case) for case in study.cases)])


def _case_line(case: Case) -> str:
    steps = ", ".join(step.command for step in case.steps)
    return f"{case.name} ({case.where}): {case.moving} onto {case.fixed}; {steps}"


def _summary_alone(folder: Path, *, quiet: bool) -> int:
    return _summed_up(folder, study_names(folder), quiet=quiet)


def _summed_up(folder: Path, names: list[str], *, quiet: bool) -> int:
    summary = read_summary(folder, names)
    write_summary(folder, summary)
    if not quiet:
        print(_summary_words(folder, summary))
    return summary.exit_code


def _summary_words(folder: Path, summary: StudySummary) -> str:
    counts = ", ".join(f"{count} {word}" for word, count in summary.counts.items() if count)
    return f"{counts}. Summary: {folder / 'summary.html'}"
