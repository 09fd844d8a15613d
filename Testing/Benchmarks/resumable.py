"""Many runs of a benchmark, in several processes, as often as it takes: each finished one is a line of a file."""

from __future__ import annotations

import argparse
import atexit
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Runner", "json_lines", "run_or_print", "run_resumable"]

Record = dict[str, Any]


class Runner(Protocol):
    """Does one run after the other; each process has one."""

    def run(self, planned: Any) -> Record:
        """The record of a run, with its ``id``."""

    def close(self) -> None:
        """Called once, at the end."""


_runner: Runner | None = None
_deadline = float("inf")


def _open(make_runner: Callable[[], Runner], deadline: float) -> None:
    global _runner, _deadline
    _runner, _deadline = make_runner(), deadline
    atexit.register(_runner.close)


def _run_here(planned: Any) -> Record | None:
    assert _runner is not None
    return None if time.time() > _deadline else _runner.run(planned)


def _records(todo: Sequence[Any], jobs: int, make_runner: Callable[[], Runner], deadline: float) -> Iterator[Record]:
    if jobs == 1:
        _open(make_runner, deadline)
        yield from filter(None, map(_run_here, todo))
        return
    # Started anew, not forked: a fork would share what the engines and SimpleITK hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_open, initargs=(make_runner, deadline)) as pool:
        for done in as_completed([pool.submit(_run_here, planned) for planned in todo]):
            if (record := done.result()) is not None:
                yield record


def json_lines(path: Path) -> list[Record]:
    """Records of a file, the first where an id is there twice; a last line that was cut off is left out."""
    records: dict[str, Record] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            records.setdefault(record["id"], record)
    return list(records.values())


def run_resumable(
    planned: Sequence[Any],
    results: Path,
    make_runner: Callable[[], Runner],
    *,
    jobs: int,
    told: Callable[[Record], str],
    limit_minutes: float | None = None,
) -> None:
    """Do what is not done yet; each record is a line of the file as soon as it is there.

    Parameters
    ----------
    planned : sequence
        In order; each has an ``id``.
    results : Path
        JSON lines, made or continued.
    make_runner : callable
        Called once in each process; can be pickled.
    jobs : int
        Processes, which share the cores.
    told : callable
        A line on the screen for each record.
    limit_minutes : float, optional
        No run is begun after this time.
    """
    finished = {record["id"] for record in json_lines(results)}
    todo = [run for run in planned if run.id not in finished]
    print(f"{len(todo)} of {len(planned)} runs to do", flush=True)
    deadline = float("inf") if limit_minutes is None else time.time() + 60 * limit_minutes
    results.parent.mkdir(parents=True, exist_ok=True)
    torn = results.exists() and not results.read_bytes().endswith(b"\n") and results.stat().st_size > 0
    with results.open("a", encoding="utf-8") as file:
        if torn:
            file.write("\n")
        for count, record in enumerate(_records(todo, jobs, make_runner, deadline), 1):
            file.write(json.dumps(record, default=_plain) + "\n")
            file.flush()
            print(f"{count}/{len(todo)} {told(record)}", flush=True)


def run_or_print(
    description: str | None,
    *,
    add_choices: Callable[[argparse.ArgumentParser], None],
    plan: Callable[[argparse.Namespace], Sequence[Any]],
    make_runner: Callable[[int], Callable[[], Runner]],
    told: Callable[[Record], str],
    table: Callable[[list[Record]], tuple[str, bool]],
    data: Path,
) -> int:
    """The command line of such a benchmark: ``run`` does what is not done yet, ``table`` prints what there is.

    Parameters
    ----------
    description : str or None
        Of the benchmark.
    add_choices : callable
        Adds the options that choose runs.
    plan : callable
        The runs that the options choose.
    make_runner : callable
        What makes the runner of each process, for a number of processes.
    told : callable
        A line on the screen for each record.
    table : callable
        The table of all records in Markdown, and whether every bar holds.
    data : Path
        The real volumes.

    Returns
    -------
    int
        The exit code: 1 where a bar does not hold, 2 where the volumes are missing in CI.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="do the runs that are not in the file of results yet")
    add_choices(run)
    run.add_argument("--jobs", type=int, default=1, help="processes, which share the cores")
    run.add_argument("--limit-minutes", type=float, help="begin no run after this time")
    tabled = commands.add_parser("table", help="print the table of a file of results")
    tabled.add_argument("--output", type=Path)
    for command in (run, tabled):
        command.add_argument("--results", type=Path, required=True, help="file of results, one JSON object a line")
    options = parser.parse_args()
    if options.command == "table":
        text, good = table(json_lines(options.results))
        print(text)
        if options.output:
            options.output.write_text(text + "\n", encoding="utf-8")
        return 0 if good else 1
    if not data.is_dir():
        print(f"The real volumes are not at {data}: nothing was run.", file=sys.stderr)
        return 2 if os.environ.get("CI") else 0
    jobs, limit = options.jobs, options.limit_minutes
    run_resumable(plan(options), options.results, make_runner(jobs), jobs=jobs, told=told, limit_minutes=limit)
    return 0


def _plain(value: Any) -> Any:
    """JSON of what NumPy made."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
