"""Users' stories of landmarks: both directions, what is wrong with a set, and what may be expected of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import rigid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.points import Landmark, LandmarkList
from MultimodalRegistrationLib.io.landmarks import read_landmarks, write_landmarks
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from story_cases import command, write_points

POSE_LPS = rigid([0.3, 1, -0.5], 130, [40, -220, 75])


@pytest.fixture(scope="module")
def brains(real_data):
    """32 expert landmarks of two brains, as Slicer saved them."""
    return real_data / "afids" / "colin27.fcsv", real_data / "afids" / "mni.fcsv"


def prealign(fixed, moving, folder, *options):
    folder.mkdir(exist_ok=True)
    done = command(
        *("prealign", "--fixed-landmarks", fixed, "--moving-landmarks", moving),
        *("--output-transform", folder / "T.h5", "--json", folder / "R.json", *options),
    )
    content = json.loads((folder / "R.json").read_text(encoding="utf-8")) if done.code == 0 else {}
    return done, content


@pytest.mark.story("U8")
def test_both_directions_have_one_error_and_inverse_transforms(brains, tmp_path):
    fixed, moving = brains
    there, there_content = prealign(fixed, moving, tmp_path / "there", "--model", "rigid")
    back, back_content = prealign(moving, fixed, tmp_path / "back", "--model", "rigid")
    assert there.code == back.code == 0, there.said + back.said
    rms_mm = [content["fiducial_error"]["rms_mm"] for content in (there_content, back_content)]
    assert rms_mm[0] == pytest.approx(rms_mm[1], abs=1e-6)
    assert 3 < rms_mm[0] < 8
    round_trip = read_linear_transform(tmp_path / "back" / "T.h5") @ read_linear_transform(tmp_path / "there" / "T.h5")
    np.testing.assert_allclose(round_trip, np.eye(4), atol=1e-6)


@pytest.mark.story("U8")
def test_faults_in_a_set_are_found_and_named(brains, tmp_path):
    fixed, moving = brains
    points = list(read_landmarks(moving).landmarks)

    def told(name, changed, *options):
        write_landmarks(tmp_path / name, LandmarkList(name, tuple(changed)))
        done, _ = prealign(fixed, tmp_path / name, tmp_path / "out", *options)
        return done.code, done.said

    def at(number, other):
        return Landmark(points[number].label, points[other].position_lps)

    code, words = told("swapped.mrk.json", [at(0, 5), *points[1:5], at(5, 0), *points[6:]])
    assert "exchanged" in words
    assert f"'{points[0].label}'" in words
    assert f"'{points[5].label}'" in words

    code, words = told("missing.mrk.json", points[:30])
    assert code == 2
    assert "32" in words
    assert "30" in words

    code, words = told("duplicated.mrk.json", [*points[:7], at(7, 8), *points[8:]])
    assert f"'{points[7].label}'" in words
    assert f"'{points[8].label}'" in words

    code, words = told("unplaced.mrk.json", [*points[:4], Landmark(points[4].label, None), *points[5:]])
    assert code == 0
    assert f"'{points[4].label}' is not placed" in words

    mirrored = [Landmark(one.label, tuple(np.array(one.position_lps) * [-1, 1, 1])) for one in points]
    code, words = told("mirrored.mrk.json", mirrored)
    # Brains are nearly symmetric: labels of left and right are exchanged, or the set is mirrored.
    assert code == 2
    assert "mirror" in words


@pytest.mark.story("U9")
def test_warping_that_fits_best_is_not_advised(tmp_path):
    """One bone in both volumes, eight pairs placed to 1.5 mm: the error at the fit's own points falls to zero."""
    random = np.random.default_rng(12)
    moving = random.uniform(-60, 60, (8, 3)) + np.array([10, -40, 90])
    fixed = apply_matrix(POSE_LPS, moving) + random.normal(0, 1.0, (8, 3))
    targets = random.uniform(-50, 50, (20, 3)) + np.array([10, -40, 90])
    files = [write_points(tmp_path / "F.mrk.json", fixed), write_points(tmp_path / "M.mrk.json", moving)]
    given = [
        *("--targets-fixed", write_points(tmp_path / "TF.csv", apply_matrix(POSE_LPS, targets))),
        *("--targets-moving", write_points(tmp_path / "TM.csv", targets)),
    ]
    own, left_out, independent = {}, {}, {}
    for model in ("rigid", "similarity", "affine", "tps"):
        done, content = prealign(*files, tmp_path / model, "--model", model, *given)
        assert done.code == 0, done.said
        own[model] = content["fiducial_error"]["rms_mm"]
        left_out[model] = content["leave_one_out_error"][model]["rms_mm"]
        independent[model] = content["targets"]["after"]["rms_mm"]
        assert content["recommendation"]["model"] == "rigid"
        assert "leave-one-out" in done.said
    assert own["rigid"] > own["similarity"] > own["affine"] > own["tps"]
    assert own["tps"] < 0.01
    assert left_out["rigid"] == min(left_out.values())
    assert independent["rigid"] < independent["tps"]


@pytest.mark.story("U10")
def test_landmarks_along_a_spine_do_not_pin_down_the_turn_about_it(tmp_path):
    """Six vertebrae in a row, left and right alike: what is certain along the row is not so beside it."""
    random = np.random.default_rng(3)
    row = np.array([[0.5 * (-1) ** n, 1.0 * (n % 3), 30.0 * n] for n in range(6)])
    moving = row + random.normal(0, 0.4, row.shape)
    fixed = apply_matrix(POSE_LPS, row) + random.normal(0, 0.4, row.shape)
    files = [write_points(tmp_path / "F.mrk.json", fixed), write_points(tmp_path / "M.mrk.json", moving)]
    done, content = prealign(*files, tmp_path / "line", "--localisation-error", "0.7")
    assert done.code == 0, done.said
    assert "collinear" in {one["code"] for one in content["findings"]}
    assert "the rotation about it is poorly determined" in done.said
    bounds = content["error_bounds"]
    assert bounds["worst_mm"] > 5 * bounds["best_mm"]
    assert "Least certain" in done.said
    weakest = content["expected"]["weakest_rotation"]
    along_the_row = POSE_LPS[:3, :3] @ [0, 0, 1]
    assert abs(np.dot(weakest["axis_lps"], along_the_row)) > 0.99
    assert weakest["sd_deg"] > 5
    # One landmark beside the row settles it.
    beside = np.vstack([row, [[60.0, 20, 70]]])
    moving = beside + random.normal(0, 0.4, beside.shape)
    fixed = apply_matrix(POSE_LPS, beside) + random.normal(0, 0.4, beside.shape)
    files = [write_points(tmp_path / "F.mrk.json", fixed), write_points(tmp_path / "M.mrk.json", moving)]
    done, better = prealign(*files, tmp_path / "beside", "--localisation-error", "0.7")
    assert done.code == 0, done.said
    assert better["error_bounds"]["worst_mm"] < 0.3 * bounds["worst_mm"]


@pytest.mark.story("U10")
def test_left_right_symmetric_landmarks_are_said_to_fit_in_two_ways(tmp_path):
    """Both hip bones' upper front and lower ends, which lie almost in one plane."""
    points = np.array([[-115.0, -2, 0], [115, -2, 0], [-55, 3, -140], [55, 3, -140]])
    labels = ["left spine", "right spine", "left ischium", "right ischium"]
    random = np.random.default_rng(1)
    files = [
        write_points(tmp_path / "F.mrk.json", apply_matrix(POSE_LPS, points) + random.normal(0, 1.5, (4, 3)), labels),
        write_points(tmp_path / "M.mrk.json", points + random.normal(0, 1.5, (4, 3)), labels),
    ]
    done, _ = prealign(*files, tmp_path / "labels", "--pairing", "label")
    assert done.code == 0, done.said
    assert "The points fit in two ways" in done.said
    assert "turned by 180 degrees" in done.said
    # Without the labels nothing tells left from right.
    done, _ = prealign(*files, tmp_path / "auto", "--pairing", "auto")
    assert done.code == 2
    assert "symmetric" in done.said


@pytest.mark.story("U32")
def test_tissue_that_shrank_by_40_percent(tmp_path, brains):
    """Of a block of tissue, against the brain that it was cut from."""
    fixed = read_landmarks(brains[0])
    shrunken = apply_matrix(POSE_LPS, fixed.points_lps) * 0.6 + np.random.default_rng(4).normal(0, 0.3, (32, 3))
    moving = write_points(tmp_path / "block.mrk.json", shrunken, [one.label for one in fixed.landmarks])
    scales, left_out = {}, {}
    for model in ("similarity", "affine", "tps"):
        done, content = prealign(brains[0], moving, tmp_path / model, "--model", model)
        assert done.code == 0, done.said
        scales[model] = content["transform"]["scales"]
        left_out[model] = content["leave_one_out_error"][model]["rms_mm"]
        assert content["recommendation"]["model"] == "similarity"
        assert model == "tps" or "Scale" in done.said
    assert scales["similarity"] == pytest.approx([1 / 0.6] * 3, rel=0.01)
    assert scales["affine"] == pytest.approx([1 / 0.6] * 3, rel=0.03)
    assert max(left_out.values()) < 2
    done, content = prealign(brains[0], moving, tmp_path / "auto", "--model", "auto")
    assert content["model"] == "similarity"
