"""Whether a mask ever makes a result worse: masks of all kinds on the real pairs, against the same runs without them.

``python Testing/Benchmarks/masks.py run --results FILE [options]``, as often as it takes: finished runs are skipped.
``python Testing/Benchmarks/masks.py table --results FILE [--output TABLE.md]`` prints what there is.

Each mask lies on the fixed volume, on the moving one or on both; the volumes start as given and from two random
headers (up to 180 degrees and 200 mm), the second with the roles of the volumes exchanged, as is the given start once
more. Needs the real volumes beside the project.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from capture_plan import OURS, PlannedRun
from capture_volumes import make_problem
from measure import machine_line
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.errors import RegistrationError
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.machine import usable_cores
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.presets.preset import DEFAULT_PRESET, find_preset
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.preprocess.masks import mask_like
from numpy.typing import NDArray
from resumable import run_or_print

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import REAL_DATA, real_cases
from mask_shapes import ODD_SHAPES, make_masks, shapes_of

SIDES = ("fixed", "moving", "both")
GIVEN = "given"
# Name of the start, bin of the random header, and whether the roles of the volumes are exchanged.
STARTS = {
    GIVEN: (None, False),
    "45 to 90 degrees": ("45-90", False),
    "90 to 180 degrees, exchanged": ("90-180", True),
    "given, exchanged": (None, True),
}
ODD_CASES = ("porcine", "sarcoma-010", "template-t2")
NO_MASK = "none"
# Of the points that errors are measured at.
HOLDS_THE_REGION = 0.95
ALLOWED_FACTOR, ALLOWED_MM = 1.1, 0.2
OTHER_BASIN_MM = 10.0
Record = dict[str, Any]


@dataclass(frozen=True)
class MaskRun:
    """One registration; ``side`` is that of the volumes as they are given, exchanged or not."""

    case: str
    shape: str
    side: str
    start: str

    @property
    def id(self) -> str:
        """Name of the run."""
        return f"{self.case}/{self.shape}/{self.side}/{self.start}"

    @property
    def baseline_id(self) -> str:
        """The same without a mask."""
        return f"{self.case}/{NO_MASK}//{self.start}"


def plan(cases: Iterable[str], shapes: Iterable[str] | None = None, starts: Iterable[str] = STARTS) -> list[MaskRun]:
    """All runs; those without a mask come before those with one from the same start."""
    names = list(cases)
    runs = []
    for start in starts:
        runs += [MaskRun(name, NO_MASK, "", start) for name in names]
        runs += [MaskRun(name, shape, side, start) for side in SIDES for name in names for shape in shapes_of(name)]
        if start == GIVEN:
            odd = product(ODD_CASES, ODD_SHAPES, SIDES)
            runs += [MaskRun(name, shape, side, start) for name, shape, side in odd if name in names]
    return [run for run in runs if shapes is None or run.shape in (*shapes, NO_MASK)]


class Runner:
    """Does one run after the other, with one engine that stays warm."""

    def __init__(self, threads: int) -> None:
        self._cases = real_cases()
        self._threads = threads
        self._engines: EngineSessions | None = None

    def close(self) -> None:
        """End the engine."""
        if self._engines is not None:
            self._engines.close()
            self._engines = None

    def run(self, planned: MaskRun) -> Record:
        """Do a run."""
        case = self._cases[planned.case]
        header, exchanged = STARTS[planned.start]
        fixed, moving, truth, points = _volumes(planned.case, header)
        masks: dict[str, Volume | None] = {"fixed": None, "moving": None}
        held = None
        if planned.shape != NO_MASK:
            arrays = _masks(planned.case, planned.shape)
            held = _share_inside(arrays, planned.side, fixed, moving, truth, points)
            for role, volume, marked in zip(masks, (fixed, moving), arrays, strict=True):
                if planned.side in (role, "both"):
                    masks[role] = mask_like(volume, marked, planned.shape)
        volumes, given = (fixed, moving), (masks["fixed"], masks["moving"])
        if exchanged:
            volumes, given = volumes[::-1], given[::-1]
        record: Record = {"id": planned.id, "case": planned.case, "shape": planned.shape, "side": planned.side}
        record |= {"start": planned.start, "baseline": planned.baseline_id, "points_inside": held}
        record |= {"limit_mm": case["limit_mean_tre_mm"], "tre_mean_mm": None, "verdict": None, "stopped": None}
        if self._engines is None:
            self._engines = EngineSessions(self._threads)
            self._engines.of("elastix").wait_until_ready()
        began, cpu = time.perf_counter(), time.process_time()
        try:
            result = register(
                *volumes,
                preset=find_preset(DEFAULT_PRESET),
                engines=self._engines,
                fixed_mask=given[0],
                moving_mask=given[1],
                threads=self._threads,
            )
        except RegistrationError as error:
            self.close()
            return {**record, "stopped": str(error), "seconds": time.perf_counter() - began}
        assert result.verdict is not None
        # The engine's processor time is its own time, with one thread.
        record["cpu_seconds"] = time.process_time() - cpu + result.seconds["engine"]
        found = result.fixed_to_moving_lps
        if exchanged:
            found = np.linalg.inv(found)
        return {
            **record,
            "tre_mean_mm": float(displacement_mm(found, truth, points).mean()),
            "verdict": result.verdict.word,
            "estimated_error_mm": result.verdict.estimated_error_mm,
            "against": list(result.verdict.against),
            "warnings": list(result.warnings),
            "seconds": time.perf_counter() - began,
            "stages": result.seconds,
            "fixed_to_moving_lps": found.tolist(),
        }


@lru_cache(maxsize=4)
def _volumes(name: str, header: str | None) -> tuple[Volume, Volume, NDArray[np.float64], NDArray[np.float64]]:
    """Fixed and moving volume, the truth and the points to evaluate at."""
    case = real_cases()[name]
    if header is not None:
        problem = make_problem(PlannedRun("starts", name, OURS, header, number=1), real_cases())
        assert problem.truth is not None
        return problem.fixed, problem.moving, problem.truth, problem.points
    fixed, moving = (read_volume(REAL_DATA / case[role]) for role in ("fixed", "moving"))
    points = np.loadtxt(REAL_DATA / case["points"], delimiter=",", skiprows=1)
    return fixed, moving, np.asarray(case["truth_matrix_lps"]), points


@lru_cache(maxsize=8)
def _masks(name: str, shape: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return make_masks(name, real_cases()[name], shape)


def _share_inside(
    arrays: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    side: str,
    fixed: Volume,
    moving: Volume,
    truth: NDArray[np.float64],
    points_lps: NDArray[np.float64],
) -> float:
    """Share of the points that all masks in use mark."""
    inside = np.ones(len(points_lps), dtype=bool)
    for role, volume, marked, places in (
        ("fixed", fixed, arrays[0], points_lps),
        ("moving", moving, arrays[1], apply_matrix(truth, points_lps)),
    ):
        if side in (role, "both"):
            index = np.rint(apply_matrix(np.linalg.inv(volume.grid.ijk_to_lps), places)).astype(int)
            shown = np.all((index >= 0) & (index < np.asarray(volume.grid.size)), axis=1)
            i, j, k = index[shown].T
            shown[shown] = marked[k, j, i]
            inside &= shown
    return float(inside.mean())


def told(record: Record) -> str:
    """A line on the screen."""
    error = record["stopped"] or f"TRE {record['tre_mean_mm']:.2f} mm, {record['verdict']}"
    return f"{record['id']}: {error[:100]} ({record['seconds']:.1f} s)"


def table(records: list[Record]) -> tuple[str, bool]:
    """The tables in Markdown, and whether every bar holds."""
    baseline = {record["id"]: record for record in records if record["shape"] == NO_MASK}
    masked = [record for record in records if record["shape"] != NO_MASK and record["baseline"] in baseline]
    for record in masked:
        without = baseline[record["baseline"]]
        record["without_mm"] = without["tre_mean_mm"]
        record["cpu_ratio"] = record.get("cpu_seconds", np.nan) / without["cpu_seconds"]
        record["holds"] = record["points_inside"] >= HOLDS_THE_REGION
        record["lost"] = record["tre_mean_mm"] is None or record["tre_mean_mm"] > OTHER_BASIN_MM
        allowed = ALLOWED_FACTOR * record["without_mm"] + ALLOWED_MM
        record["over"] = record["lost"] or (record["holds"] and record["tre_mean_mm"] > allowed)
        record["kept"] = any("masks were used to choose" in words for words in record.get("warnings", []))
    lines = [
        *("# Masks in a registration", ""),
        "Printed by `python Testing/Benchmarks/masks.py table --results Testing/Benchmarks/masks.jsonl`. Errors are "
        "mean target registration errors; `over`: more than allowed, where the mask holds the points that errors are "
        "measured at.",
        *("", machine_line(), f"{len(masked)} runs with a mask, {len(baseline)} without.", ""),
    ]
    lines += _rows(masked)
    held = [record for record in masked if record["holds"]]
    over, lost = [r for r in held if r["over"]], [r for r in masked if r["lost"]]
    wrong = [r for r in masked if r["verdict"] == "verified" and r["tre_mean_mm"] > 5]
    seconds = [r["cpu_ratio"] for r in masked if np.isfinite(r["cpu_ratio"])]
    lines += [
        "",
        f"Masks that hold the region of evaluation: {len(held) - len(over)} of {len(held)} runs end within "
        f"{ALLOWED_FACTOR:g} times the error without a mask plus {ALLOWED_MM:g} mm.",
        f"In another basin (over {OTHER_BASIN_MM:g} mm, or stopped): {len(lost)} of {len(masked)} runs; without a mask "
        f"{sum(r['tre_mean_mm'] is None or r['tre_mean_mm'] > OTHER_BASIN_MM for r in baseline.values())} of "
        f"{len(baseline)}.",
        f"Verified, but over 5 mm: {len(wrong)}.",
        f"Processor time against the same run without a mask: median {np.median(seconds):.2f}, 95th percentile "
        f"{np.percentile(seconds, 95):.2f}, largest {max(seconds):.2f}.",
        "",
        *[f"- {_remark(record)}" for record in masked if record["over"]],
    ]
    return "\n".join(lines), not (over or lost or wrong)


def _remark(record: Record) -> str:
    error = record["stopped"] or f"{record['tre_mean_mm']:.2f} mm, without a mask {record['without_mm']:.2f} mm"
    return f"{record['id']}: {error} ({record['verdict']})"


def _rows(masked: list[Record]) -> list[str]:
    rows = [
        "| pair | mask | on | points in it | TRE without, mm | TRE with, mm | worst | over | other basin | not refined "
        "with it | verified | time |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in masked:
        groups.setdefault((record["case"], record["shape"], record["side"]), []).append(record)
    for (case, shape, side), runs in sorted(groups.items()):
        errors = [r["tre_mean_mm"] for r in runs if r["tre_mean_mm"] is not None] or [np.nan]
        rows.append(
            f"| {case} | {shape} | {side} | {runs[0]['points_inside']:.0%} | "
            f"{np.mean([r['without_mm'] for r in runs]):.2f} | {np.mean(errors):.2f} | {max(errors):.2f} | "
            f"{sum(r['over'] and r['holds'] for r in runs)} | {sum(r['lost'] for r in runs)} | "
            f"{sum(r['kept'] for r in runs)} | {sum(r['verdict'] == 'verified' for r in runs)} of {len(runs)} | "
            f"{np.nanmedian([r['cpu_ratio'] for r in runs]):.2f} |"
        )
    return rows


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--shapes", nargs="+")
    parser.add_argument("--starts", nargs="+", choices=list(STARTS))


def main() -> int:
    """Run or print; the exit code is 1 where a bar does not hold."""
    return run_or_print(
        __doc__,
        add_choices=_add_choices,
        plan=lambda options: plan(options.cases or real_cases(), options.shapes, options.starts or STARTS),
        make_runner=lambda jobs: partial(Runner, max(1, usable_cores() // jobs)),
        told=told,
        table=table,
        data=REAL_DATA,
    )


if __name__ == "__main__":
    sys.exit(main())
