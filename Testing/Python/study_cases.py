"""Studies of small cases, which run in a fraction of a second each."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.presets.preset import find_preset

__all__ = ["QUICK", "batch", "results_of", "start_batch", "tiny_study"]

# Columns of a case that is registered from where it lies, and not judged; without a report, which takes longer.
QUICK = {"preset": "quick.json", "start": "given", "no-verdict": "yes", "report": "no"}


def tiny_study(
    folder: Path, fixed: Volume, moving: Volume, count: int, *, columns: dict[str, str] | None = None
) -> Path:
    """A study of cases that differ in where the moving volume lies, by some mm; returns its file."""
    folder.mkdir()
    sitk.WriteImage(_small(fixed.image), str(folder / "fixed.nrrd"), True)
    columns = QUICK if columns is None else columns
    preset = find_preset("rigid")
    stage = {**preset.engines["elastix"][0], "NumberOfResolutions": 1, "MaximumNumberOfIterations": 15}
    stage = {key: value for key, value in stage.items() if not key.endswith("PyramidSchedule")}
    content = json.loads(preset.path.read_text(encoding="utf-8"))
    (folder / "quick.json").write_text(
        json.dumps({**content, "name": "quick", "engines": {"elastix": [stage]}}), encoding="utf-8"
    )
    rows = []
    image = _small(moving.image)
    for number, shift_mm in enumerate(np.random.default_rng(3).uniform(-4, 4, (count, 3))):
        image.SetOrigin((np.asarray(moving.grid.origin_lps) + shift_mm).tolist())
        sitk.WriteImage(image, str(folder / f"moving-{number}.nrrd"), True)
        rows.append({"name": f"case-{number}", "fixed": "fixed.nrrd", "moving": f"moving-{number}.nrrd", **columns})
    path = folder / "study.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _small(image: sitk.Image) -> sitk.Image:
    return sitk.BinShrink(image, [max(1, n // 24) for n in image.GetSize()])


def start_batch(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start the command; its output can be read from ``stdout``."""
    return subprocess.Popen(
        [sys.executable, "-m", "MultimodalRegistrationLib", "batch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def batch(*arguments: str | Path) -> tuple[int, str]:
    """Run the command to its end; its exit code and all that it printed."""
    with start_batch(*arguments) as process:
        printed = process.communicate()[0]
        return process.returncode, printed


def results_of(folder: Path) -> dict[str, bytes]:
    """The bytes of each transform and volume below a folder of results, by name."""
    names = ("transform.h5", "registered.nrrd")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in names
        for path in sorted((folder / "cases").glob(f"*/{name}"))
    }
