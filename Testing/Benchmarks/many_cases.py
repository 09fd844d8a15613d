"""A study of 1,000 tiny cases: memory of the main process as it goes, and how fast the summary opens.

``python Testing/Benchmarks/many_cases.py [CASES]``: each case is registered from where it lies with few iterations, and
not judged: what is measured is what surrounds it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from measure import machine_line
from MultimodalRegistrationLib.io.volumes import read_volume
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import REAL_DATA
from study_cases import tiny_study


def main() -> None:
    """Print the memory at every tenth of the cases, and the times."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(machine_line(), "\n")
    with tempfile.TemporaryDirectory() as name:
        volumes = [read_volume(REAL_DATA / "stroke" / f"{one}.nrrd") for one in ("t1", "t2")]
        study, folder = tiny_study(Path(name) / "s", *volumes, count), Path(name) / "D"
        began = time.perf_counter()
        command = [sys.executable, "-m", "MultimodalRegistrationLib", "batch", study, "--output-dir", folder]
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        watched, weights = psutil.Process(process.pid), []
        print("| cases | MB |\n|---|---|")
        for number, line in enumerate(process.stdout, start=1):
            if line.startswith("[") and (number == 10 or number % max(1, count // 10) == 0):
                weights.append(watched.memory_info().rss / 1e6)
                print(f"| {number} | {weights[-1]:.1f} |", flush=True)
        process.wait()
        print(f"\nGrowth after the first ten cases: {max(weights) - weights[0]:.1f} MB (less than 50).")
        print(f"Seconds: {time.perf_counter() - began:.0f}, {(time.perf_counter() - began) / count:.2f} a case.")
        with sync_playwright() as playwright:
            page = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            ).new_page()
            began = time.perf_counter()
            page.goto((folder / "summary.html").as_uri(), wait_until="load")
            print(f"Summary opened in {time.perf_counter() - began:.2f} s (less than 2).")


if __name__ == "__main__":
    main()
