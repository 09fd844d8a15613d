"""The transform of a resampled volume is found again: real CT and MR, large turns, cropped, linear interpolation."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import centered_grid, rigid, rotation, run_command
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, sitk_from_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.register.recover import recover

STRETCH = np.array([[1.05, 0.03, 0, 0], [0, 0.96, 0.02, 0], [0.01, 0, 1.02, 0], [0, 0, 0, 1]])


def about(center: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A linear transform about a centre; its translation comes after it."""
    middle = np.eye(4)
    middle[:3, 3] = center
    return middle @ matrix @ np.linalg.inv(middle)


def cropped(original: Volume, truth: np.ndarray, spacing_mm: float, fill: float = 0.0) -> Volume:
    """The original on an oblique grid that shows three quarters of each side of it, not quite in its middle."""
    center = apply_matrix(np.linalg.inv(truth), original.grid.center_lps) + np.array([8, -12, 5])
    size = [int(0.75 * edge / spacing_mm) for edge in original.grid.extent_mm]
    grid = centered_grid(size, [spacing_mm] * 3, rotation([1, -1, 0.5], 8), center)
    place = (grid.origin_lps, grid.spacing_mm, grid.direction)
    image = sitk.Resample(original.image, grid.size, sitk_from_matrix(truth), sitk.sitkLinear, *place, fill)
    return Volume(image, "resampled")


def errors_mm(found: np.ndarray, truth: np.ndarray, original: VolumeGrid, resampled: VolumeGrid) -> np.ndarray:
    points = resampled.sample_points_lps(24)
    return displacement_mm(found, truth, points[original.contains(apply_matrix(truth, points))])


@pytest.mark.story("U25")
@pytest.mark.parametrize(
    ("name", "turn", "stretch", "motion"),
    [
        ("sarcoma-048/ct.nrrd", ([1, 2, -1.5], 35), np.eye(4), "rigid"),
        ("stroke/t1.nrrd", ([-1, 0.6, 1.5], 28), np.eye(4), "rigid"),
        ("sarcoma-010/mr_t1.nrrd", ([0.3, -1, 0.5], 115), np.diag([1.06, 1.06, 1.06, 1]), "similarity"),
        ("sarcoma-010/mr_t1.nrrd", ([0.3, -1, 0.5], 65), STRETCH, "affine"),
    ],
)
def test_real_volumes(real_data, name, turn, stretch, motion):
    original = read_volume(real_data / name)
    truth = about(original.grid.center_lps, rigid(*turn, [60, -35, 20]) @ stretch)
    resampled = cropped(original, truth, 1.3)
    found = recover(original, resampled)
    assert errors_mm(found.transform.matrix, truth, original.grid, resampled.grid).max() < 0.2
    assert found.motion == motion
    assert found.explained
    assert found.rms_residual < 0.02 * found.spread


@pytest.mark.story("U25")
def test_the_command(head_ct, tmp_path):
    truth = about(head_ct.grid.center_lps, rigid([0.4, 1, -0.3], 70, [-30, 12, 44]))
    resampled = cropped(head_ct, truth, 2.5, fill=-1024.0)
    sitk.WriteImage(head_ct.image, str(tmp_path / "m.nrrd"))
    sitk.WriteImage(resampled.image, str(tmp_path / "r.nrrd"))
    done = run_command(
        *("transform", "recover", "--original", tmp_path / "m.nrrd", "--resampled", tmp_path / "r.nrrd"),
        *("--output-transform", tmp_path / "t.h5", "--json", tmp_path / "r.json"),
    )
    assert done.returncode == 0, done.stderr
    found = read_linear_transform(tmp_path / "t.h5")
    assert errors_mm(found, truth, head_ct.grid, resampled.grid).max() < 0.2
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["motion"] == "rigid"
    assert result["explained"] is True
    assert set(result["rms_residual_by_motion"]) == {"rigid", "similarity", "affine"}


def test_another_volume_is_told(head_ct, head_mr):
    found = recover(head_ct, head_mr)
    assert not found.explained


def test_nothing_but_fill(head_ct):
    empty = sitk.Image(30, 30, 30, sitk.sitkInt16) - 1000
    empty[14, 14, 14] = 5
    with pytest.raises(InputError, match="one value"):
        recover(head_ct, Volume(empty, "empty"))
