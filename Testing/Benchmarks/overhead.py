"""What we add to each engine's own time and memory on a 256 x 256 x 150 float pair.

``python Testing/Benchmarks/overhead.py``: seconds of the whole command, of the engine itself, and where the rest
goes; peak memory in all and per voxel. First each engine without search and verdict, then the whole default run.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.engines.catalogue import ENGINES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import CT_POSE, centered_grid, rotation
from measure import Run, machine_line, run_measured

SIZE = [256, 256, 150]


def main() -> None:
    """Print one line for each engine."""
    print(machine_line(), "\n")
    print("| engine | command s | engine s | start and hand-over s | reading s | other s | peak MB | bytes per voxel |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, modality, axis in (("fixed", "CT", [1, 0, 0]), ("moving", "T1", [0, 1, 1])):
            grid: VolumeGrid = centered_grid(SIZE, [0.9, 0.9, 1.4], rotation(axis, 8), [3, -9, 12])
            sitk.WriteImage(make_head(modality, grid, CT_POSE).image, f"{folder}/{name}.nrrd")
        for engine in ENGINES:
            run, seconds = _timed(folder, "--engine", engine, "--start", "center", "--no-verdict")
            if seconds is None:
                print(f"| {engine} | failed: {run.output.strip().splitlines()[-1]} |")
                continue
            start, reading = seconds["engine start and hand-over"], seconds["read"]
            other = run.seconds - seconds["engine"] - start - reading
            per_voxel = run.peak_mb * 1e6 / (2 * float(np.prod(SIZE)))
            print(
                f"| {engine} | {run.seconds:.1f} | {seconds['engine']:.1f} | {start:.2f} | {reading:.2f} | {other:.2f} "
                f"| {run.peak_mb:.0f} | {per_voxel:.0f} |",
                flush=True,
            )
        run, seconds = _timed(folder)
        assert seconds is not None, run.output
        print(f"\nThe whole default run: {run.seconds:.1f} s, peak {run.peak_mb:.0f} MB\n\n| stage | s |\n|---|---|")
        total = seconds.pop("total")
        for stage, value in seconds.items():
            print(f"| {stage} | {value:.2f} |")
        print(f"| start of Python and the rest | {run.seconds - total:.2f} |")


def _timed(folder: str, *options: str) -> tuple[Run, dict[str, float] | None]:
    """Run the command; its stages' seconds, or None when it failed."""
    result = Path(folder) / "r.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "MultimodalRegistrationLib", "register", "--quiet", *options]
    command += ["--fixed", f"{folder}/fixed.nrrd", "--moving", f"{folder}/moving.nrrd"]
    command += ["--output-transform", f"{folder}/T.h5", "--json", str(result)]
    run = run_measured(command)
    return run, json.loads(result.read_text())["seconds"] if run.code == 0 else None


if __name__ == "__main__":
    main()
