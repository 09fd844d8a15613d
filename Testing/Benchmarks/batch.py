"""A study of 20 cases: one worker, two workers, and a `register` call for each, in one run.

``python Testing/Benchmarks/batch.py``: needs two idle cores. Every case is a real T1 and T2 of one head, reduced to
128 x 128 x 60 voxels, the T2 moved by another random rigid transform of up to some 25 degrees and 35 mm.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measure import machine_line
from MultimodalRegistrationLib.core.errors import ExitCode

_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
_CASES = 20
_SIZE = (128, 128, 60)


def main() -> None:
    """Print the seconds of each way, and the ratios that count."""
    print(machine_line(), "\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = _study(folder)
        one = _seconds("batch", study, "--output-dir", folder / "one", "--workers", "1")
        two = _seconds("batch", study, "--output-dir", folder / "two", "--workers", "2")
        alone = sum(
            _seconds(
                *("register", "--fixed", folder / "t1.nrrd", "--moving", folder / f"t2-{number}.nrrd", "--quiet"),
                *("--output-transform", folder / f"{number}.h5", "--output-volume", folder / f"{number}.nrrd"),
                *("--json", folder / f"{number}.json"),
            )
            for number in range(_CASES)
        )
        same = all(
            (folder / "one" / "cases" / f"case-{number}" / file).read_bytes()
            == (folder / "two" / "cases" / f"case-{number}" / file).read_bytes()
            for number in range(_CASES)
            for file in ("transform.h5", "registered.nrrd")
        )
    print("| way | seconds | a case |\n|---|---|---|")
    for words, seconds in (("batch, 1 worker", one), ("batch, 2 workers", two), ("20 `register` calls", alone)):
        print(f"| {words} | {seconds:.1f} | {seconds / _CASES:.1f} |")
    print(f"\nRate of two workers over one: {one / two:.2f} (at least 1.7).")
    print(f"Time of two workers over that of separate calls: {two / alone:.0%} (at most 60%).")
    print(f"Transforms and volumes of one and two workers are the same bytes: {'yes' if same else 'NO'}.")


def _study(folder: Path) -> Path:
    fixed, moving = (_reduced(_DATA / "stroke" / f"{name}.nrrd") for name in ("t1", "t2"))
    sitk.WriteImage(fixed, str(folder / "t1.nrrd"), True)
    rng = np.random.default_rng(0)
    rows = ["name,fixed,moving,report"]
    for number in range(_CASES):
        angles, shift_mm = rng.uniform(-0.3, 0.3, 3), rng.uniform(-20, 20, 3)
        center = moving.TransformContinuousIndexToPhysicalPoint([n / 2 for n in _SIZE])
        pose = sitk.Euler3DTransform(center, *angles.tolist(), shift_mm.tolist())
        moved = sitk.Image(moving)
        turned = np.reshape(pose.GetMatrix(), (3, 3)) @ np.reshape(moving.GetDirection(), (3, 3))
        moved.SetDirection(turned.ravel().tolist())
        moved.SetOrigin(pose.TransformPoint(moving.GetOrigin()))
        sitk.WriteImage(moved, str(folder / f"t2-{number}.nrrd"), True)
        rows.append(f"case-{number},t1.nrrd,t2-{number}.nrrd,no")
    path = folder / "study.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _reduced(path: Path) -> sitk.Image:
    image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    spacing = [n * mm / m for n, mm, m in zip(image.GetSize(), image.GetSpacing(), _SIZE, strict=True)]
    smooth = sitk.SmoothingRecursiveGaussian(image, [0.4 * mm for mm in spacing])
    reduced = sitk.Resample(
        smooth,
        _SIZE,
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkLinear,
        image.GetOrigin(),
        spacing,
        image.GetDirection(),
        0.0,
    )
    return sitk.Cast(reduced, sitk.sitkInt16)


def _seconds(*arguments: object) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "MultimodalRegistrationLib", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (ExitCode.DONE, ExitCode.FAILED, ExitCode.NOT_VERIFIED):
        sys.exit(done.stderr)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
