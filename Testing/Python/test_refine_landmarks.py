"""Landmarks placed roughly come back to where the images say, and are left alone where these say nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_POSE, real_cases
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import apply_matrix, fit_rigid
from MultimodalRegistrationLib.core.phantom import target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList, Pairs
from MultimodalRegistrationLib.io.landmarks import read_landmarks, write_landmarks
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.register.refine_landmarks import refine_landmarks

SD_MM = 4.0
REAL = ("porcine", "stroke-t2", "stroke-flair", "template-ct", "template-t2")


def pairs_of(fixed_lps, moving_lps):
    order = tuple(range(len(fixed_lps)))
    lists = [LandmarkList.of_points(name, points) for name, points in (("CT points", fixed_lps), ("MR", moving_lps))]
    return Pairs(lists[0], lists[1], order, order, "order")


def displaced(truth_lps, fixed_lps, seed):
    """The true partners and points about them, 4 mm (SD) off along each axis."""
    partners = apply_matrix(truth_lps, fixed_lps)
    return partners, partners + np.random.default_rng(seed).normal(0, SD_MM, partners.shape)


@pytest.fixture
def phantom_points(truth_ct_to_mr_lps):
    """Points of the CT, their partners, and where they were placed."""
    fixed = target_points_lps(CT_POSE)[:8]
    return fixed, *displaced(truth_ct_to_mr_lps, fixed, 5)


@pytest.fixture
def files(head_ct, head_mr, phantom_points, tmp_path):
    """The phantom and its landmarks as files, and the options that name them."""
    fixed, _, rough = phantom_points
    options = []
    for role, volume, points in (("fixed", head_ct, fixed), ("moving", head_mr, rough)):
        sitk.WriteImage(volume.image, str(tmp_path / f"{role}.nrrd"))
        write_landmarks(tmp_path / f"{role}.mrk.json", LandmarkList.of_points(role, points))
        options += [f"--{role}", tmp_path / f"{role}.nrrd", f"--{role}-landmarks", tmp_path / f"{role}.mrk.json"]
    return [str(one) for one in options]


def after_of(found):
    return np.array([one.after_lps for one in found])


@pytest.mark.parametrize("name", REAL)
def test_points_of_real_pairs_come_back(name, real_data):
    case = real_cases()[name]
    fixed, moving = read_volume(real_data / case["fixed"]), read_volume(real_data / case["moving"])
    points = np.loadtxt(real_data / case["points"], delimiter=",", skiprows=1)
    errors = []
    for seed in range(2):
        chosen = points[np.random.default_rng(seed).permutation(len(points))[:12]]
        partners, rough = displaced(np.asarray(case["truth_matrix_lps"]), chosen, 100 + seed)
        found = refine_landmarks(fixed, moving, pairs_of(chosen, rough))
        errors += np.linalg.norm(after_of(found) - partners, axis=1).tolist()
    print(f"{name}: median {np.median(errors):.2f} mm; median as placed {SD_MM * 1.54:.1f} mm")
    assert np.median(errors) < 1.5


@pytest.mark.parametrize("name", ["template-pet", "sarcoma-010", "sarcoma-010-pet"])
def test_images_that_say_little_do_not_spoil_the_fit_of_the_points(name, real_data):
    case = real_cases()[name]
    fixed, moving = read_volume(real_data / case["fixed"]), read_volume(real_data / case["moving"])
    points = np.loadtxt(real_data / case["points"], delimiter=",", skiprows=1)
    fitted, refined = [], []
    for seed in range(3):
        chosen = points[np.random.default_rng(seed).permutation(len(points))[:12]]
        partners, rough = displaced(np.asarray(case["truth_matrix_lps"]), chosen, 100 + seed)
        by_fit = apply_matrix(np.linalg.inv(fit_rigid(rough, chosen)), chosen)
        fitted += np.linalg.norm(by_fit - partners, axis=1).tolist()
        found = refine_landmarks(fixed, moving, pairs_of(chosen, rough))
        refined += [np.linalg.norm(np.subtract(one.after_lps, partners[one.number])) for one in found]
    print(f"{name}: median {np.median(refined):.2f} mm; fit of the points {np.median(fitted):.2f} mm")
    assert np.median(refined) < np.median(fitted)


def test_points_of_oblique_scans_come_back(head_ct, head_mr, phantom_points):
    fixed, partners, rough = phantom_points
    found = refine_landmarks(head_ct, head_mr, pairs_of(fixed, rough))
    assert [one.number for one in found] == list(range(8))
    assert not any(one.left_alone for one in found)
    assert np.linalg.norm(after_of(found) - partners, axis=1).max() < 1.0
    assert np.linalg.norm(rough - partners, axis=1).max() > 6.0


def test_exchanged_volumes_come_back_too(head_ct, head_mr, phantom_points):
    """The volume that metrics are sampled in is now on the other side."""
    fixed, partners, _ = phantom_points
    rough = fixed + np.random.default_rng(8).normal(0, SD_MM, fixed.shape)
    found = refine_landmarks(head_mr, head_ct, pairs_of(partners, rough))
    assert np.linalg.norm(after_of(found) - fixed, axis=1).max() < 1.0


def test_only_the_chosen_point_moves(head_ct, head_mr, phantom_points):
    fixed, partners, rough = phantom_points
    pairs = pairs_of(fixed, rough)
    (found,) = refine_landmarks(head_ct, head_mr, pairs, only=[3])
    assert (found.number, found.label, found.before_lps) == (3, "'4'", tuple(rough[3]))
    assert np.linalg.norm(np.subtract(found.after_lps, partners[3])) < 1.0
    assert found == refine_landmarks(head_ct, head_mr, pairs)[3]


def test_points_where_nothing_is_seen_are_left_alone(head_ct, head_mr, truth_ct_to_mr_lps, phantom_points):
    """In the air beside the head, and outside of the field of view."""
    fixed, _, rough = phantom_points
    air = head_ct.grid.center_lps + 0.85 * (head_ct.grid.corners_lps[:1] - head_ct.grid.center_lps)
    outside = head_ct.grid.center_lps + 1.5 * (head_ct.grid.corners_lps[7:] - head_ct.grid.center_lps)
    more = np.concatenate([air, outside])
    pairs = pairs_of(np.concatenate([fixed, more]), np.concatenate([rough, apply_matrix(truth_ct_to_mr_lps, more)]))
    found = refine_landmarks(head_ct, head_mr, pairs)
    assert not any(one.left_alone for one in found[:8])
    for one in found[8:]:
        assert one.after_lps == one.before_lps
        assert one.distance_mm == 0
    assert "lies in" in found[9].left_alone
    assert "nothing" in found[8].left_alone or "lies in" in found[8].left_alone


@pytest.mark.parametrize("name", ["template-ct", "stroke-t2"])
def test_points_in_the_air_of_real_pairs_are_left_alone(name, real_data):
    case = real_cases()[name]
    fixed, moving = read_volume(real_data / case["fixed"]), read_volume(real_data / case["moving"])
    truth = np.asarray(case["truth_matrix_lps"])
    points = np.loadtxt(real_data / case["points"], delimiter=",", skiprows=1)[:12]
    air = fixed.grid.center_lps + 0.9 * (fixed.grid.corners_lps - fixed.grid.center_lps)
    both = np.concatenate([points, air])
    found = refine_landmarks(fixed, moving, pairs_of(both, apply_matrix(truth, both)))
    assert all(one.left_alone for one in found[12:])


def test_pairs_on_a_line_are_refused(head_ct, head_mr):
    line = np.outer(np.arange(4.0), [10.0, 5, 2])
    with pytest.raises(InputError, match="do not determine a rigid transform"):
        refine_landmarks(head_ct, head_mr, pairs_of(line, line))


def test_points_far_from_where_the_images_agree_are_refused(head_ct, head_mr, truth_ct_to_mr_lps):
    """All points lie 20 mm to one side, which no fit of them can tell: the images do."""
    fixed = target_points_lps(CT_POSE)[:8]
    moved = apply_matrix(truth_ct_to_mr_lps, fixed) + np.array([0, 20.0, 0])
    with pytest.raises(InputError, match="away from the fit of the pairs, where up to 8 mm can be expected"):
        refine_landmarks(head_ct, head_mr, pairs_of(fixed, moved))


def test_the_command_writes_the_list_and_what_became_of_each(files, phantom_points, tmp_path, capsys):
    _, partners, rough = phantom_points
    outputs = ["--output-landmarks", str(tmp_path / "B2.mrk.json"), "--json", str(tmp_path / "R.json")]
    assert main(["refine-landmarks", *files, *outputs]) == 0
    said = capsys.readouterr().out
    assert "Landmarks moved: 8 of 8, by" in said
    assert "independently" in said
    written = read_landmarks(tmp_path / "B2.mrk.json").points_lps
    assert np.linalg.norm(written - partners, axis=1).max() < 1.0
    refined = json.loads((tmp_path / "R.json").read_text())["refined"]
    np.testing.assert_allclose([one["before_lps"] for one in refined], rough, atol=1e-6)
    np.testing.assert_allclose([one["after_lps"] for one in refined], written, atol=1e-6)


def test_the_command_moves_one_landmark(files, phantom_points, tmp_path):
    _, partners, rough = phantom_points
    output = ["--output-landmarks", str(tmp_path / "B2.mrk.json"), "--quiet"]
    assert main(["refine-landmarks", *files, *output, "--only", "2"]) == 0
    written = read_landmarks(tmp_path / "B2.mrk.json").points_lps
    np.testing.assert_allclose(np.delete(written, 1, axis=0), np.delete(rough, 1, axis=0), atol=1e-6)
    assert np.linalg.norm(written[1] - partners[1]) < 1.0


def test_the_command_refuses_an_unknown_landmark(files, capsys):
    assert main(["refine-landmarks", *files, "--only", "nasion"]) == 2
    assert "no pair has the fixed landmark 'nasion'" in capsys.readouterr().err
