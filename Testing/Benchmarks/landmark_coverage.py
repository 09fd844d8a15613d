"""Tables of ``landmarks.py``: how often the error stated at the worst place covers the true one, and how wide it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from landmark_cases import SHAPES, Case, Outcome, bent, judge, noisy, of_two_people

PAIRS = (3, 4, 6, 10, 20)
NOISES_MM = (0.5, 1.0, 3.0)
BENDS_MM = (2.0, 5.0)
LEAST = 0.9
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def coverage(cases: int) -> None:
    """Print the tables.

    Parameters
    ----------
    cases : int
        For each cell; each is judged in both directions.
    """
    print(f"\n## Stated and true error: {cases} cases in each cell, each in both directions\n")
    print("Share of cases in which the error stated for the worst place covers the true one; stated over true, median.")
    shares = _one_body(cases) + _bent_bodies(cases)
    if (DATA / "afids").exists():
        shares += _two_people(cases)
    else:
        print("\nThe landmarks of two people are not there.")
    print(f"\nLeast share of all cells: {100 * min(shares):.0f} % (bar: {100 * LEAST:.0f} %).", flush=True)


def _one_body(cases: int) -> list[float]:
    print("\n### One rigid body, rigid fit, no volume: the largest error anywhere in the stated region\n")
    return _by_shape(cases, "localisation error", NOISES_MM, noisy, "largest_mm")


def _bent_bodies(cases: int) -> list[float]:
    print("\n### Two bodies that differ by smooth waves, rigid fit, volume given: RMS over the volume\n")
    return _by_shape(cases, "waves of RMS", BENDS_MM, bent, "rms_mm")


def _by_shape(
    cases: int,
    what: str,
    sizes_mm: tuple[float, ...],
    make: Callable[[np.random.Generator, str, int, float], Iterator[Case]],
    true: str,
) -> list[float]:
    """Print a row for each shape and number of pairs, a column for each size; the shares of all cells."""
    _head("pairs", f"{what} ", [f"{mm:g} mm" for mm in sizes_mm])
    shares: list[float] = []
    for shape in SHAPES:
        for count in PAIRS:
            cells = []
            for mm in sizes_mm:
                found = _outcomes(cases, count, lambda rng, n=count, mm=mm, s=shape: make(rng, s, n, mm))
                cells.append(_cell(found, true, shares))
            print(f"| {shape}, {count} | {' | '.join(cells)} |", flush=True)
    return shares


def _two_people(cases: int) -> list[float]:
    print("\n### Brains of two people: some of 32 expert landmarks are fitted, RMS at all others\n")
    print("The last column is the share of single targets that lie below the stated error (rigid, volume given).\n")
    _head("pairs", "", ["rigid", "rigid, volume given", "affine", "affine, volume given", "single targets"])
    shares: list[float] = []
    for count in (3, 4, 5, 6, 8, 12, 20):
        cells, single = [], 0.0
        for model in ("rigid", "affine"):
            for volume in (False, True):
                if model == "affine" and count < 6:
                    cells.append("")
                    continue
                found = _outcomes(
                    cases, count, lambda rng, n=count, v=volume: of_two_people(rng, DATA / "afids", n, volume=v), model
                )
                cells.append(_cell(found, "rms_mm", shares))
                if (model, volume) == ("rigid", True):
                    single = float(np.mean([one.share_below for one in found]))
        print(f"| {count} | {' | '.join(cells)} | {100 * single:.0f} % |", flush=True)
    return shares


def _outcomes(
    cases: int, seed: int, draw: Callable[[np.random.Generator], Iterator[Case]], model: str = "rigid"
) -> list[Outcome]:
    found = [judge(case, model) for number in range(cases) for case in draw(np.random.default_rng([seed, number]))]
    return [one for one in found if one is not None]


def _cell(found: list[Outcome], true: str, shares: list[float]) -> str:
    ratios = np.array([one.stated_mm / getattr(one, true) for one in found])
    shares.append(float(np.mean(ratios >= 1.0)))
    return f"{100 * shares[-1]:.0f} %, {np.median(ratios):.1f}"


def _head(first: str, prefix: str, columns: list[str]) -> None:
    print(f"| {first} | {' | '.join(prefix + column for column in columns)} |\n|{'---|' * (len(columns) + 1)}")
