"""Time and memory of the command ``qa`` with its report, on a 256 x 256 x 150 pair.

``python Testing/Benchmarks/quality.py``: seconds of the whole command and peak memory, with what the user may give.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, sitk_from_matrix
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.io.landmarks import write_landmarks

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import CT_POSE, MR_POSE, centered_grid, rotation
from measure import machine_line, run_measured

SIZE = [256, 256, 150]
TRUTH = MR_POSE @ np.linalg.inv(CT_POSE)


def main() -> None:
    """Print one line for each set of inputs."""
    print(machine_line(), "\n")
    print("| given | command s | peak MB | report MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grids = _write(folder)
        volumes = ["--fixed", folder / "fixed.nrrd", "--moving", folder / "moving.nrrd"]
        targets = ["--targets-fixed", folder / "a.csv", "--targets-moving", folder / "b.csv"]
        structures = ["--fixed-segmentation", folder / "s1.nrrd", "--moving-segmentation", folder / "s2.nrrd"]
        linear, field = ["--transform", folder / "linear.h5"], ["--transform", folder / "field.h5"]
        for words, options in (
            ("one linear transform, 20 targets", [*linear, *targets]),
            ("a displacement field, 20 targets", [*field, *targets]),
            ("both, 20 targets", [*linear, *field, *targets]),
            ("both, 20 targets, 5 structures", [*linear, *field, *targets, *structures]),
        ):
            out = folder / words.replace(" ", "-")
            command = [sys.executable, "-m", "MultimodalRegistrationLib", "qa", *volumes, *options, "--output-dir", out]
            run = run_measured(list(map(str, command)))
            size = (out / "report.html").stat().st_size / 1e6 if run.code == 0 else float("nan")
            print(f"| {words} | {run.seconds:.1f} | {run.peak_mb:.0f} | {size:.1f} |", flush=True)
            if run.code != 0:
                print(run.output)
    print(f"\nGrids: {', '.join('x'.join(map(str, grid.size)) for grid in grids)}.")


def _write(folder: Path) -> list[VolumeGrid]:
    grids = []
    centers = [target_points_lps(CT_POSE)[i] for i in (0, 5, 9, 14, 18)]
    for name, modality, pose, axis, labels in (
        ("fixed", "CT", CT_POSE, [1, 0, 0], "s1"),
        ("moving", "T1", MR_POSE, [0, 1, 1], "s2"),
    ):
        center = apply_matrix(pose, np.zeros((1, 3)))[0]
        grid: VolumeGrid = centered_grid(SIZE, [0.9, 0.9, 1.4], rotation(axis, 8), center.tolist())
        sitk.WriteImage(make_head(modality, grid, pose).image, str(folder / f"{name}.nrrd"))
        grids.append(grid)
        there = centers if name == "fixed" else apply_matrix(TRUTH, centers)
        sitk.WriteImage(_balls(grid, np.asarray(there)), str(folder / f"{labels}.nrrd"), True)
    fixed = target_points_lps(CT_POSE)[:20]
    moving = apply_matrix(TRUTH, fixed) + np.random.default_rng(1).normal(0, 0.5, fixed.shape)
    for name, points in (("a.csv", fixed), ("b.csv", moving)):
        write_landmarks(folder / name, LandmarkList.of_points(name, points))
    sitk.WriteTransform(sitk_from_matrix(TRUTH), str(folder / "linear.h5"))
    sitk.WriteTransform(_field(grids[0]), str(folder / "field.h5"))
    return grids


def _balls(grid: VolumeGrid, centers_lps: np.ndarray) -> sitk.Image:
    labels = np.zeros(grid.size[::-1], dtype=np.uint8)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.size], indexing="ij"), axis=-1)
    points = apply_matrix(grid.ijk_to_lps, index).transpose(2, 1, 0, 3)
    for number, center in enumerate(centers_lps, start=1):
        labels[np.linalg.norm(points - center, axis=-1) < 10 + 3 * number] = number
    image = sitk.GetImageFromArray(labels)
    grid.place(image)
    return image


def _field(grid: VolumeGrid) -> sitk.Transform:
    """The truth and 2 mm of waves on nodes 4 mm apart, as a deformable registration gives."""
    low, high = grid.corners_lps.min(axis=0) - 8, grid.corners_lps.max(axis=0) + 8
    size = np.ceil((high - low) / 4).astype(int)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij"), axis=-1)
    points = low + 4.0 * index
    moved = apply_matrix(TRUTH, points + 2 * np.sin(points / 30.0)) - points
    image = sitk.GetImageFromArray(moved.transpose(2, 1, 0, 3), isVector=True)
    image.SetSpacing((4.0, 4.0, 4.0))
    image.SetOrigin(low.tolist())
    return sitk.DisplacementFieldTransform(image)


if __name__ == "__main__":
    main()
