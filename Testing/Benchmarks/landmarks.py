"""Automatic pairing, findings and stated errors over random landmark sets.

``python Testing/Benchmarks/landmarks.py [--sets N] [--only pairing|findings|errors]`` prints Markdown tables. The sets
of the first two are those of ``Testing/Python/landmark_sets.py``: uniform in a ball of 150 mm diameter, normal noise of
1 mm on each axis. Those of the last, a tenth of the number in each cell, are of ``Testing/Python/landmark_cases.py``.
Errors alone take about a minute of processor time with ``--sets 400``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.landmarks.findings import find_problems
from MultimodalRegistrationLib.landmarks.pairing import pair_landmarks

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from landmark_coverage import coverage
from landmark_sets import Puzzle, puzzle, spoiled
from measure import machine_line

OUTCOMES = ("right", "named", "undecided", "wrong")
COMMON_BINS = ((4, 4), (5, 5), (6, 6), (7, 7), (8, 9), (10, 14), (15, 19), (20, 24), (25, 30))
SIZES = (4, 5, 6, 7, 8, 10, 12, 15, 20)
SHIFTS = (4, 5, 6, 7, 8, 10, 15, 20, 30)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--only", choices=("pairing", "findings", "errors"))
    options = parser.parse_args()
    print(machine_line(), flush=True)
    if options.only in (None, "pairing"):
        _pairing("noise in both lists", options.sets, first=0, both_noisy=True)
        _pairing("noise in one list", options.sets, first=100_000, both_noisy=False)
        _pairing("noise in both, at least 10 mm apart", options.sets // 2, first=200_000, apart_mm=10.0)
        _mirrored(options.sets // 5)
    if options.only in (None, "findings"):
        _findings(options.sets)
        _curve(options.sets // 2)
    if options.only in (None, "errors"):
        coverage(max(1, options.sets // 10))


def judge(one: Puzzle) -> str:
    """``right``; ``named``: all but pairs that the notes name; ``undecided``: an error says so; ``wrong``."""
    try:
        pairs = pair_landmarks(one.fixed, one.moving, how="auto")
    except InputError:
        return "undecided"
    found = set(zip(pairs.fixed_index, pairs.moving_index, strict=True))
    notes = " ".join(pairs.notes)
    silent = [(i, j) for i, j in found ^ one.truth if f"'{i + 1}' with '{j + 1}'" not in notes]
    return "right" if found == one.truth else "wrong" if silent else "named"


def _pairing(title: str, sets: int, *, first: int, both_noisy: bool = True, apart_mm: float = 0.0) -> None:
    by_common: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    by_lost: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    seconds = []
    for seed in range(first, first + sets):
        one = puzzle(seed, both_noisy=both_noisy, apart_mm=apart_mm)
        began = time.process_time()
        outcome = judge(one)
        seconds.append(time.process_time() - began)
        common = len(one.truth)
        by_common[next(limits for limits in COMMON_BINS if limits[0] <= common <= limits[1])][outcome] += 1
        by_lost[(one.lost_fixed, one.lost_moving)][outcome] += 1
    print(f"\n## Pairing, {title}: {sets} sets\n")
    columns = "| sets | right | all but named pairs | undecided | silently wrong |\n|---|---|---|---|---|---|"
    print(f"| points in common {columns}")
    for limits in COMMON_BINS:
        name = f"{limits[0]}" if limits[0] == limits[1] else f"{limits[0]} to {limits[1]}"
        _row(name, by_common[limits])
    _row("**all**", sum(by_common.values(), Counter()))
    print(f"\n| missing {columns}")
    for name, least, most in (("none", 0, 0), ("1 to 4 in all", 1, 4), ("5 to 10 in all", 5, 10)):
        _row(name, sum((counts for lost, counts in by_lost.items() if least <= sum(lost) <= most), Counter()))
    print(f"\nProcessor seconds of a set: mean {np.mean(seconds):.2f}, largest {np.max(seconds):.2f}.", flush=True)


def _row(name: str, counts: Counter[str]) -> None:
    cells = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
    print(f"| {name} | {counts.total()} | {cells} |")


def _mirrored(sets: int) -> None:
    matched = sum(judge(puzzle(seed, mirrored=True)) != "undecided" for seed in range(300_000, 300_000 + sets))
    print(f"\nMirrored sets that were paired: {matched} of {sets}.", flush=True)


def found_rightly(seed: int, count: int, fault: str, shift: float = 0.0, stated_mm: float | None = None) -> bool:
    """Whether the rigid findings are exactly the fault with its points, or none where there is no fault."""
    pairs, named = spoiled(seed, count, fault=fault, shift=shift)
    findings = find_problems(pairs, model="rigid", localisation_error_mm=stated_mm)
    found = [(one.code, one.points) for one in findings if one.severity != "note"]
    return found == ([(fault, named)] if fault else [])


def _findings(sets: int) -> None:
    print(f"\n## Findings, rigid model: {sets} sets each; an outlier is 6 to 30 mm off, uniformly\n")
    print(
        "| pairs | false alarms | swapped | mirrored | outlier | false alarms, error stated | outlier, error stated |"
    )
    print("|---|---|---|---|---|---|---|")
    totals: dict[str, list[float]] = defaultdict(list)
    for count in SIZES:
        cells = []
        stated = float(np.sqrt(3.0))
        columns = [(fault, None) for fault in ("", "swapped", "mirrored", "outlier")] + [
            ("", stated),
            ("outlier", stated),
        ]
        for fault, error_mm in columns:
            shifts = np.random.default_rng(count).uniform(6, 30, sets).tolist()
            share = np.mean([found_rightly(seed, count, fault, shifts[seed], error_mm) for seed in range(sets)])
            cells.append(float(share if fault else 1 - share))
            if count >= 6:
                totals[f"{fault} {error_mm}"].append(cells[-1])
        print(f"| {count} | {' | '.join(f'{100 * cell:.1f} %' for cell in cells)} |", flush=True)
    print(f"| **6 to 20** | {' | '.join(f'{100 * np.mean(cells):.1f} %' for cells in totals.values())} |", flush=True)


def _curve(sets: int) -> None:
    print(f"\n## Outliers found and named by size: {sets} sets each\n")
    print(f"| pairs | {' | '.join(f'{shift} mm' for shift in SHIFTS)} |\n|---|{'---|' * len(SHIFTS)}")
    for count in SIZES:
        shares = [np.mean([found_rightly(seed, count, "outlier", shift) for seed in range(sets)]) for shift in SHIFTS]
        print(f"| {count} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
