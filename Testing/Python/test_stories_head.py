"""Users' stories of the head: CT, T1, T2 and PET, masks of the brain, and a search near what is known."""

from __future__ import annotations

import re

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import rigid
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import rotation_angle_deg, sitk_from_matrix
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from story_cases import Case, about, register

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def brain_mask(real_data, tmp_path_factory):
    """A mask as users draw it on the T1: the size of a brain, about the middle of the head, skull and scalp outside."""
    image = sitk.ReadImage(str(real_data / "template" / "t1.nrrd"))
    grid = VolumeGrid.of_image(image)
    inside = (((grid.points_lps - grid.center_lps) / [55.0, 75.0, 60.0]) ** 2).sum(axis=1) <= 1
    mask = sitk.GetImageFromArray(inside.reshape(grid.size[::-1]).astype(np.uint8))
    grid.place(mask)
    path = tmp_path_factory.mktemp("mask") / "brain.nrrd"
    sitk.WriteImage(mask, str(path))
    return path


@pytest.mark.story("U7", "U17")
@pytest.mark.parametrize("exchanged", [False, True], ids=["T1 fixed", "T1 moving"])
@pytest.mark.parametrize("name", ["template-t2", "template-pet"])
def test_a_mask_of_the_brain_on_the_larger_volume_alone(real_data, brain_mask, name, exchanged, tmp_path):
    """The other volume was cut and lies elsewhere. Inside of the mask, all that tells where is left out."""
    case = Case.real(name, real_data)
    larger, smaller = (VolumeGrid.of_image(sitk.ReadImage(str(one))) for one in (case.fixed, case.moving))
    assert np.prod(larger.extent_mm) > np.prod(smaller.extent_mm)
    if exchanged:
        case = case.exchanged()
    run = register(case.fixed, case.moving, tmp_path, "--moving-mask" if exchanged else "--fixed-mask", brain_mask)
    assert (run.code, run.word) == (0, "verified"), run.said
    assert case.error_mm(run.transform) <= case.limit_mm


@pytest.fixture(scope="module")
def planned(real_data, tmp_path_factory):
    """CT and T1 of a head, and where somebody put the CT by hand: some 12 mm and 8 degrees from where it belongs."""
    case = Case.real("template-ct", real_data)
    off = about(case.points_lps.mean(axis=0), rigid([0.3, 1, 0.5], 8, [9, -6, 5]))
    path = tmp_path_factory.mktemp("planned") / "by-hand.tfm"
    sitk.WriteTransform(sitk_from_matrix(case.truth_lps @ off), str(path))
    return case, path


@pytest.mark.story("U15", "U18")
def test_a_search_near_the_initial_guess(planned, tmp_path):
    case, by_hand = planned
    assert case.error_mm(by_hand) > 10
    near = ["--initial-transform", by_hand, "--max-translation", 25, "--max-rotation", 15]
    run = register(case.fixed, case.moving, tmp_path, *near)
    assert (run.code, run.word) == (0, "verified"), run.said
    assert case.error_mm(run.transform) <= case.limit_mm
    bounds = run.result["bounds"]
    assert (bounds["max_translation_mm"], bounds["max_rotation_deg"], bounds["touched"]) == (25, 15, [])


@pytest.mark.story("U18")
def test_what_lies_beyond_the_bounds_is_not_verified(planned, tmp_path):
    case, by_hand = planned
    tight = ["--initial-transform", by_hand, "--max-translation", 25, "--max-rotation", 3, "--keep-failed"]
    run = register(case.fixed, case.moving, tmp_path, *tight)
    assert run.word in ("uncertain", "failed")
    assert run.result["bounds"]["touched"] == ["the largest rotation of 3 degrees"]
    assert "largest rotation of 3 degrees" in run.said
    turned = np.linalg.inv(read_linear_transform(by_hand)) @ read_linear_transform(run.transform)
    assert rotation_angle_deg(turned) <= 3 + 1e-6


@pytest.mark.story("U13")
@pytest.mark.parametrize("engine", ["simpleitk", "elastix"])
def test_whether_it_converged_is_said_in_plain_words(head_ct, head_mr, truth_ct_to_mr_lps, engine, tmp_path):
    """The optimiser's own reason, such as a step too small, is evidence and no verdict."""
    sitk.WriteImage(head_ct.image, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(head_mr.image, str(tmp_path / "mr.nrrd"))
    off = about(head_ct.grid.center_lps, rigid([1, 0.2, 0], 3, [4, -3, 2]))
    sitk.WriteTransform(sitk_from_matrix(truth_ct_to_mr_lps @ off), str(tmp_path / "start.tfm"))
    near = ["--initial-transform", tmp_path / "start.tfm", "--start", "given", "--no-verdict", "--engine", engine]
    run = register(tmp_path / "ct.nrrd", tmp_path / "mr.nrrd", tmp_path / "run", *near)
    assert run.code == 0, run.said
    convergence = run.result["convergence"]
    assert convergence["settled"] is True
    assert convergence["words"].startswith("Settled")
    assert re.search(r"\d", convergence["words"]), "no evidence"
    metric = run.result["metric"]
    assert metric["at_end"] > metric["at_start"]
    assert len(metric["engine_levels"]) > 1
