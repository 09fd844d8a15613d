"""How far roughly placed landmarks are off after the images refined them, on the real pairs.

Run it as ``python Testing/Benchmarks/refine_landmarks.py``; it prints a table in Markdown.
"""

from __future__ import annotations

import platform
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import REAL_DATA, real_cases
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import apply_matrix, fit_rigid
from MultimodalRegistrationLib.core.points import LandmarkList, Pairs
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.register.refine_landmarks import refine_landmarks

SD_MM, PAIRS, DRAWS = 4.0, 12, 5


def main() -> None:
    """Print the table."""
    print("# Refined landmarks\n")
    print(
        f"{PAIRS} pairs of points, the moving ones {SD_MM:g} mm (SD) off along each axis; {DRAWS} draws. Errors are "
        "medians over the points of all draws, in mm. *Fit*: where the rigid fit of the points puts them.\n"
    )
    print("| pair | as placed | fit | refined | left alone | refused | CPU s |\n|---|---|---|---|---|---|---|")
    for name in real_cases():
        print(_row(name), flush=True)
    print(f"\n{date.today()}, {platform.machine()}, {platform.processor() or 'processor unknown'}.")


def _row(name: str) -> str:
    case = real_cases()[name]
    fixed, moving = read_volume(REAL_DATA / case["fixed"]), read_volume(REAL_DATA / case["moving"])
    truth = np.asarray(case["truth_matrix_lps"])
    points = np.loadtxt(REAL_DATA / case["points"], delimiter=",", skiprows=1)
    placed, fitted, refined, alone, refused = [], [], [], 0, 0
    begin = time.process_time()
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        chosen = points[rng.permutation(len(points))[:PAIRS]]
        partners = apply_matrix(truth, chosen)
        rough = partners + rng.normal(0, SD_MM, partners.shape)
        placed += np.linalg.norm(rough - partners, axis=1).tolist()
        by_fit = apply_matrix(np.linalg.inv(fit_rigid(rough, chosen)), chosen)
        fitted += np.linalg.norm(by_fit - partners, axis=1).tolist()
        order = tuple(range(PAIRS))
        lists = LandmarkList.of_points("fixed", chosen), LandmarkList.of_points("moving", rough)
        try:
            found = refine_landmarks(fixed, moving, Pairs(*lists, order, order, "order"))
        except InputError:
            refused += 1
            continue
        alone += sum(bool(one.left_alone) for one in found)
        moved = [one for one in found if not one.left_alone]
        refined += [float(np.linalg.norm(np.subtract(one.after_lps, partners[one.number]))) for one in moved]
    seconds = (time.process_time() - begin) / DRAWS
    medians = [f"{np.median(values):.2f}" if values else "-" for values in (placed, fitted, refined)]
    return f"| {name} | {' | '.join(medians)} | {alone} of {DRAWS * PAIRS} | {refused} of {DRAWS} | {seconds:.1f} |"


if __name__ == "__main__":
    main()
