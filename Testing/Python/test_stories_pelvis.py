"""Users' stories of pelvis, hip and spine: CT and MR of years apart, told by the commands that they would type."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import rigid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.io.markups import read_roi
from story_cases import Case, about, command, register, write_points

pytestmark = pytest.mark.slow

BONE = "ct-mr-bone-rigid"


@pytest.fixture(scope="module")
def hip(real_data):
    """CT and T1 of a hip. Clinically aligned, to about 1 to 1.6 mm; within 3 mm is right."""
    return Case.real("sarcoma-048", real_data)


@pytest.fixture(scope="module")
def far_hip(hip, tmp_path_factory):
    """The MR 206 mm away along S-I, and turned by half a turn in the axial plane."""
    center = hip.points_lps.mean(axis=0)
    back = np.linalg.inv(hip.truth_lps)
    turned = about(center, rigid([0, 0, 1], 180, [0, 0, 206])) @ back
    return hip.moving_elsewhere(turned, tmp_path_factory.mktemp("far") / "mr.nrrd")


@pytest.mark.story("U1")
@pytest.mark.parametrize("exchanged", [False, True], ids=["CT fixed", "MR fixed"])
def test_from_206_mm_away_and_flipped(far_hip, exchanged, tmp_path):
    assert far_hip.error_mm(np.eye(4)) > 206
    case = far_hip.exchanged() if exchanged else far_hip
    run = register(case.fixed, case.moving, tmp_path)
    assert (run.code, run.word) == (0, "verified"), run.said
    assert case.error_mm(run.transform) < case.limit_mm


@pytest.fixture(scope="module")
def three_landmarks(far_hip, tmp_path_factory):
    """Three pairs, each point placed to about 2 mm (1.2 mm along each axis), as a careful user does."""
    folder, random = tmp_path_factory.mktemp("landmarks"), np.random.default_rng(6)
    center = far_hip.points_lps.mean(axis=0)
    fixed = center + np.array([[-45.0, 25, -30], [60, -20, -10], [0, -15, 50]])
    moving = apply_matrix(far_hip.truth_lps, fixed)
    return [
        *("--fixed-landmarks", write_points(folder / "F.mrk.json", fixed + random.normal(0, 1.2, (3, 3)))),
        *("--moving-landmarks", write_points(folder / "M.mrk.json", moving + random.normal(0, 1.2, (3, 3)))),
    ]


@pytest.mark.story("U2")
def test_the_expert_recipe_step_by_step_and_in_one_call(far_hip, three_landmarks, tmp_path):
    volumes = ["--fixed", far_hip.fixed, "--moving", far_hip.moving]
    # Step by step: landmarks, a ROI around what both show, the crops with the MR corrected, and the registration.
    start, region, crops = tmp_path / "T0.h5", tmp_path / "region", tmp_path / "crops"
    steps = [
        ["prealign", *three_landmarks, "--output-transform", start],
        ["preprocess", *volumes, "--initial-transform", start, "--only-region", "--output-dir", region],
        [
            *("preprocess", *volumes, "--initial-transform", start, "--roi", region / "region.mrk.json"),
            *("--bias-correct", "moving", "--output-dir", crops),
        ],
    ]
    for step in steps:
        done = command(*step)
        assert done.code == 0, done.said
    assert read_roi(region / "region.mrk.json").contains(far_hip.points_lps).mean() > 0.9
    assert {"fixed.nrrd", "moving.nrrd", "moving-bias-field.nrrd"} <= {path.name for path in crops.iterdir()}
    given = ["--initial-transform", start, "--start", "given", "--no-verdict"]
    by_hand = register(crops / "fixed.nrrd", crops / "moving.nrrd", tmp_path / "by hand", *given)
    assert by_hand.code == 0, by_hand.said
    # Found on the crops, it holds for the volumes.
    assert far_hip.error_mm(by_hand.transform) < far_hip.limit_mm
    # The same in one call.
    recipe = {"schema": 1, "mask": "metal", "crop_margin_mm": 10, "bias_correct": ["moving"]}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    options = [*three_landmarks, "--start", "given", "--preprocess", tmp_path / "recipe.json"]
    at_once = register(far_hip.fixed, far_hip.moving, tmp_path / "at once", *options)
    assert (at_once.code, at_once.word) == (0, "verified"), at_once.said
    assert far_hip.error_mm(at_once.transform) < far_hip.limit_mm


@pytest.mark.story("U3")
def test_a_run_tells_what_it_did_to_good_landmarks(far_hip, three_landmarks, tmp_path):
    run = register(far_hip.fixed, far_hip.moving, tmp_path, *three_landmarks, "--preset", BONE)
    assert (run.code, run.word) == (0, "verified"), run.said
    assert far_hip.error_mm(run.transform) < far_hip.limit_mm
    landmarks, bounds = run.result["landmarks"], run.result["bounds"]
    assert landmarks["rms_mm"]["as_placed"] > 150
    assert "At the landmarks the error rose from" in landmarks["words"]
    assert landmarks["words"] in run.said
    # The bounds follow from the landmarks; the run kept to them, and tells how far it went.
    assert 0 < bounds["max_translation_mm"] < 60
    assert 0 < bounds["max_rotation_deg"] < 60
    assert bounds["touched"] == []
    assert 0 < run.result["moved_from_start"]["mean_mm"] < bounds["max_translation_mm"]
    assert 0 < run.result["moved_from_start"]["rotation_deg"] < bounds["max_rotation_deg"]


@pytest.mark.story("U3")
def test_a_result_that_leaves_the_landmarks_is_said_to_be_worse_there(far_hip, tmp_path):
    """Ten pairs that fit each other well, of which mutual information says that they are 8 mm off."""
    random = np.random.default_rng(2)
    fixed = far_hip.points_lps[:: len(far_hip.points_lps) // 10][:10]
    moving = apply_matrix(far_hip.truth_lps, fixed + np.array([0, 8.0, 0]))
    landmarks = [
        *("--fixed-landmarks", write_points(tmp_path / "F.mrk.json", fixed)),
        *("--moving-landmarks", write_points(tmp_path / "M.mrk.json", moving + random.normal(0, 0.3, moving.shape))),
    ]
    run = register(far_hip.fixed, far_hip.moving, tmp_path / "free", *landmarks)
    assert run.word != "verified"
    assert "At the landmarks the error rose from" in run.said
    # Kept near them by the user, it says which bound it hit.
    tight = register(
        *(far_hip.fixed, far_hip.moving, tmp_path / "tight", *landmarks),
        *("--max-translation", 2, "--max-rotation", 2, "--keep-failed"),
    )
    assert tight.word != "verified"
    touched = tight.result["bounds"]["touched"]
    assert touched, "no bound is named"
    assert set(touched) <= {"the largest translation of 2 mm", "the largest rotation of 2 degrees"}
    assert all(bound in tight.said for bound in touched)
    assert tight.result["moved_from_start"]["rotation_deg"] <= 2 + 1e-6


@pytest.mark.story("U6")
def test_an_error_stands_next_to_the_voxel_size_and_a_named_tolerance(hip, tmp_path):
    """Is 4 to 9 mm acceptable? A transform that is 5 mm off, and one that is right."""
    run = register(hip.fixed, hip.moving, tmp_path / "run", "--preset", BONE)
    near = hip.points_lps[::30][:12]
    random = np.random.default_rng(5)
    targets = [
        *("--targets-fixed", write_points(tmp_path / "TF.mrk.json", near)),
        "--targets-moving",
        write_points(tmp_path / "TM.mrk.json", apply_matrix(hip.truth_lps, near) + random.normal(0, 0.5, near.shape)),
    ]
    write_points(tmp_path / "F.csv", near + np.array([4.0, 3.0, 0.0]))
    write_points(tmp_path / "M.csv", apply_matrix(hip.truth_lps, near) + random.normal(0, 1.0, near.shape))
    landmarks = ["--fixed-landmarks", tmp_path / "F.csv", "--moving-landmarks", tmp_path / "M.csv"]
    done = command("prealign", *landmarks, "--output-transform", tmp_path / "five-mm-off.h5")
    assert done.code == 0, done.said
    done = command(
        *("qa", "--fixed", hip.fixed, "--moving", hip.moving, *targets, "--no-maps", "--output-dir", tmp_path / "out"),
        *("--transform", run.transform, "--transform", tmp_path / "five-mm-off.h5"),
        *("--json", tmp_path / "Q.json", "--tolerance", 2),
    )
    assert done.code == 0, done.said
    content = json.loads((tmp_path / "Q.json").read_text(encoding="utf-8"))
    right, off = content["methods"]
    assert right["targets"]["mean_mm"] < 2
    assert off["targets"]["mean_mm"] == pytest.approx(5.0, abs=1.0)
    assert (right["rank"], off["rank"], off["verdict"]) == (1, 2, "bad")
    with (tmp_path / "out" / "methods.csv").open(encoding="utf-8-sig", newline="") as file:
        row = next(one for one in csv.DictReader(file) if one["name"] == "five-mm-off.h5")
    coarsest_mm = max(max(sitk.ReadImage(str(one)).GetSpacing()) for one in (hip.fixed, hip.moving))
    assert float(row["targets_voxel_mm"]) == pytest.approx(coarsest_mm)
    assert (row["targets_tolerance_mm"], row["targets_tolerance_name"]) == ("2.0", "your own")
    assert "within the tolerance of 2 mm (your own)" in done.said
    assert "Voxel size (mm)" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
