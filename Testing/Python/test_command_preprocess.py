"""``preprocess`` and ``check`` as scripts use them, and ``register --preprocess``."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_POSE, rigid
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import OrientedBox, VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, sitk_from_matrix
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.landmarks import write_landmarks
from MultimodalRegistrationLib.io.markups import read_roi, write_roi
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from MultimodalRegistrationLib.preprocess.steps import AUTOMATIC, NOTHING, Steps, find_steps
from MultimodalRegistrationLib.register.apply_steps import apply_steps
from MultimodalRegistrationLib.register.masks import Masks
from MultimodalRegistrationLib.register.run import Run

TARGETS = target_points_lps(CT_POSE)


@pytest.fixture
def files(tmp_path, head_ct, head_mr, truth_ct_to_mr_lps):
    sitk.WriteImage(sitk.Cast(head_ct.image, sitk.sitkInt16), str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(head_mr.image, str(tmp_path / "mr.nrrd"))
    sitk.WriteTransform(sitk_from_matrix(truth_ct_to_mr_lps), str(tmp_path / "truth.tfm"))
    return ["--fixed", str(tmp_path / "ct.nrrd"), "--moving", str(tmp_path / "mr.nrrd")]


def test_crops_lie_where_the_volumes_lie(files, tmp_path, head_ct, capsys):
    before = {name: (tmp_path / name).read_bytes() for name in ("ct.nrrd", "mr.nrrd")}
    options = ["--initial-transform", str(tmp_path / "truth.tfm"), "--output-dir", str(tmp_path / "out")]
    code = main(["preprocess", *files, *options, "--bias-correct", "moving", "--json", str(tmp_path / "R.json")])
    assert code == 0, capsys.readouterr().err
    assert sorted(os.listdir(tmp_path / "out")) == [
        *("fixed-mask.nrrd", "fixed.nrrd", "moving-bias-field.nrrd", "moving-mask.nrrd", "moving.nrrd"),
        *("prealignment.h5", "region.mrk.json"),
    ]
    crop = sitk.ReadImage(str(tmp_path / "out" / "fixed.nrrd"))
    full = sitk.ReadImage(str(tmp_path / "ct.nrrd"))
    assert np.prod(crop.GetSize()) < np.prod(full.GetSize())
    for index in ((0, 0, 0), tuple(n - 1 for n in crop.GetSize())):
        there = full.TransformPhysicalPointToIndex(crop.TransformIndexToPhysicalPoint(index))
        assert full.GetPixel(*there) == crop.GetPixel(*index)
        np.testing.assert_allclose(
            full.TransformIndexToPhysicalPoint(there), crop.TransformIndexToPhysicalPoint(index), atol=1e-6
        )
    box = read_roi(tmp_path / "out" / "region.mrk.json")
    assert box.contains(TARGETS).mean() > 0.95
    assert json.loads((tmp_path / "R.json").read_text())["region"]["fixed"]["size_mm"] == pytest.approx(
        box.size_mm.tolist()
    )
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    assert head_ct.grid.size == full.GetSize()


def test_a_roi_a_segment_and_landmarks_choose_the_region(files, tmp_path, head_ct, truth_ct_to_mr_lps, capsys):
    center = TARGETS.mean(axis=0)
    axes = np.asarray(head_ct.grid.direction).reshape(3, 3)
    write_roi(tmp_path / "R.mrk.json", OrientedBox(center, axes, np.array([50.0, 40.0, 60.0])), "R")
    distance = np.linalg.norm(
        apply_matrix(head_ct.grid.ijk_to_lps, np.indices(head_ct.grid.size).reshape(3, -1).T) - center, axis=1
    )
    ball = sitk.GetImageFromArray((distance < 25).reshape(head_ct.grid.size).transpose(2, 1, 0).astype(np.uint8) * 3)
    ball.CopyInformation(head_ct.image)
    sitk.WriteImage(ball, str(tmp_path / "S.nrrd"))
    start = ["--initial-transform", str(tmp_path / "truth.tfm"), "--mask", "none"]
    for number, (options, size_mm) in enumerate(
        [
            (["--roi", str(tmp_path / "R.mrk.json")], [50, 40, 60]),
            (["--segment", str(tmp_path / "S.nrrd"), "--segment-label", "3", "--margin", "5"], [60, 60, 60]),
        ]
    ):
        folder = tmp_path / f"out{number}"
        assert main(["preprocess", *files, *start, *options, "--output-dir", str(folder)]) == 0, capsys.readouterr().err
        crop = sitk.ReadImage(str(folder / "fixed.nrrd"))
        extent = np.array(crop.GetSize()) * crop.GetSpacing()
        assert np.all(np.abs(extent - size_mm) <= 2 * np.array(crop.GetSpacing())), extent
        moving = sitk.ReadImage(str(folder / "moving.nrrd"))
        there = apply_matrix(truth_ct_to_mr_lps, center)
        index = np.array(moving.TransformPhysicalPointToContinuousIndex(there.tolist()))
        assert np.all((index > 0) & (index < np.array(moving.GetSize()) - 1))


def test_isotropic_voxels(files, tmp_path, capsys):
    options = [
        "--initial-transform",
        str(tmp_path / "truth.tfm"),
        "--isotropic",
        "4",
        "--output-dir",
        str(tmp_path / "o"),
    ]
    assert main(["preprocess", *files, *options]) == 0, capsys.readouterr().err
    for name in ("fixed", "moving"):
        image, mask = (sitk.ReadImage(str(tmp_path / "o" / f"{name}{end}.nrrd")) for end in ("", "-mask"))
        assert image.GetSpacing() == (4.0, 4.0, 4.0)
        assert image.GetSize() == mask.GetSize()


def test_bad_input_writes_nothing(files, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    far = sitk_from_matrix(rigid([0, 0, 1], 5, [4000, 0, 0]))
    sitk.WriteTransform(far, str(tmp_path / "far.tfm"))
    truth = ["--initial-transform", str(tmp_path / "truth.tfm")]
    out = ["--output-dir", str(tmp_path / "out")]
    for options, named in (
        ([*truth, "--output-dir", str(tmp_path / "full")], "note.txt"),
        (["--initial-transform", str(tmp_path / "far.tfm"), *out], "nothing that both show"),
        ([*truth, *out, "--roi", "a", "--segment", "b"], "--segment"),
        ([*truth, *out, "--roi", str(tmp_path / "absent.mrk.json")], "absent.mrk.json"),
        ([*truth, *out, "--isotropic", "-1"], "-1"),
        ([*truth, *out, "--margin", "nan"], "nan"),
    ):
        assert main(["preprocess", *files, *options]) == 2, options
        assert named in capsys.readouterr().err
        assert not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out")
    assert os.listdir(tmp_path / "full") == ["note.txt"]


def test_steps_by_name_and_file(tmp_path):
    assert find_steps("auto") == AUTOMATIC
    assert find_steps("none") == NOTHING
    path = tmp_path / "steps.json"
    path.write_text('{"schema": 1, "mask": "none", "crop_margin_mm": 12, "bias_correct": ["moving"]}')
    assert find_steps(str(path)) == Steps(mask="none", crop_margin_mm=12.0, bias_correct=("moving",))
    for text, found in (
        ("{", "not a JSON"),
        ("[]", "schema 1"),
        ('{"schema": 1, "mask": 1, "crop_margin_mm": 12, "bias_correct": []}', "'mask'"),
        ('{"schema": 1, "mask": "metal", "crop_margin_mm": -1, "bias_correct": []}', "'crop_margin_mm'"),
        ('{"schema": 1, "mask": "metal", "crop_margin_mm": null, "bias_correct": ["both"]}', "'bias_correct'"),
        ('{"schema": 1, "mask": "metal", "crop_margin_mm": null, "bias_correct": [], "clip": 1}', "clip"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=f"(?s)steps.json.*{found}"):
            find_steps(str(path))
    with pytest.raises(InputError, match=r"none\.json"):
        find_steps(str(tmp_path / "none.json"))


@pytest.mark.slow
@pytest.mark.parametrize("steps", ["auto", "none", "FILE"])
def test_register_with_steps(files, tmp_path, truth_ct_to_mr_lps, steps, capsys):
    if steps == "FILE":
        steps = str(tmp_path / "steps.json")
        content = {"schema": 1, "mask": "foreground", "crop_margin_mm": 20, "bias_correct": ["moving"]}
        (tmp_path / "steps.json").write_text(json.dumps(content))
    output = ["--output-transform", str(tmp_path / "T.h5"), "--json", str(tmp_path / "R.json")]
    near = ["--initial-transform", str(tmp_path / "truth.tfm"), "--start", "given", "--no-verdict"]
    assert main(["register", *files, *near, *output, "--preprocess", steps]) == 0, capsys.readouterr().err
    found = read_linear_transform(tmp_path / "T.h5")
    assert displacement_mm(found, truth_ct_to_mr_lps, TARGETS).mean() < 0.8
    content = json.loads((tmp_path / "R.json").read_text())
    assert set(content["preprocess"]) == {"mask", "crop_margin_mm", "bias_correct", "facts"}


def test_a_mask_that_leaves_nothing_a_label_without_a_segment_and_odd_voxels_are_refused(files, tmp_path, capsys):
    truth = ["--initial-transform", str(tmp_path / "truth.tfm"), "--output-dir", str(tmp_path / "out")]
    corner = sitk.ReadImage(str(tmp_path / "ct.nrrd")) * 0
    corner[0:2, 0:2, 0:2] = 1
    sitk.WriteImage(sitk.Cast(corner, sitk.sitkUInt8), str(tmp_path / "corner.nrrd"))
    write_roi(tmp_path / "R.mrk.json", OrientedBox(TARGETS.mean(axis=0), np.eye(3), np.full(3, 40.0)), "R")
    (tmp_path / "odd.mrk.json").write_text('{"markups": 5}')
    for options, named in (
        (["--roi", str(tmp_path / "R.mrk.json"), "--mask", str(tmp_path / "corner.nrrd")], "nothing of its mask"),
        (["--segment-label", "3"], "--segment"),
        (["--isotropic", "0.01"], "0.01 mm"),
        (["--isotropic", "200"], "200 mm"),
        (["--roi", str(tmp_path / "odd.mrk.json")], "odd.mrk.json"),
        (["--bias-correct", "fixed"], "CT"),
    ):
        assert main(["preprocess", *files, *truth, *options]) == 2, options
        assert named in capsys.readouterr().err
        assert not os.listdir(tmp_path / "out") if (tmp_path / "out").exists() else True


def test_metal_is_left_out_of_a_mask_of_the_user_and_of_raw_values(head_ct):
    voxels = np.array(head_ct.voxels) + 1024
    k, j, i = (size // 2 for size in voxels.shape)
    voxels[k - 3 : k + 3, j - 6 : j + 6, i - 6 : i + 6] = 7000
    image = sitk.GetImageFromArray(voxels.astype(np.int16))
    image.CopyInformation(head_ct.image)
    raw = Volume(image, "raw ct")
    given = Volume(sitk.Cast(head_ct.image > -2000, sitk.sitkUInt8), "everything")
    done = apply_steps(AUTOMATIC, raw, raw, Masks(given), Run())
    for mask in (done.masks.fixed, done.masks.moving):
        assert mask.voxels[k, j, i] == 0
        assert 0.99 < mask.voxels.mean() < 1


def test_landmarks_labels_and_a_factor(files, tmp_path, head_ct, capsys):
    points = LandmarkList.of_points("P", TARGETS)
    write_landmarks(tmp_path / "P.mrk.json", points)
    labels = np.zeros(head_ct.voxels.shape, dtype=np.uint8)
    middle = [size // 2 for size in labels.shape]
    for value, step in ((1, 0), (2, 8), (3, -8)):
        k, j, i = middle[0], middle[1] + step, middle[2]
        labels[k - 4 : k + 5, j - 3 : j + 4, i - 6 : i + 7] = value
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(head_ct.image)
    sitk.WriteImage(image, str(tmp_path / "L.nrrd"))
    truth = ["--initial-transform", str(tmp_path / "truth.tfm")]
    region = ["--region-landmarks", str(tmp_path / "P.mrk.json"), "--margin", "30"]
    mask = ["--mask", str(tmp_path / "L.nrrd"), "--fixed-mask-labels", "1", "3"]
    marked = {}
    for name, options in (
        ("inside", []),
        ("outside", ["--mask-outside"]),
        ("grown", ["--mask-margin", "5"]),
        ("coarse", ["--spacing-factor", "2"]),
    ):
        out = ["--output-dir", str(tmp_path / name)]
        assert main(["preprocess", *files, *truth, *region, *mask, *options, *out]) == 0, capsys.readouterr().err
        marked[name] = sitk.ReadImage(str(tmp_path / name / "fixed-mask.nrrd"))
    inside, outside, grown = (sitk.GetArrayFromImage(marked[name]) for name in ("inside", "outside", "grown"))
    assert inside.sum() == 2 * 9 * 7 * 13
    np.testing.assert_array_equal(inside + outside, 1)
    assert np.all(grown >= inside)
    assert grown.sum() > 1.5 * inside.sum()
    np.testing.assert_allclose(marked["coarse"].GetSpacing(), 2 * np.array(marked["inside"].GetSpacing()))
    crop = VolumeGrid.of_image(marked["inside"])
    assert crop.contains(TARGETS).mean() > 0.95
    both = ["--roi", "a", *region, "--output-dir", str(tmp_path / "no")]
    assert main(["preprocess", *files, *truth, *both]) == 2
    assert "--region-landmarks" in capsys.readouterr().err


def test_only_the_region_and_the_prealignment(files, tmp_path, capsys):
    common = [*files, "--initial-transform", str(tmp_path / "truth.tfm"), "--bias-correct", "moving"]
    for name, options in (("all", []), ("region", ["--only-region"])):
        output = ["--output-dir", str(tmp_path / name), "--json", str(tmp_path / f"{name}.json")]
        assert main(["preprocess", *common, *output, *options]) == 0, capsys.readouterr().err
    assert sorted(os.listdir(tmp_path / "region")) == ["prealignment.h5", "region.mrk.json"]
    boxes = [read_roi(tmp_path / name / "region.mrk.json").corners_lps for name in ("all", "region")]
    np.testing.assert_allclose(*boxes, atol=1e-9)
    contents = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("all", "region")]
    assert contents[0]["region"] == contents[1]["region"]
