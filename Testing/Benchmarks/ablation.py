"""What each preprocessing step does to the default run: on every real pair, from starts of the capture-range benchmark.

    python ablation.py run --results ablation.jsonl [--starts N] [--jobs N]
    python ablation.py table --results ablation.jsonl

A run that is in the results file is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from capture_plan import BINS, OURS, PlannedRun, plan
from capture_volumes import make_problem
from conftest import real_cases
from measure import machine_line
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.errors import RegistrationError
from MultimodalRegistrationLib.core.linear import displacement_mm
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.preprocess.steps import NOTHING, Steps

CROP_MARGIN_MM = 25.0
# Which of the two volumes is an MR: only there the bias field of a coil is to be expected.
MR = {"porcine": ("fixed",), "stroke": ("fixed", "moving"), "template": ("fixed",), "sarcoma": ("moving",)}


def steps_of(name: str, case: str) -> Steps:
    """The steps of one column, for one pair."""
    roles = MR[case.split("-")[0]]
    if case == "template-t2":
        roles = ("fixed", "moving")
    if case.startswith("sarcoma") and case.endswith("-pet"):
        roles = ()
    single = {
        "none": NOTHING,
        "mask": Steps(mask="foreground", crop_margin_mm=None, bias_correct=()),
        "crop": Steps(mask="none", crop_margin_mm=CROP_MARGIN_MM, bias_correct=()),
        "bias": Steps(mask="none", crop_margin_mm=None, bias_correct=roles),
        "all": Steps(mask="foreground", crop_margin_mm=CROP_MARGIN_MM, bias_correct=roles),
    }
    return single[name]


COLUMNS = ("none", "mask", "crop", "bias", "all")


def one_run(planned: PlannedRun, column: str) -> dict[str, Any]:
    """Register once; the error is over the case's points."""
    problem = make_problem(planned, real_cases())
    record = {"id": f"{planned.case}/{planned.bin}/{planned.number}/{column}", "case": planned.case, "column": column}
    record["limit_mm"] = problem.limit_mm
    began = time.perf_counter()
    try:
        result = register(
            problem.fixed,
            problem.moving,
            preset=find_preset("rigid"),
            preprocess=steps_of(column, planned.case),
            verdict=False,
            seed=planned.seed,
            threads=1,
        )
    except RegistrationError as error:
        return record | {"tre_mm": None, "error": str(error)}
    error_mm = displacement_mm(result.fixed_to_moving_lps, problem.truth, problem.points).mean()
    return record | {"tre_mm": float(error_mm), "seconds": time.perf_counter() - began}


def run(results: Path, starts: int, jobs: int) -> None:
    """Do all runs that are not in the results yet."""
    done = set()
    if results.exists():
        done = {json.loads(line)["id"] for line in results.read_text(encoding="utf-8").splitlines()}
    easiest, *_, hardest = BINS
    planned = [p for p in plan(real_cases(), families=["starts"], methods=[OURS]) if p.bin in (easiest, hardest)]
    planned = [p for p in planned if (p.number or 0) < starts]
    todo = [(p, c) for p in planned for c in COLUMNS if f"{p.case}/{p.bin}/{p.number}/{c}" not in done]
    with ProcessPoolExecutor(jobs) as pool, results.open("a", encoding="utf-8") as file:
        for number, future in enumerate(as_completed([pool.submit(one_run, p, c) for p, c in todo])):
            record = future.result()
            print(json.dumps(record), file=file, flush=True)
            print(f"{number + 1}/{len(todo)} {record['id']}: {record['tre_mm']}", flush=True)


def table(results: Path) -> str:
    """The table in Markdown."""
    records = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    lines = [f"{machine_line()}\n", "| pair | limit mm | " + " | ".join(COLUMNS) + " |"]
    lines.append("|---|---|" + "---|" * len(COLUMNS))
    for case in dict.fromkeys(record["case"] for record in records):
        of_case = [record for record in records if record["case"] == case]
        cells = [_cell([r for r in of_case if r["column"] == column]) for column in COLUMNS]
        lines.append(f"| {case} | {of_case[0]['limit_mm']:g} | " + " | ".join(cells) + " |")
    total = [_total([r for r in records if r["column"] == column]) for column in COLUMNS]
    lines.append("| **success** | | " + " | ".join(total) + " |")
    ratios = []
    for column in COLUMNS:
        values = [r["tre_mm"] / r["limit_mm"] for r in records if r["column"] == column and r["tre_mm"] is not None]
        ratios.append(f"{np.median(values):.2f}")
    lines.append("| **median of TRE / limit** | | " + " | ".join(ratios) + " |")
    seconds = [np.median([r["seconds"] for r in records if r["column"] == c and "seconds" in r]) for c in COLUMNS]
    lines.append("| **seconds against none** | | " + " | ".join(f"{s / seconds[0]:.2f}" for s in seconds) + " |")
    return "\n".join(lines)


def _cell(records: list[dict[str, Any]]) -> str:
    values = [r["tre_mm"] for r in records]
    good = sum(v is not None and v <= r["limit_mm"] for v, r in zip(values, records, strict=True))
    known = [v for v in values if v is not None]
    return f"{np.median(known):.2f} ({good}/{len(values)})" if known else f"- (0/{len(values)})"


def _total(records: list[dict[str, Any]]) -> str:
    good = sum(r["tre_mm"] is not None and r["tre_mm"] <= r["limit_mm"] for r in records)
    return f"{good}/{len(records)}"


def main() -> None:
    """Run or print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--starts", type=int, default=1, help="of each bin and pair")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if options.what == "run":
        run(options.results, options.starts, options.jobs)
    else:
        print(table(options.results))


if __name__ == "__main__":
    main()
