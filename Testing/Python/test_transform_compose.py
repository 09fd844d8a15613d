"""Several transforms as one, and distances between two, against known answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import rigid, run_command
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.tools.itk import write_linear_transform, write_transform
from MultimodalRegistrationLib.io.transforms import read_transform
from MultimodalRegistrationLib.transforms.operations import compare, compose, sample_on_grid
from transform_cases import AFFINE, GRIDS, POSE, blank, field, points_in, posed, spline


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_linear_stages_become_one_matrix(seed):
    random = np.random.default_rng(seed)
    matrices = [
        rigid(list(random.normal(size=3)), 170 * random.random(), list(90 * random.normal(size=3))) for _ in "abc"
    ]
    matrices[1] = matrices[1] @ AFFINE
    whole = compose([SpatialTransform.of_matrix(str(n), matrix) for n, matrix in enumerate(matrices)])
    assert whole.matrix is not None
    points = points_in(GRIDS["flipped"], 10_000, seed)
    one_by_one = points
    for matrix in matrices:
        one_by_one = apply_matrix(matrix, one_by_one)
    assert np.abs(whole.to_moving(points) - one_by_one).max() < 1e-6


def test_stages_are_applied_first_to_last_and_survive_the_file(tmp_path):
    grid = GRIDS["anisotropic"]
    stages = [field(grid, 7.0), SpatialTransform.of_matrix("turn", POSE), posed(spline(grid.moved(POSE), 5.0), AFFINE)]
    whole = compose(stages)
    assert [stage.transform.GetName() for stage in whole.stages] == [
        *("DisplacementFieldTransform", "AffineTransform", "BSplineTransform", "AffineTransform")
    ]
    points = points_in(grid, 10_000, 6)
    one_by_one = points
    for stage in stages:
        one_by_one = stage.to_moving(one_by_one)
    assert np.abs(whole.to_moving(points) - one_by_one).max() < 1e-6
    write_transform(tmp_path / "c.h5", whole)
    assert np.abs(read_transform(tmp_path / "c.h5").to_moving(points) - one_by_one).max() < 1e-4


@pytest.mark.story("U27")
def test_the_command_and_its_grid(tmp_path):
    grid = GRIDS["oblique"]
    stages = [field(grid, 5.0), SpatialTransform.of_matrix("turn", AFFINE)]
    for name, stage in zip(("warp.nii.gz", "affine.mat"), stages, strict=True):
        write_transform(tmp_path / name, stage)
    sitk.WriteImage(blank(grid), str(tmp_path / "f.nrrd"))
    points = points_in(grid, 10_000, 7)
    expected = stages[1].to_moving(stages[0].to_moving(points))
    paths = (tmp_path / "warp.nii.gz", tmp_path / "affine.mat")
    for name, options in {"c.h5": (), "c.nii.gz": ("--grid", tmp_path / "f.nrrd")}.items():
        json_file = tmp_path / f"{name}.json"
        done = run_command(
            "transform", "compose", *paths, "--output-transform", tmp_path / name, *options, "--json", json_file
        )
        assert done.returncode == 0, done.stderr
        assert np.abs(read_transform(tmp_path / name).to_moving(points) - expected).max() < 0.01
        error = json.loads(json_file.read_text())["grid_error"]
        assert (error is None) == (name == "c.h5")
        assert error is None or error["max_mm"] < 0.01
    refused = run_command("transform", "compose", *paths, "--output-transform", tmp_path / "c.txt")
    assert refused.returncode == 2
    assert "with its stages" in refused.stderr


def test_the_error_of_a_coarse_grid_is_told():
    fine = GRIDS["oblique"]
    coarse = type(fine)((6, 6, 5), (18.0, 17.0, 19.0), fine.origin_lps, fine.direction)
    transform = field(fine, 10.0)
    sampled = sample_on_grid(transform, coarse)
    points = points_in(coarse, 20_000, 8)
    apart = np.linalg.norm(sampled.transform.to_moving(points) - transform.to_moving(points), axis=1)
    assert sampled.error.max_mm == pytest.approx(apart.max(), rel=0.2)
    assert sampled.error.mean_mm == pytest.approx(apart.mean(), rel=0.05)


def test_no_transforms():
    with pytest.raises(InputError, match="no transforms"):
        compose([])


@pytest.mark.story("U11")
def test_differences_with_known_answers(tmp_path):
    grid = GRIDS["flipped"]
    moved = POSE @ rigid([0, 0, 1], 0, [0, 3, 4])
    same_turn = compare(SpatialTransform.of_matrix("a", POSE), SpatialTransform.of_matrix("b", moved), over=grid)
    for value in (same_turn.displacement.mean_mm, same_turn.displacement.max_mm, same_turn.linear.translation_mm):
        assert value == pytest.approx(5, abs=1e-9)
    assert same_turn.linear.rotation_deg == pytest.approx(0, abs=1e-5)
    # Ten degrees about the middle of the marked box: the distance is a chord around the axis.
    region = np.zeros(grid.size[::-1], dtype=np.uint8)
    region[5:21, 9:30, 11:40] = 1
    mask = sitk.GetImageFromArray(region)
    grid.place(mask)
    inside = grid.points_at(np.flatnonzero(region))
    axis = np.array([0.6, -0.48, 0.64])
    middle = np.eye(4)
    middle[:3, 3] = inside.mean(axis=0)
    turned = POSE @ middle @ rigid(list(axis), 10, [0, 0, 0]) @ np.linalg.inv(middle)
    found = compare(
        SpatialTransform.of_matrix("a", POSE), SpatialTransform.of_matrix("b", turned), over=Volume(mask, "mask")
    )
    offset = inside - inside.mean(axis=0)
    radius = np.linalg.norm(offset - np.outer(offset @ axis, axis), axis=1)
    chords = 2 * radius * np.sin(np.radians(5))
    assert found.linear.rotation_deg == pytest.approx(10, abs=1e-6)
    assert found.linear.translation_mm == pytest.approx(0, abs=1e-6)
    assert found.linear.volume_ratio == pytest.approx(1, abs=1e-9)
    assert found.displacement.mean_mm == pytest.approx(chords.mean(), rel=1e-6)
    assert found.displacement.max_mm == pytest.approx(chords.max(), rel=1e-6)
    # The same by the command; a field against its linear part is as far away as the field is large.
    write_linear_transform(tmp_path / "a.tfm", POSE)
    write_linear_transform(tmp_path / "b.tfm", turned)
    sitk.WriteImage(mask, str(tmp_path / "mask.nrrd"))
    done = run_command(
        *("transform", "compare", tmp_path / "a.tfm", tmp_path / "b.tfm", "--over", tmp_path / "mask.nrrd"),
        *("--json", tmp_path / "r.json"),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["displacement"]["p95_mm"] == pytest.approx(np.percentile(chords, 95), rel=1e-3)
    warp = field(grid, 9.0)
    against = compare(posed(warp), SpatialTransform.of_matrix("a", POSE), over=grid)
    sizes = np.linalg.norm(warp.to_moving(grid.points_lps) - grid.points_lps, axis=1)
    assert against.linear is None
    assert against.displacement.rms_mm == pytest.approx(np.sqrt(np.mean(sizes**2)), rel=1e-6)


@pytest.mark.parametrize("operation", ["apply", "compose", "invert", "compare"])
def test_a_transform_that_is_not_read_exactly_is_told_by_every_operation(tmp_path, capsys, monkeypatch, operation):
    """As elastix' thin-plate splines, for which SimpleITK has no transform."""
    image = sitk.GetImageFromArray(np.tile([1.0, 2.0, 3.0], (4, 5, 6, 1)), isVector=True)
    image.SetSpacing([10.0, 11.0, 12.0])
    sitk.WriteImage(sitk.VectorIndexSelectionCast(image, 0, sitk.sitkFloat32), str(tmp_path / "v.nrrd"))
    field = SpatialTransform("spline.txt", sitk.DisplacementFieldTransform(image), error_mm=0.25)
    monkeypatch.setattr("MultimodalRegistrationLib.cli.transform.common.read_transform", lambda path: field)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "points.csv").write_text("label,x_lps_mm,y_lps_mm,z_lps_mm\np,10,10,10\n")
    a, b, volume = (str(tmp_path / name) for name in ("a.txt", "b.txt", "v.nrrd"))
    out = ["--output-transform", str(tmp_path / "out.h5")]
    arguments = {
        "apply": [a, b, "--moving-to-fixed", str(tmp_path / "points.csv"), "--output-dir", str(tmp_path / "D")],
        "compose": [a, b, *out],
        "invert": [a, "--over", volume, *out],
        "compare": [a, b, "--over", volume],
    }[operation]
    assert main(["transform", operation, *arguments, "--json", str(tmp_path / "r.json")]) == 0
    assert "which is within 0.2500 mm of it" in capsys.readouterr().err
    content = json.loads((tmp_path / "r.json").read_text())
    if operation in ("apply", "compose"):
        assert content["transform" if operation == "apply" else "result"]["error_mm"] == 0.5
