"""``prealign`` with surfaces, as scripts use it."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import rigid
from MultimodalRegistrationLib.cli import prealign_shapes
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.points import Landmark, LandmarkList
from MultimodalRegistrationLib.io.landmarks import write_landmarks
from MultimodalRegistrationLib.io.surfaces import read_surface
from MultimodalRegistrationLib.io.transforms import read_linear_transform

POSE_LPS = rigid([0.3, 1, -0.5], 130, [40, -220, 75])


def write(path, points_lps):
    write_landmarks(path, LandmarkList.of_points(path.name, np.asarray(points_lps)))
    return str(path)


@pytest.fixture
def label_files(head_ct, tmp_path):
    """The skull as a label map, and the same with its header moved by POSE_LPS."""
    skull = sitk.Cast(head_ct.image > 600, sitk.sitkUInt8)
    sitk.WriteImage(skull, str(tmp_path / "fixed.nrrd"))
    moved = sitk.Image(skull)
    head_ct.grid.moved(POSE_LPS).place(moved)
    sitk.WriteImage(moved, str(tmp_path / "moving.nrrd"))
    return ["--fixed-surface", str(tmp_path / "fixed.nrrd"), "--moving-surface", str(tmp_path / "moving.nrrd")]


@pytest.mark.story("U14")
def test_the_same_bone_segmented_in_both(label_files, head_ct, tmp_path, capsys):
    output = ["--output-transform", str(tmp_path / "T.h5"), "--json", str(tmp_path / "R.json")]
    assert main(["prealign", *label_files, *output]) == 0, capsys.readouterr().err
    points = head_ct.grid.sample_points_lps(4)
    assert displacement_mm(read_linear_transform(tmp_path / "T.h5"), POSE_LPS, points).mean() < 0.5
    content = json.loads((tmp_path / "R.json").read_text())
    assert content["distances"]["moving_to_fixed"]["mean_mm"] < 0.3
    assert content["transform"]["scales"] == pytest.approx([1, 1, 1])
    assert content["transform"]["mirrors"] is False
    assert content["notes"] == []
    text = capsys.readouterr().out
    assert "95 %" in text
    assert "Scale" not in text


@pytest.mark.story("U14")
def test_landmarks_against_a_surface(label_files, head_ct, tmp_path, capsys):
    skull = read_surface(tmp_path / "moving.nrrd")
    points = apply_matrix(np.linalg.inv(POSE_LPS), skull.samples(41, seed=2).points_lps).tolist()
    landmarks = [Landmark(f"P{i}", tuple(point), selected=i != 7) for i, point in enumerate(points)]
    pins = tmp_path / "P.mrk.json"
    write_landmarks(pins, LandmarkList("P", (Landmark("later", None), *landmarks)))
    start = sitk.Euler3DTransform()
    matrix = rigid([1, 1, 0], 8, [6, -5, 4]) @ POSE_LPS
    start.SetMatrix(matrix[:3, :3].ravel().tolist())
    start.SetTranslation(matrix[:3, 3].tolist())
    sitk.WriteTransform(start, str(tmp_path / "T0.tfm"))
    shapes = ["--fixed-landmarks", str(pins), *label_files[2:], "--overlap", "1"]
    files = ["--initial-transform", str(tmp_path / "T0.tfm"), "--output-transform", str(tmp_path / "T.h5")]
    json_file = ["--json", str(tmp_path / "R.json"), "--model", "similarity"]
    code = main(["prealign", *shapes, *files, *json_file])
    assert code == 0, capsys.readouterr().err
    content = json.loads((tmp_path / "R.json").read_text())
    assert content["notes"] == [
        f"{pins}: 'later' is not placed and was left out.",
        f"{pins}: 'P7' is not selected and was left out.",
    ]
    lines = capsys.readouterr().out.splitlines()
    assert set(content["notes"]) < set(lines)
    assert f"Scale from moving to fixed: {content['transform']['scales'][0]:.4f}." in lines
    grid_points = head_ct.grid.sample_points_lps(4)
    assert displacement_mm(read_linear_transform(tmp_path / "T.h5"), POSE_LPS, grid_points).mean() < 2.0


def test_options_of_landmarks_are_refused_with_surfaces(label_files, tmp_path, capsys):
    for options, named in (
        (["--model", "tps"], "tps"),
        (["--stiffness", "3"], "--stiffness"),
        (["--overlap", "2"], "2"),
        (["--overlap", "much"], "much"),
        (["--fixed-landmarks", "a.csv"], "fixed side"),
    ):
        assert main(["prealign", *label_files, *options, "--output-transform", str(tmp_path / "T.h5")]) == 2
        assert named in capsys.readouterr().err
    assert main(["prealign", *label_files[:2]]) == 2
    assert "moving side" in capsys.readouterr().err
    assert main(["prealign"]) == 2
    assert not (tmp_path / "T.h5").exists()


def test_points_that_cannot_be_used_are_told_by_file(label_files, tmp_path, capsys):
    before = sorted(os.listdir(tmp_path))
    output = ["--output-transform", str(tmp_path / "T.h5"), "--json", str(tmp_path / "R.json")]
    lists = {
        "same.csv": (np.tile([32.53, 3.34, 75.88], (8, 1)), "in one place"),
        "line.csv": (np.outer(np.arange(12), [10, 20, 30]), "on one line"),
        "few.csv": (np.random.default_rng(1).normal(size=(4, 3)), "4 points"),
    }
    for name, (points, found) in lists.items():
        pins = write(tmp_path / name, points)
        for model in ("rigid", "similarity"):
            shapes = [*label_files[:2], "--moving-landmarks", pins, "--model", model]
            assert main(["prealign", *shapes, *output]) == 2
            message = capsys.readouterr().err
            assert pins in message
            assert found in message
    assert sorted(os.listdir(tmp_path)) == sorted([*before, *lists])


def test_options_of_surfaces_are_refused_with_landmarks(label_files, tmp_path, capsys):
    pins = write(tmp_path / "P.csv", np.random.default_rng(1).normal(size=(12, 3)))
    for role, surface in (("fixed", label_files[2:]), ("moving", label_files[:2])):
        assert main(["prealign", f"--{role}-landmarks", pins, *surface, f"--{role}-label", "3"]) == 2
        assert f"--{role}-label: 3 was given, but the {role} side is landmarks" in capsys.readouterr().err
    for option, value in (("--fixed-label", "1"), ("--overlap", "0.5"), ("--initial-transform", "T0.tfm")):
        assert main(["prealign", "--fixed-landmarks", pins, "--moving-landmarks", pins, option, value]) == 2
        assert f"{option}: given without a surface" in capsys.readouterr().err


def test_a_transform_that_cannot_be_written_is_told(tmp_path, capsys, monkeypatch):
    """What SimpleITK raises when the disk is full."""
    grid = np.stack(np.meshgrid(*3 * [np.arange(24.0)], indexing="ij"), axis=-1) - 12
    inside = np.linalg.norm(grid / [9, 6, 4], axis=-1) < 1
    sitk.WriteImage(sitk.GetImageFromArray(inside.astype(np.uint8)), str(tmp_path / "egg.nrrd"))
    before = sorted(os.listdir(tmp_path))

    def full(*_):
        raise RuntimeError("Exception thrown in WriteTransform:\nitk::ERROR: No space left on device\n")

    monkeypatch.setattr(prealign_shapes, "write_linear_transform", full)
    egg = str(tmp_path / "egg.nrrd")
    output = ["--output-transform", str(tmp_path / "T.h5"), "--json", str(tmp_path / "R.json")]
    assert main(["prealign", "--fixed-surface", egg, "--moving-surface", egg, *output]) == 2
    message = capsys.readouterr().err
    assert f"{tmp_path / 'T.h5'}: the file cannot be written" in message
    assert "No space left on device" in message
    assert sorted(os.listdir(tmp_path)) == before
