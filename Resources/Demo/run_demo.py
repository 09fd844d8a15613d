"""The demo: make a CT and an MRI of a head phantom, register them with the command, measure the error, draw it.

Run by ``make demo``. Needs no data and no network. Writes into demo-output/.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.cli.main import main as command
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.linear import displacement_mm
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.pictures.overlay import overlay_planes
from MultimodalRegistrationLib.registration.start import center_start
from PIL import Image, ImageDraw, ImageFont

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


def draw(rows: dict[str, list[np.ndarray]], path: Path) -> None:
    """Write one picture: a row of three planes for each title."""
    margin, heading = 12, 34
    height, width = next(iter(rows.values()))[0].shape[:2]
    canvas = Image.new("RGB", (3 * width + 4 * margin, len(rows) * (height + heading) + margin), (24, 26, 30))
    pen, font, small = ImageDraw.Draw(canvas), ImageFont.load_default(18), ImageFont.load_default(14)
    names = (("axial", "R", "L"), ("coronal", "R", "L"), ("sagittal", "A", "P"))
    for row, (title, planes) in enumerate(rows.items()):
        top = row * (height + heading)
        pen.text((margin, top + 8), title, fill=(235, 235, 235), font=font)
        for column, plane in enumerate(planes):
            left = margin + column * (width + margin)
            canvas.paste(Image.fromarray(plane), (left, top + heading))
            name, first, last = names[column]
            bottom = top + heading + height - 20
            pen.text((left + 6, bottom), f"{first}   {name}", fill=(160, 200, 255), font=small)
            pen.text((left + width - 16, bottom), last, fill=(160, 200, 255), font=small)
    canvas.save(path)


def main() -> int:
    """Run the demo; returns an exit code."""
    OUTPUT.mkdir(exist_ok=True)
    ct_pose, mr_pose = pose((0.04, -0.03, 0.06), (4, -6, 8)), pose((-0.26, 0.17, 0.31), (-18, 14, 22))
    tilted = np.reshape(sitk.Euler3DTransform((0, 0, 0), 0.2, 0.0, 0.1).GetMatrix(), (3, 3))
    ct = make_head("CT", grid((160, 180, 90), (1.25, 1.25, 2.5), np.eye(3)), ct_pose, seed=1)
    mr = make_head("T1", grid((150, 150, 120), (1.4, 1.4, 1.8), tilted), mr_pose, seed=2)
    files = {name: OUTPUT / name for name in ("ct.nrrd", "mr.nrrd", "T.h5", "registered.nrrd", "result.json")}
    for volume, name in ((ct, "ct.nrrd"), (mr, "mr.nrrd")):
        sitk.WriteImage(sitk.Cast(volume.image, sitk.sitkInt16), str(files[name]), True)

    arguments = ["register", "--fixed", files["ct.nrrd"], "--moving", files["mr.nrrd"]]
    arguments += ["--output-transform", files["T.h5"], "--output-volume", files["registered.nrrd"]]
    arguments += ["--json", files["result.json"]]
    print("multimodal-registration", *(str(a) for a in arguments), flush=True)
    code = command([str(argument) for argument in arguments])
    if code != 0:
        return code

    truth = mr_pose @ np.linalg.inv(ct_pose)
    targets = target_points_lps(ct_pose)
    fixed, moving = read_volume(files["ct.nrrd"]), read_volume(files["mr.nrrd"])
    start, found = center_start(fixed.grid, moving.grid), read_linear_transform(files["T.h5"])
    before, after = (displacement_mm(matrix, truth, targets) for matrix in (start, found))
    center = ct_pose[:3, 3]
    draw(
        {
            f"Before: centres aligned, TRE {before.mean():.1f} mm (CT grey, edges of the MRI orange)": overlay_planes(
                fixed, moving, start, center_lps=center
            ),
            f"After: TRE {after.mean():.2f} mm": overlay_planes(fixed, moving, found, center_lps=center),
        },
        OUTPUT / "before-and-after.png",
    )
    print(
        f"\nTarget registration error over {len(targets)} points: mean {after.mean():.2f} mm, max {after.max():.2f} mm"
    )
    print(f"(before: mean {before.mean():.1f} mm, max {before.max():.1f} mm)")
    for name in ("T.h5", "registered.nrrd", "result.json", "before-and-after.png"):
        print(f"Written: {(OUTPUT / name).relative_to(OUTPUT.parent)}")
    return 0 if after.mean() <= LARGEST_MEAN_TRE_MM else 1


if __name__ == "__main__":
    sys.exit(main())
