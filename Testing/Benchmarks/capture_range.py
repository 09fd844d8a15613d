"""How far off a start may be, and whether the verdict on a result can be trusted.

``python Testing/Benchmarks/capture_range.py run --results FILE [options]``, as often as it takes: finished runs are
skipped. ``python Testing/Benchmarks/capture_range.py table --results FILE [--output TABLE.md]`` prints what there is.
``python Testing/Benchmarks/capture_range.py run --quick`` checks a few runs in some minutes.

The protocol is that of van de Kraats 2005 and Skerl 2006: seeded starts in bins of rising difficulty. Needs the real
volumes beside the project. A start is put into the header of the moving volume; no voxel is resampled for it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.errors import RegistrationError
from MultimodalRegistrationLib.core.linear import displacement_mm
from MultimodalRegistrationLib.core.machine import usable_cores
from MultimodalRegistrationLib.engines.presets.preset import DEFAULT_PRESET, find_preset
from MultimodalRegistrationLib.engines.session import EngineSessions

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from capture_chart import chart
from capture_plan import FAMILIES, METHODS, OURS, PlannedRun, plan, quick_plan
from capture_table import WRONG_MM, read_records, table
from capture_volumes import Problem, make_problem
from conftest import REAL_DATA, real_cases
from measure import run_measured
from resumable import run_resumable

QUICK_SUCCESS = 0.9


class Runner:
    """Does one run after the other, with one engine that stays warm.

    Parameters
    ----------
    threads : int
        For the engines and SimpleITK.
    start : str
        What our method starts from.
    """

    def __init__(self, threads: int, start: str) -> None:
        self._cases = real_cases()
        self._threads, self._start = threads, start
        self._engines: EngineSessions | None = None
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)

    def close(self) -> None:
        """End the engine."""
        if self._engines is not None:
            self._engines.close()
            self._engines = None

    def run(self, planned: PlannedRun) -> dict[str, Any]:
        """Do a run.

        Parameters
        ----------
        planned : PlannedRun
            What to do.

        Returns
        -------
        dict
            Its line in the results.
        """
        problem = make_problem(planned, self._cases)
        record: dict[str, Any] = {
            "id": planned.id,
            **asdict(planned),
            "seed": planned.seed,
            "date": str(date.today()),
            "start": problem.start,
            "detail": problem.detail,
            "has_answer": problem.truth is not None,
            "limit": problem.limit_mm,
            "threads": self._threads,
            "tre_mean_mm": None,
            "success": None if problem.truth is None else False,
            "verdict": None,
            "estimated_error_mm": None,
            "against": [],
            "evidence": {},
            "seconds": {},
            "fixed_to_moving_lps": None,
            "stopped": None,
        }
        began = time.perf_counter()
        try:
            found = (self._ours if planned.method == OURS else self._peer)(planned, problem, record)
        except (RegistrationError, RuntimeError) as error:
            self.close()  # The engine may have ended with it.
            record["stopped"] = str(error)
            record["seconds"].setdefault("total", time.perf_counter() - began)
            return record
        record["fixed_to_moving_lps"] = found.tolist()
        if problem.truth is not None:
            record["tre_mean_mm"] = float(displacement_mm(found, problem.truth, problem.points).mean())
            record["success"] = bool(record["tre_mean_mm"] <= problem.limit_mm)
        return record

    def _ours(self, planned: PlannedRun, problem: Problem, record: dict[str, Any]) -> np.ndarray:
        if self._engines is None:
            self._engines = EngineSessions(self._threads)
            self._engines.of("elastix").wait_until_ready()
        swap = planned.family == "swap"
        volumes = (problem.moving, problem.fixed) if swap else (problem.fixed, problem.moving)
        began = time.perf_counter()
        result = register(
            *volumes,
            preset=find_preset(DEFAULT_PRESET),
            start=self._start,
            engines=self._engines,
            seed=planned.seed,
            threads=self._threads,
        )
        assert result.verdict is not None
        record["seconds"] = {**result.seconds, "total": time.perf_counter() - began}
        record["verdict"] = result.verdict.word
        record["estimated_error_mm"] = result.verdict.estimated_error_mm
        record["against"] = list(result.verdict.against)
        record["evidence"] = asdict(result.verdict.evidence)
        record["settled"] = result.convergence.settled
        record["candidates"] = result.candidates
        return np.linalg.inv(result.fixed_to_moving_lps) if swap else result.fixed_to_moving_lps

    def _peer(self, planned: PlannedRun, problem: Problem, record: dict[str, Any]) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            files = [f"{folder}/{role}.nrrd" for role in ("fixed", "moving")]
            for volume, file in zip((problem.fixed, problem.moving), files, strict=True):
                sitk.WriteImage(volume.image, file, useCompression=False)
            result_file = Path(folder) / "peer.json"
            script = str(Path(__file__).with_name("peers.py"))
            run = run_measured([sys.executable, script, planned.method, *files, str(result_file)])
            result = json.loads(result_file.read_text()) if result_file.exists() else {"stopped": f"code {run.code}"}
        record["seconds"] = {"total": result.get("seconds", run.seconds), "process": run.seconds}
        if "stopped" in result:
            outside = "samples map outside" in run.output
            raise RuntimeError("too many samples map outside" if outside else result["stopped"])
        return np.asarray(result["fixed_to_moving_lps"])


def _told(record: dict[str, Any]) -> str:
    error = "no answer is right" if record["tre_mean_mm"] is None else f"TRE {record['tre_mean_mm']:.2f} mm"
    words = record["stopped"] or f"{error}, {record['verdict'] or 'no verdict'}"
    return f"{record['id']}: {words[:100]} ({record['seconds']['total']:.1f} s)"


def run_all(planned: list[PlannedRun], results: Path, *, jobs: int, start: str, limit_minutes: float | None) -> None:
    """Do what is not done yet: see :func:`resumable.run_resumable`; ``start`` is what our method starts from."""
    make_runner = partial(Runner, max(1, usable_cores() // jobs), start)
    run_resumable(planned, results, make_runner, jobs=jobs, told=_told, limit_minutes=limit_minutes)


def _quick_check(records: list[dict[str, Any]]) -> int:
    ours = [record for record in records if record["method"] == OURS]
    answered = [record for record in ours if record["has_answer"]]
    success = sum(record["success"] for record in answered) / max(1, len(answered))
    verified = [record for record in ours if record["verdict"] == "verified"]
    wrong = [r["id"] for r in verified if not r["has_answer"] or r["tre_mean_mm"] > WRONG_MM]
    print(f"Success of our method: {success:.0%}. Verified but wrong by more than {WRONG_MM:g} mm: {wrong or 'none'}.")
    return 1 if success < QUICK_SUCCESS or wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="do the runs that are not in the file of results yet")
    run.add_argument("--results", type=Path, help="file of results, one JSON object a line")
    run.add_argument("--families", type=_list_of(FAMILIES), default=list(FAMILIES))
    run.add_argument("--methods", type=_list_of(METHODS), default=list(METHODS))
    run.add_argument("--cases", type=_list_of(tuple(real_cases())))
    run.add_argument("--starts", choices=("even", "odd", "all"), default="all", help="which of the numbered starts")
    run.add_argument("--peer-starts", type=int, default=3, help="starts of each bin for the elastix peers")
    run.add_argument("--ants-starts", type=int, default=1, help="starts of each bin for ANTsPy")
    run.add_argument("--start", default="auto", help="what our method starts from")
    run.add_argument("--limit-minutes", type=float, help="begin no run after this time")
    run.add_argument("--jobs", type=int, default=1, help="processes, which share the cores")
    run.add_argument("--quick", action="store_true", help="a few runs; fails on few successes or a false verdict")
    tabled = commands.add_parser("table", help="print the tables of a file of results")
    tabled.add_argument("--results", type=Path, required=True)
    tabled.add_argument("--output", type=Path)
    tabled.add_argument("--chart", type=Path, help="the successes by bin as bars, an .svg")
    options = parser.parse_args()
    if options.command == "run" and options.results is None and not options.quick:
        run.error("--results is needed")
    return options


def _list_of(allowed: tuple[str, ...]) -> Any:
    def names(text: str) -> list[str]:
        given = [name.strip() for name in text.split(",")]
        if unknown := [name for name in given if name not in allowed]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(allowed)}")
        return given

    return names


def main() -> int:
    """Run or print; the exit code of a quick run is 1 when our method or its verdict fails."""
    options = _arguments()
    if options.command == "table":
        records = read_records(options.results)
        text = table(records)
        print(text)
        if options.chart:
            options.chart.write_text(chart(records) + "\n", encoding="utf-8")
        if options.output:
            options.output.write_text(text + "\n", encoding="utf-8")
        return 0
    cases = real_cases()
    if not cases:
        print(f"The real volumes are not at {REAL_DATA}: nothing was run.", file=sys.stderr)
        return 2 if os.environ.get("CI") else 0
    settings = {"jobs": options.jobs, "start": options.start, "limit_minutes": options.limit_minutes}
    if not options.quick:
        selection = {"families": options.families, "methods": options.methods, "only_cases": options.cases}
        counts = {"starts": options.starts, "peer_starts": options.peer_starts, "ants_starts": options.ants_starts}
        run_all(plan(cases, **selection, **counts), options.results, **settings)
        return 0
    planned = quick_plan(cases)
    with tempfile.TemporaryDirectory() as folder:
        results = options.results or Path(folder) / "quick.jsonl"
        run_all(planned, results, **settings)
        ids = {run.id for run in planned}
        records = [record for record in read_records(results) if record["id"] in ids]
    print(table(records))
    return _quick_check(records)


if __name__ == "__main__":
    sys.exit(main())
