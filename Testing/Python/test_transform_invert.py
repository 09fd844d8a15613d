"""Inverses: analytic where linear, else a grid whose round trip is measured; also of a real SyN result."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_POSE, centered_grid, rigid, rotation, run_command
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.transforms import read_transform
from MultimodalRegistrationLib.transforms.operations import invert
from transform_cases import AFFINE, GRIDS, POSE, blank, field, points_in, posed, spline


def round_trip_mm(transform: SpatialTransform, inverse: SpatialTransform, points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(inverse.to_moving(transform.to_moving(points)) - points, axis=1)


@pytest.mark.parametrize("several", [False, True])
def test_linear_stays_linear(several):
    transform = SpatialTransform.of_matrix("t", AFFINE)
    if several:
        transform = SpatialTransform("t", sitk.CompositeTransform([sitk_from_matrix(AFFINE), sitk_from_matrix(POSE)]))
    found = invert(transform, over=GRIDS["oblique"])
    points = points_in(GRIDS["oblique"], 1000, 1)
    assert found.transform.matrix is not None
    assert round_trip_mm(transform, found.transform, points).max() < 1e-9
    assert found.return_error.max_mm < 1e-9
    assert found.lost_share == 0


@pytest.mark.parametrize(("name", "turned"), [("oblique", True), ("anisotropic", True), ("flipped", False)])
def test_fields_of_20_mm(name, turned):
    grid = GRIDS[name]
    transform = posed(field(grid, 20.0), AFFINE) if turned else field(grid, 20.0)
    found = invert(transform, over=grid)
    errors = round_trip_mm(transform, found.transform, points_in(grid, 20_000, 2))
    assert errors.mean() < 0.1
    assert errors.max() < 0.5
    assert found.lost_share == 0
    # What is told is what is there.
    assert found.return_error.mean_mm == pytest.approx(errors.mean(), abs=0.02)
    # The other way round, away from the border.
    inner = points_in(grid, 2000, 3, margin=0.25)
    there = found.transform.to_moving(transform.to_moving(inner))
    assert np.linalg.norm(transform.to_moving(there) - transform.to_moving(inner), axis=1).max() < 0.5


def test_splines_and_fields_in_a_row():
    grid = GRIDS["flipped"]
    stages = [spline(grid, 4.0), posed(field(grid, 8.0))]
    transform = SpatialTransform("two", sitk.CompositeTransform([stages[1].transform, stages[0].transform]))
    region = np.zeros(grid.size[::-1], dtype=np.uint8)
    region[6:-6, 8:-8, 8:-8] = 1
    mask = sitk.GetImageFromArray(region)
    grid.place(mask)
    found = invert(transform, over=Volume(mask, "mask"), tolerance_mm=0.05)
    assert found.within_tolerance
    inside = grid.points_at(np.flatnonzero(region))
    errors = round_trip_mm(transform, found.transform, inside)
    assert np.percentile(errors, 95) < 0.05
    assert errors.max() < 0.25
    assert np.abs(transform.to_fixed(transform.to_moving(inside[:500])) - inside[:500]).max() < 1e-4


def test_a_fold_is_told(tmp_path):
    grid = GRIDS["oblique"]
    axis = np.asarray(grid.direction).reshape(3, 3)[:, 0]
    wave = 2 * np.pi * 2 / 100
    phase = wave * (grid.points_lps - grid.origin_lps) @ axis
    u = -1.6 / wave * np.sin(phase)[:, None] * axis
    image = sitk.GetImageFromArray(u.reshape(*grid.size[::-1], 3), isVector=True)
    grid.place(image)
    fold = SpatialTransform("fold", sitk.DisplacementFieldTransform(image))
    sitk.WriteTransform(fold.transform, str(tmp_path / "fold.h5"))
    sitk.WriteImage(blank(grid) + 1, str(tmp_path / "mask.nrrd"))
    done = run_command(
        *("transform", "invert", tmp_path / "fold.h5", "--over", tmp_path / "mask.nrrd", "--tolerance", 10, "--quiet"),
        *("--output-transform", tmp_path / "i.h5"),
    )
    assert done.returncode == 0
    assert "the transform folds there" in done.stderr
    found = invert(fold, over=grid, tolerance_mm=10.0)
    # Around the fold in the middle, 30 % of the points share their places with two others each.
    assert 0.15 < found.lost_share < 0.6
    assert not found.within_tolerance


def test_what_cannot_be_done():
    grid = GRIDS["oblique"]
    with pytest.raises(InputError, match="--over"):
        invert(field(grid, 3.0))
    with pytest.raises(InputError, match="above zero"):
        invert(field(grid, 3.0), over=grid, tolerance_mm=0)
    with pytest.raises(InputError, match="the region is empty"):
        invert(field(grid, 3.0), over=Volume(blank(grid), "nothing"))


@pytest.mark.story("U26")
def test_the_command(tmp_path):
    grid = GRIDS["anisotropic"]
    transform = posed(field(grid, 6.0))
    sitk.WriteTransform(transform.transform, str(tmp_path / "t.h5"))
    sitk.WriteImage(blank(grid) + 1, str(tmp_path / "mask.nrrd"))
    options = ("--over", tmp_path / "mask.nrrd", "--tolerance", 0.3, "--json", tmp_path / "r.json")
    points = points_in(grid, 500, 4)
    for name in ("i.h5", "i.nii.gz", "i.nrrd"):
        done = run_command("transform", "invert", tmp_path / "t.h5", "--output-transform", tmp_path / name, *options)
        assert done.returncode == 0, done.stderr
        errors = round_trip_mm(transform, read_transform(tmp_path / name), points)
        result = json.loads((tmp_path / "r.json").read_text())
        assert errors.max() < 0.5
        assert result["return_error"]["mean_mm"] == pytest.approx(errors.mean(), abs=0.02)
    refused = run_command("transform", "invert", tmp_path / "t.h5", "--output-transform", tmp_path / "i.mat", *options)
    assert refused.returncode == 2
    assert "cannot hold a grid" in refused.stderr
    assert not (tmp_path / "i.mat").exists()


SYN = """
import sys, shutil, ants
fixed, moving = (ants.image_read(f"{sys.argv[1]}/{name}.nii.gz") for name in ("fixed", "moving"))
found = ants.registration(fixed, moving, "SyN", reg_iterations=(20, 10, 0), random_seed=1)
shutil.copy(found["fwdtransforms"][0], f"{sys.argv[1]}/warp.nii.gz")
shutil.copy(found["fwdtransforms"][1], f"{sys.argv[1]}/affine.mat")
"""


@pytest.mark.story("U26")
@pytest.mark.slow
def test_a_syn_result(tmp_path):
    pytest.importorskip("ants")
    grid = centered_grid(
        [60, 66, 54], [3.1, 2.9, 3.6], rotation([1, 0.3, -0.2], 12) @ np.diag([1, 1, -1]), [12, -31, 40]
    )
    other = centered_grid([58, 52, 66], [3.1, 4.0, 3.0], rotation([-0.2, 1, 0.5], 15), [15, -25, 43])
    moving = make_head("T1", other, rigid([0.2, -0.1, 1], 15, [17, -24, 47]), seed=2)
    sitk.WriteImage(make_head("T1", grid, CT_POSE, seed=1).image, str(tmp_path / "fixed.nii.gz"))
    bent = sitk.Resample(moving.image, moving.image, field(other, 12.0).transform)
    sitk.WriteImage(bent, str(tmp_path / "moving.nii.gz"))
    subprocess.run([sys.executable, "-c", SYN, str(tmp_path)], check=True, capture_output=True)
    both = tmp_path / "both.h5"
    done = run_command(
        "transform", "compose", tmp_path / "warp.nii.gz", tmp_path / "affine.mat", "--output-transform", both
    )
    assert done.returncode == 0, done.stderr
    done = run_command(
        *("transform", "invert", both, "--over", tmp_path / "fixed.nii.gz", "--output-transform", tmp_path / "back.h5"),
        *("--json", tmp_path / "r.json"),
    )
    assert done.returncode == 0, done.stderr
    transform = read_transform(both)
    points = points_in(grid, 20_000, 5)
    assert np.linalg.norm(read_transform(tmp_path / "warp.nii.gz").to_moving(points) - points, axis=1).max() > 3
    errors = round_trip_mm(transform, read_transform(tmp_path / "back.h5"), points)
    assert errors.mean() < 0.1
    assert errors.max() < 0.5
    assert json.loads((tmp_path / "r.json").read_text())["lost_share"] < 0.001
