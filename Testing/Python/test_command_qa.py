"""The command ``qa`` as scripts use it: files, words, and what is refused."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_POSE, rigid, run_command
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.linear import apply_matrix, sitk_from_matrix
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.io.landmarks import write_landmarks


@pytest.fixture(scope="module")
def files(tmp_path_factory, head_ct, head_mr, truth_ct_to_mr_lps) -> Path:
    folder = tmp_path_factory.mktemp("qa")
    sitk.WriteImage(sitk.Cast(head_ct.image, sitk.sitkInt16), str(folder / "ct.nrrd"))
    sitk.WriteImage(head_mr.image, str(folder / "mr.nrrd"))
    for name, matrix in {
        "right.h5": truth_ct_to_mr_lps,
        "near.tfm": truth_ct_to_mr_lps @ rigid([0, 0, 1], 0, [1.5, 0, 0]),
        "turned.h5": np.linalg.inv(truth_ct_to_mr_lps),
    }.items():
        sitk.WriteTransform(sitk_from_matrix(matrix), str(folder / name))
    fixed = target_points_lps(CT_POSE)[:10]
    moving = apply_matrix(truth_ct_to_mr_lps, fixed) + np.random.default_rng(4).normal(0, 0.3, fixed.shape)
    for name, points in (("a.mrk.json", fixed), ("b.fcsv", moving), ("far.csv", moving + 800)):
        write_landmarks(folder / name, LandmarkList.of_points(name, points))
    write_landmarks(folder / "few.csv", LandmarkList.of_points("few.csv", moving[:7]))
    return folder


def given(files: Path, out: Path, *transforms: str, targets: tuple[str, str] | None = ("a.mrk.json", "b.fcsv")):
    arguments = ["qa", "--fixed", files / "ct.nrrd", "--moving", files / "mr.nrrd", "--output-dir", out]
    for name in transforms:
        arguments += ["--transform", files / name]
    if targets is not None:
        arguments += ["--targets-fixed", files / targets[0], "--targets-moving", files / targets[1]]
    return list(map(str, arguments))


@pytest.mark.story("U35")
def test_two_transforms(files, tmp_path):
    out = tmp_path / "results"
    done = run_command(*given(files, out, "right.h5", "near.tfm"), "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(out)) == [
        *("comparisons.csv", "gradient-agreement-after.nrrd", "gradient-agreement-before.nrrd"),
        *("local-information-after.nrrd", "local-information-before.nrrd", "methods.csv"),
        *("quality.json", "report.html", "targets.csv"),
    ]
    assert "Quality: good. 'right.h5' is within the tolerance of 1.3 mm (TG-132)." in done.stdout
    assert "'right.h5' is closer than 'near.tfm'" in done.stdout
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert content == json.loads((out / "quality.json").read_text(encoding="utf-8"))
    assert content["command"].startswith("multimodal-registration qa --fixed")
    assert [one["rank"] for one in content["methods"]] == [1, 2]
    with (out / "targets.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert (out / "report.html").stat().st_size < 15e6
    again = run_command("mark", out / "report.html", "--as", "approved", "--name", "R. Adler")
    assert again.returncode == 0, again.stderr
    assert json.loads((out / "report.mark.json").read_text(encoding="utf-8"))["mark"] == "approved"


@pytest.mark.parametrize(
    ("transform", "targets"), [("turned.h5", ("a.mrk.json", "b.fcsv")), ("right.h5", ("b.fcsv", "a.mrk.json"))]
)
def test_the_wrong_way_round_is_said(files, tmp_path, capsys, transform, targets):
    assert main(given(files, tmp_path / "out", transform, targets=targets)) == 0
    words = capsys.readouterr().out
    assert "Quality: bad." in words
    assert "wrong way round, or the two lists of targets are exchanged" in words


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (("a.mrk.json", "few.csv"), "few.csv"),
        (("a.mrk.json", "far.csv"), "same scene"),
        (("a.mrk.json", "none.csv"), "none.csv"),
    ],
)
def test_targets_that_cannot_be(files, tmp_path, capsys, targets, words):
    assert main(given(files, tmp_path / "out", "right.h5", targets=targets)) == 2
    assert words in capsys.readouterr().err
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--tolerance", "0"], "--tolerance: 0 was given"),
        (["--fixed-segmentation", "s.nrrd"], "only one of the two"),
        (["--reference", "none.h5"], "none.h5: no such file"),
        (["--region", "none.nrrd"], "none.nrrd"),
    ],
)
def test_options_that_cannot_be(files, tmp_path, capsys, more, words):
    assert main([*given(files, tmp_path / "out", "right.h5"), *more]) == 2
    assert words in capsys.readouterr().err


def test_a_label_that_is_no_text_is_written_all_the_same(files, tmp_path):
    content = json.loads((files / "a.mrk.json").read_text(encoding="utf-8"))
    for number, point in enumerate(content["markups"][0]["controlPoints"]):
        point["label"] = f"\ud800{number}"
    (files / "odd.mrk.json").write_text(json.dumps(content), encoding="utf-8")
    assert main(given(files, tmp_path / "out", "right.h5", targets=("odd.mrk.json", "b.fcsv"))) == 0
    assert "\\ud800" in (tmp_path / "out" / "targets.csv").read_text(encoding="utf-8-sig")


def test_a_folder_with_something_in_it_is_left_alone(files, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    assert main(given(files, tmp_path, "right.h5")) == 2
    assert "not empty" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_everything_that_can_be_given(files, tmp_path, head_ct, head_mr, truth_ct_to_mr_lps):
    """Segmentations, a region, a reference and a field, with what each of them adds."""
    center = head_ct.grid.center_lps
    for name, volume, middle in (
        ("s1.nrrd", head_ct, center),
        ("s2.nrrd", head_mr, apply_matrix(truth_ct_to_mr_lps, center)),
    ):
        index = np.stack(np.meshgrid(*[np.arange(n) for n in volume.grid.size], indexing="ij"), axis=-1)
        inside = np.linalg.norm(apply_matrix(volume.grid.ijk_to_lps, index) - middle, axis=-1) < 25
        image = sitk.GetImageFromArray(inside.transpose(2, 1, 0).astype(np.uint8))
        volume.grid.place(image)
        sitk.WriteImage(image, str(tmp_path / name))
    nodes = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), axis=-1)[..., ::-1]
    points = center - 160 + 8.0 * nodes
    waves = 1.5 * np.sin(points / 25.0)
    field = sitk.GetImageFromArray(apply_matrix(truth_ct_to_mr_lps, points + waves) - points, isVector=True)
    field.SetSpacing((8.0, 8.0, 8.0))
    field.SetOrigin((center - 160).tolist())
    sitk.WriteImage(field, str(tmp_path / "waves.nrrd"))
    out = tmp_path / "out"
    arguments = given(files, out, "near.tfm")
    arguments += ["--transform", tmp_path / "waves.nrrd", "--reference", files / "right.h5"]
    arguments += ["--fixed-segmentation", tmp_path / "s1.nrrd", "--moving-segmentation", tmp_path / "s2.nrrd"]
    arguments += ["--region", tmp_path / "s1.nrrd", "--tolerance", "2.5"]
    assert main(list(map(str, arguments))) == 0
    content = json.loads((out / "quality.json").read_text(encoding="utf-8"))
    near, warped, reference = content["methods"]
    inside = np.linalg.norm(points - center, axis=-1) < 25
    expected = np.linalg.norm(waves, axis=-1)[inside].mean()
    assert warped["from_reference_mm"]["mean"] == pytest.approx(expected, rel=0.05)
    assert near["from_reference_mm"]["mean"] == pytest.approx(1.5, abs=1e-6)
    assert reference["reference"]
    assert (warped["linear"], near["linear"]) == (False, True)
    assert warped["health"]["bending_structures"][0]["bending_rms_mm"] > 0.1
    assert near["structures"][0]["centroid_distance_mm"] == pytest.approx(1.5, abs=0.1)
    assert content["settings"]["tolerance_mm"] == 2.5
    assert content["settings"]["region"].endswith("s1.nrrd")
    # The verdict is about the best; its maps show what a field does.
    assert (out / "structures.csv").exists()
    assert ((out / "jacobian.nrrd").exists()) == (content["verdict"]["method"] == "waves.nrrd")
