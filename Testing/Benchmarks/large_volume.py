"""Seconds and peak memory for a volume of 2160 x 2560 x 472 voxels of 16 bit, 5.2 GB, as from a micro-CT.

``python Testing/Benchmarks/large_volume.py [FOLDER]``; FOLDER needs 6 GB and is left as it was. The fixed volume is
registered to a coarser, rotated one of the same object. One file of voxels has two headers, of 0.0125 and of 0.02 mm.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, matrix_from_sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import centered_grid, rigid, rotation
from measure import Run, machine_line, run_measured

SIZE = [2160, 2560, 472]
MOVING_SIZE = [216, 256, 96]
LIMIT_GIB = 3
READ = """
import sys, time
from MultimodalRegistrationLib.io.downsample import read_downsampled
from MultimodalRegistrationLib.io.voxel_source import open_source
if sys.argv[2] == "header":
    open_source(sys.argv[1])
else:
    print(*read_downsampled(sys.argv[1], target_spacing_mm=float(sys.argv[2])).grid.size, sep=" x ")
"""


def main() -> None:
    """Print the table."""
    print(f"{machine_line()}; --memory-limit {LIMIT_GIB}\n")
    print("| voxels, mm | stage | reduced to | s | peak MiB | with shared pages |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        blobs = _blobs()
        _write_voxels(folder / "fixed.raw", blobs)
        for spacing_mm in (0.0125, 0.02):
            _measure(folder, blobs, spacing_mm)


def _measure(folder: Path, blobs: np.ndarray, spacing_mm: float) -> None:
    fixed, moving = folder / "fixed.nhdr", folder / "moving.nrrd"
    grid = centered_grid(SIZE, [spacing_mm] * 3, rotation([1, 0.3, -0.2], 25), [4, -11, 30])
    truth = _write_moving(moving, blobs, grid)
    _write_header(fixed, grid)
    for stage, words in (("header", "its header alone"), ("0.05", "read at 0.05 mm, checks included")):
        run = run_measured([sys.executable, "-c", READ, str(fixed), stage])
        _row(spacing_mm, words, run.output.strip(), run)
    command = [sys.executable, "-m", "MultimodalRegistrationLib", "register", "--quiet", "--fixed", str(fixed)]
    command += ["--moving", str(moving), "--memory-limit", str(LIMIT_GIB), "--json", str(folder / "r.json")]
    run = run_measured([*command, "--output-transform", str(folder / "T.h5")])
    _row(spacing_mm, "the whole of `register`", run.output.split(" with ")[1].split(" instead")[0], run)
    result = json.loads((folder / "r.json").read_text())
    for stage, seconds in result["seconds"].items():
        if seconds > 0.5:
            print(f"| {spacing_mm} | - {stage} | | {seconds:.1f} | | |")
    found = matrix_from_sitk(sitk.ReadTransform(str(folder / "T.h5")))
    error_mm = displacement_mm(found, truth, grid.sample_points_lps(8)).max()
    words = f"largest error on the stored grid: {error_mm:.3f} mm; {result['verdict']['word']}"
    print(f"| {spacing_mm} | {words} | | | | |", flush=True)


def _row(spacing_mm: float, stage: str, reduced: str, run: Run) -> None:
    assert run.code == 0, run.output
    memory = " | ".join(f"{peak * 1e6 / 2**20:.0f}" for peak in (run.peak_mb, run.peak_resident_mb))
    print(f"| {spacing_mm} | {stage} | {reduced} | {run.seconds:.1f} | {memory} |", flush=True)


def _blobs() -> np.ndarray:
    """Rounded organs in a body: centre and radii as shares of the volume, and brightness; shape (N, 7)."""
    draw = np.random.default_rng(11)
    body = [0.5, 0.5, 0.5, 0.42, 0.44, 0.46, 0.3]
    return np.vstack(
        [body, np.c_[draw.uniform(0.25, 0.75, (24, 3)), draw.uniform(0.03, 0.14, (24, 3)), draw.normal(0.3, 0.3, 24)]]
    )


def _pattern(blobs: np.ndarray, i: np.ndarray, j: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Smooth intensities, 0 to about 1, at shares of the volume."""
    total = np.zeros(np.broadcast(i, j, k).shape, dtype=np.float32)
    for x, y, z, a, b, c, value in blobs.astype(np.float32):
        # Most blobs miss most slices.
        if np.ndim(k) == 0 and abs(k - z) > 1.3 * c:
            continue
        distance = ((i - x) / a) ** 2 + ((j - y) / b) ** 2 + ((k - z) / c) ** 2
        total += value / (1 + np.exp(np.minimum(14 * (distance - 1), 30)))
    return total


def _write_voxels(path: Path, blobs: np.ndarray) -> None:
    i, j, k = ((np.arange(n, dtype=np.float32) + 0.5) / n for n in SIZE)
    noise = np.random.default_rng(5).normal(0, 900, SIZE[1::-1]).astype(np.float32)
    with path.open("wb") as file:
        for number in range(SIZE[2]):
            # A quarter of the points, repeated: the object is smooth at that scale.
            plane = _pattern(blobs, i[1::4], j[1::4, None], k[number]).repeat(4, 0).repeat(4, 1)
            voxels = 12000 + 30000 * plane + np.roll(noise, 977 * number)
            file.write(np.clip(voxels, 0, 65535).astype("<u2").tobytes())


def _write_header(path: Path, grid: VolumeGrid) -> None:
    axes = [f"({','.join(f'{value!r}' for value in column.tolist())})" for column in grid.ijk_to_lps[:3, :3].T]
    path.write_text(
        "NRRD0005\ntype: uint16\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {' '.join(map(str, grid.size))}\nspace directions: {' '.join(axes)}\nkinds: domain domain domain\n"
        f"endian: little\nencoding: raw\nspace origin: ({','.join(map(repr, grid.origin_lps))})\ndata file: fixed.raw\n"
    )


def _write_moving(path: Path, blobs: np.ndarray, fixed: VolumeGrid) -> np.ndarray:
    """The object elsewhere, on a coarser grid, with inverted contrast; returns the true ``fixed_to_moving_lps``."""
    truth = rigid([0.3, 1, -0.5], 17, [9, -6, 4])
    spacing = float(fixed.extent_mm[0]) / MOVING_SIZE[0]
    center = apply_matrix(truth, fixed.center_lps)
    axes = rotation([-0.2, 1, 0.5], 31) @ np.asarray(fixed.direction).reshape(3, 3)
    size = [MOVING_SIZE[0], MOVING_SIZE[1], MOVING_SIZE[2]]
    grid = centered_grid(size, [spacing] * 3, axes, center.tolist())
    index = np.stack(np.meshgrid(*map(np.arange, grid.size), indexing="ij"), axis=-1).transpose(2, 1, 0, 3)
    to_fixed = np.linalg.inv(fixed.ijk_to_lps) @ np.linalg.inv(truth) @ grid.ijk_to_lps
    share = ((apply_matrix(to_fixed, index) + 0.5) / SIZE).astype(np.float32)
    inside = np.all((share > 0) & (share < 1), axis=-1)
    values = 1000 - 700 * _pattern(blobs, share[..., 0], share[..., 1], share[..., 2])
    values = np.where(inside, values, 1000) + np.random.default_rng(6).normal(0, 20, values.shape)
    image = sitk.GetImageFromArray(values.astype(np.int16))
    grid.place(image)
    sitk.WriteImage(image, str(path))
    return truth


if __name__ == "__main__":
    main()
