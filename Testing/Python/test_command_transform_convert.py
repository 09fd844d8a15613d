"""The command ``transform convert`` as scripts use it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, MR_GRID, rigid, run_command
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.linear import displacement_mm, sitk_from_matrix
from MultimodalRegistrationLib.io.transforms import read_linear_transform, read_transform

FIXED_TO_MOVING_LPS = rigid([0.3, -0.8, 0.5], 37, [12, -45, 78]) @ np.diag([1.1, 0.9, 1.05, 1])


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("convert")
    for name, grid in (("ct.nii.gz", CT_GRID), ("mr.nrrd", MR_GRID)):
        image = sitk.Image(grid.size, sitk.sitkInt16)
        grid.place(image)
        sitk.WriteImage(image, str(folder / name))
    sitk.WriteTransform(sitk_from_matrix(FIXED_TO_MOVING_LPS), str(folder / "T.h5"))
    return folder


def convert(files, *arguments):
    return main(
        ["transform", "convert", *map(str, arguments), "--fixed", f"{files}/ct.nii.gz", "--moving", f"{files}/mr.nrrd"]
    )


@pytest.mark.story("U28")
def test_through_every_tool_and_back(files, tmp_path, capsys):
    convention = ("--frame", "ras", "--direction", "moving-to-fixed")
    steps = [
        ("flirt", "a.mat"),
        ("lta", "b.lta"),
        ("tkregister", "c.dat"),
        ("spm", "d.mat"),
        ("matrix", "e.txt"),
        ("elastix", "f.txt"),
        ("ants", "g.mat"),
        ("itk", "h.tfm"),
    ]
    source, name = files / "T.h5", "itk"
    for target, file in steps:
        assert convert(files, source, "--from", name, "--to", target, tmp_path / file, *convention) == 0
        source, name = tmp_path / file, target
    found = read_linear_transform(tmp_path / "h.tfm")
    assert displacement_mm(found, FIXED_TO_MOVING_LPS, CT_GRID.corners_lps).max() < 1e-6
    assert f"Written as itk: {tmp_path / 'h.tfm'}" in capsys.readouterr().out


def test_another_convention_on_the_way_out(files, tmp_path):
    np.savetxt(tmp_path / "in.txt", FIXED_TO_MOVING_LPS)
    arguments = ("--from", "matrix", "--frame", "lps", "--direction", "fixed-to-moving", "--to", "matrix")
    out = ("--output-frame", "ras", "--output-direction", "moving-to-fixed")
    assert convert(files, tmp_path / "in.txt", tmp_path / "out.txt", *arguments, *out) == 0
    flip = np.diag([-1, -1, 1, 1])
    np.testing.assert_allclose(
        np.loadtxt(tmp_path / "out.txt"), flip @ np.linalg.inv(FIXED_TO_MOVING_LPS) @ flip, atol=1e-9
    )


def test_a_list_of_ants_and_errors_that_are_told(files, tmp_path, capsys):
    spline = sitk.BSplineTransform(3, 3)
    spline.SetFixedParameters([9, 9, 9, -260, -270, -240, 70, 70, 70, *np.eye(3).ravel().tolist()])
    spline.SetParameters(np.random.default_rng(1).normal(0, 3, spline.GetNumberOfParameters()).tolist())
    sitk.WriteTransform(spline, str(tmp_path / "S.h5"))
    listed = f"{tmp_path / 'S.h5'} [{files / 'T.h5'},1]"
    assert convert(files, listed, "--to", "ants", tmp_path / "1Warp.nii.gz") == 0
    captured = capsys.readouterr()
    assert "1Warp.nii.gz is within 0.0" in captured.err
    assert convert(files, listed, "--to", "elastix", tmp_path / "E.txt") == 0
    assert capsys.readouterr().err == ""
    points = CT_GRID.sample_points_lps(5)
    exact = read_transform(listed).to_moving(points)
    np.testing.assert_allclose(read_transform(tmp_path / "E.txt").to_moving(points), exact, atol=1e-6)
    warped = read_transform(tmp_path / "1Warp.nii.gz").to_moving(points)
    assert np.linalg.norm(warped - exact, axis=1).max() < 0.1
    # Of the chain of elastix, no file is an output.
    assert (tmp_path / "E.initial0.txt").exists()
    assert convert(files, tmp_path / "E.txt", "--to", "itk", tmp_path / "E.initial0.txt") == 2
    assert "E.initial0.txt: this is also an input" in capsys.readouterr().err


def test_refused_with_nothing_written(files, tmp_path, capsys):
    (tmp_path / "m.mat").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    for arguments, words in {
        (tmp_path / "m.mat", "--to", "itk"): "a matrix of numbers, which may be FLIRT's",
        (tmp_path / "absent.lta", "--to", "itk"): "no such file",
        (tmp_path / "m.mat", "--from", "matrix", "--to", "itk"): "--frame lps or ras",
        (files / "T.h5", "--to", "dicom"): r"cannot be written",
        (files / "T.h5", "--from", "lta", "--to", "itk"): "this is no text file",
        (files / "T.h5", "--from", "elastix", "--to", "itk"): "this is no text file",
    }.items():
        assert convert(files, *arguments, tmp_path / "out.h5") == 2
        assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.mat"]


def test_as_a_process(files, tmp_path):
    done = run_command(
        "transform", "convert", files / "T.h5", tmp_path / "T.lta", "--to", "lta", "--fixed", files / "mr.nrrd"
    )
    assert done.returncode == 2
    assert (
        "the moving volume was not given. Give `transform convert` the volume with --fixed and --moving." in done.stderr
    )
