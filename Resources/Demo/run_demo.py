"""The demo: make a CT and an MRI of a head phantom, register them with the command, measure the error, draw it.

Run by ``make demo``. Needs no data and no network. Writes into demo-output/.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.cli.main import main as command
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import displacement_mm
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.io.transforms import read_linear_transform

OUTPUT = Path(__file__).resolve().parents[2] / "demo-output"
LARGEST_MEAN_TRE_MM = 1.0


def pose(angles_rad: tuple[float, float, float], position_lps: tuple[float, float, float]) -> np.ndarray:
    """Rigid transform from the head's frame to the scanner's, shape (4, 4), LPS, mm."""
    rotation = sitk.Euler3DTransform((0, 0, 0), *angles_rad)
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(rotation.GetMatrix(), (3, 3))
    matrix[:3, 3] = position_lps
    return matrix


def grid(size: tuple[int, int, int], spacing_mm: tuple[float, float, float], axes: np.ndarray) -> VolumeGrid:
    """Grid around the scanner's centre with the given axes as columns."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.asarray(spacing_mm)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return VolumeGrid.of_matrix(size, matrix)


def main() -> int:
    """Run the demo; returns an exit code."""
    OUTPUT.mkdir(exist_ok=True)
    ct_pose, mr_pose = pose((0.04, -0.03, 0.06), (4, -6, 8)), pose((-0.26, 0.17, 0.31), (-18, 14, 22))
    tilted = np.reshape(sitk.Euler3DTransform((0, 0, 0), 0.2, 0.0, 0.1).GetMatrix(), (3, 3))
    ct = make_head("CT", grid((160, 180, 90), (1.25, 1.25, 2.5), np.eye(3)), ct_pose, seed=1)
    mr = make_head("T1", grid((150, 150, 120), (1.4, 1.4, 1.8), tilted), mr_pose, seed=2)
    files = {role: str(OUTPUT / f"{role}.nrrd") for role in ("ct", "mr", "registered")}
    for volume, role in ((ct, "ct"), (mr, "mr")):
        sitk.WriteImage(sitk.Cast(volume.image, sitk.sitkInt16), files[role], True)
    transform, result, picture = (str(OUTPUT / name) for name in ("T.h5", "result.json", "before-and-after.png"))

    pair = ["--fixed", files["ct"], "--moving", files["mr"]]
    outputs = ["--output-transform", transform, "--output-volume", files["registered"], "--json", result]
    right, anterior, superior = flip_points_lps_ras(ct_pose[:3, 3])
    where = f"--at={right:g},{anterior:g},{superior:g}"
    for arguments in (
        ["register", *pair, *outputs],
        ["picture", *pair, "--transform", transform, "--mode", "edges", where, "--output", picture],
    ):
        print("multimodal-registration", *arguments, flush=True)
        code = command(arguments)
        if code != 0:
            return code
        print()

    truth = mr_pose @ np.linalg.inv(ct_pose)
    targets = target_points_lps(ct_pose)
    before, after = (
        displacement_mm(matrix, truth, targets) for matrix in (np.eye(4), read_linear_transform(transform))
    )
    print(f"Target registration error over {len(targets)} points: mean {after.mean():.2f} mm, max {after.max():.2f} mm")
    print(f"(before: mean {before.mean():.1f} mm, max {before.max():.1f} mm)")
    return 0 if after.mean() <= LARGEST_MEAN_TRE_MM else 1


if __name__ == "__main__":
    sys.exit(main())
