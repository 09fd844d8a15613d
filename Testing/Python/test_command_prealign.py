"""``prealign`` as scripts use it, and landmarks as the start of ``register``."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_POSE, rigid
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.points import Landmark, LandmarkList
from MultimodalRegistrationLib.io.landmarks import write_landmarks
from MultimodalRegistrationLib.io.transforms import read_linear_transform

POSE_LPS = rigid([0.3, 1, -0.5], 130, [40, -220, 75])


def write(path, points_lps, labels=None):
    write_landmarks(path, LandmarkList.of_points(path.name, np.asarray(points_lps), labels))
    return str(path)


@pytest.fixture
def points():
    random = np.random.default_rng(4)
    moving = random.uniform(-70, 70, (9, 3)) + np.array([10, -40, 90])
    return moving, apply_matrix(POSE_LPS, moving) + 0.5 * random.normal(size=moving.shape)


@pytest.fixture
def files(points, tmp_path):
    moving, fixed = points
    return [
        "--fixed-landmarks",
        write(tmp_path / "F.mrk.json", fixed),
        "--moving-landmarks",
        write(tmp_path / "M.fcsv", moving),
    ]


def test_a_rigid_fit_with_targets(files, points, tmp_path, capsys):
    targets = np.random.default_rng(9).uniform(-90, 90, (5, 3))
    code = main(
        [
            "prealign",
            *files,
            "--output-transform",
            str(tmp_path / "T.h5"),
            "--json",
            str(tmp_path / "R.json"),
            "--targets-fixed",
            write(tmp_path / "TF.csv", apply_matrix(POSE_LPS, targets)),
            "--targets-moving",
            write(tmp_path / "TM.csv", targets),
        ]
    )
    assert code == 0
    moving, fixed = points
    fixed_to_moving = read_linear_transform(tmp_path / "T.h5")
    assert displacement_mm(fixed_to_moving, np.linalg.inv(POSE_LPS), fixed).mean() < 1.0
    content = json.loads((tmp_path / "R.json").read_text())
    errors = np.linalg.norm(apply_matrix(np.linalg.inv(fixed_to_moving), moving) - fixed, axis=1)
    np.testing.assert_allclose([pair["fiducial_error_mm"] for pair in content["pairs"]], errors, atol=1e-9)
    assert content["leave_one_out_error"]["rigid"]["rms_mm"] > content["fiducial_error"]["rms_mm"]
    assert content["targets"]["after"]["rms_mm"] < 1.0 < content["targets"]["before"]["rms_mm"]
    assert content["recommendation"]["model"] == "rigid"
    text = capsys.readouterr().out
    assert "leave-one-out" in text
    assert "Least certain" in text


def test_a_spline_becomes_a_grid_that_itk_reads(files, points, tmp_path, capsys):
    assert main(["prealign", *files, "--model", "tps", "--output-transform", str(tmp_path / "T.h5")]) == 0
    moving, fixed = points
    transform = sitk.ReadTransform(str(tmp_path / "T.h5"))
    mapped = np.array([transform.TransformPoint(point) for point in fixed.tolist()])
    np.testing.assert_allclose(mapped, moving, atol=0.2)
    assert "of the spline" in capsys.readouterr().out


def test_weights_and_automatic_pairing(points, tmp_path, capsys):
    moving, fixed = points
    order = np.random.default_rng(0).permutation(9)[:7]
    (tmp_path / "W.csv").write_text("label,sd_mm\n" + "\n".join(f"{i + 1},{0.5 + i}" for i in range(9)))
    code = main(
        [
            "prealign",
            "--fixed-landmarks",
            write(tmp_path / "F.mrk.json", fixed),
            "--pairing",
            "auto",
            "--moving-landmarks",
            write(tmp_path / "M.csv", moving[order], [f"p{i}" for i in range(7)]),
            "--weights",
            str(tmp_path / "W.csv"),
            "--json",
            str(tmp_path / "R.json"),
        ]
    )
    assert code == 0, capsys.readouterr().err
    pairs = json.loads((tmp_path / "R.json").read_text())["pairs"]
    found = {pair["name"] for pair in pairs}
    assert found == {f"'{order[i] + 1}'/'p{i}'" for i in range(7)}


def bad_calls(tmp_path, points):
    """Options, and what the message names."""
    moving, fixed = points
    good = write(tmp_path / "good.csv", fixed)
    line = fixed[:1] + np.linspace(0, 1, 5)[:, None] * (fixed[1] - fixed[0])
    unplaced = LandmarkList("u", (Landmark("a", None), *(Landmark("b", tuple(point)) for point in fixed[:2])))
    write_landmarks(tmp_path / "unplaced.mrk.json", unplaced)
    (tmp_path / "nowhere.csv").write_text("label,x,y,z\na,1,2,3\nb,4,5,6\nc,9,9,1\n")
    (tmp_path / "short.csv").write_text("label,weight\n1,2\n")
    (tmp_path / "nan.csv").write_text("label,l,p,s\na,1,2,3\nb,nan,5,6\nc,9,9,1\n")
    output = ["--output-transform", str(tmp_path / "T.h5")]
    pair = ["--fixed-landmarks", good, "--moving-landmarks"]
    return [
        ([*pair, str(tmp_path / "absent.csv")], "absent.csv"),
        ([*pair, write(tmp_path / "few.csv", moving[:5])], "few.csv"),
        ([*pair, str(tmp_path / "nowhere.csv")], "--moving-space"),
        ([*pair, str(tmp_path / "nan.csv")], "'b'"),
        ([*pair, write(tmp_path / "m.csv", moving), "--weights", str(tmp_path / "short.csv")], "'2'"),
        ([*pair, write(tmp_path / "m.csv", moving), "--targets-fixed", good], "only one"),
        ([*pair, write(tmp_path / "mirrored.csv", fixed * [-1, 1, 1])], "mirror"),
        ([*pair, write(tmp_path / "m.csv", moving), "--model", "tps", "--stiffness", "-3"], "-3"),
        (["--fixed-landmarks", write(tmp_path / "l.csv", line), "--moving-landmarks", str(tmp_path / "l2.csv")], ""),
        (["--fixed-landmarks", str(tmp_path / "unplaced.mrk.json")] * 1 + ["--moving-landmarks", good], "unplaced"),
    ], output


def test_bad_input_names_the_file_and_the_point_and_writes_nothing(points, tmp_path, capsys):
    calls, output = bad_calls(tmp_path, points)
    write(tmp_path / "l2.csv", points[0][:1] + np.linspace(0, 1, 5)[:, None] * (points[0][1] - points[0][0]))
    before = sorted(os.listdir(tmp_path))
    for options, named in calls:
        assert main(["prealign", *options, *output, "--json", str(tmp_path / "R.json")]) == 2, options
        message = capsys.readouterr().err
        assert named in message, message
        assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.story("U3")
@pytest.mark.slow
def test_register_starts_at_the_landmarks_and_reports_them(head_ct, head_mr, truth_ct_to_mr_lps, tmp_path, capsys):
    sitk.WriteImage(head_ct.image, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(head_mr.image, str(tmp_path / "mr.nrrd"))
    random = np.random.default_rng(3)
    fixed = target_points_lps(CT_POSE)[:6]
    moving = apply_matrix(truth_ct_to_mr_lps, fixed)
    landmarks = ["--fixed-landmarks", write(tmp_path / "F.mrk.json", fixed + 2 * random.normal(size=fixed.shape))]
    landmarks += ["--moving-landmarks", write(tmp_path / "M.mrk.json", moving + 2 * random.normal(size=fixed.shape))]
    code = main(
        [
            "register",
            "--fixed",
            str(tmp_path / "ct.nrrd"),
            "--moving",
            str(tmp_path / "mr.nrrd"),
            *landmarks,
            "--start",
            "given",
            "--output-transform",
            str(tmp_path / "T.h5"),
            "--json",
            str(tmp_path / "R.json"),
        ]
    )
    assert code == 0, capsys.readouterr().err
    matrix = read_linear_transform(tmp_path / "T.h5")
    assert displacement_mm(matrix, truth_ct_to_mr_lps, fixed).mean() < 0.8
    content = json.loads((tmp_path / "R.json").read_text())
    rms = content["landmarks"]["rms_mm"]
    assert rms["as_placed"] > 20
    # The registration is better than the landmarks, so it lies farther from them than their own fit.
    assert 0 < rms["at_start"] < rms["at_end"] < 2 * content["landmarks"]["unseen_rms_mm"]
    assert content["bounds"]["max_translation_mm"] >= 20
    assert "At 6 landmarks" in capsys.readouterr().out


@pytest.mark.story("U9")
def test_expert_landmarks_of_two_real_brains(real_data, tmp_path):
    fixed, moving = (real_data / "afids" / f"{name}.fcsv" for name in ("colin27", "mni"))
    code = main(
        [
            "prealign",
            "--fixed-landmarks",
            str(fixed),
            "--moving-landmarks",
            str(moving),
            "--model",
            "auto",
            "--json",
            str(tmp_path / "R.json"),
        ]
    )
    assert code == 0
    content = json.loads((tmp_path / "R.json").read_text())
    assert len(content["pairs"]) == 32
    left_out = content["leave_one_out_error"]
    # Two people's brains: a scale or more helps, and a few mm remain.
    assert left_out["affine"]["rms_mm"] < left_out["rigid"]["rms_mm"]
    assert content["model"] != "rigid"
    assert 2 < left_out[content["model"]]["rms_mm"] < 6
