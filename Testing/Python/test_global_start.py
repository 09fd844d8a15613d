"""Whole runs from far starts, with bounds, and on volumes that no answer is right for."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk
from changed_presets import affordable
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, rigid
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.errors import Cancelled, InputError
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.register.inputs import Inputs
from MultimodalRegistrationLib.register.masks import Masks
from MultimodalRegistrationLib.register.request import RegisterRequest
from MultimodalRegistrationLib.register.start import choose_start, moments_start

TARGETS = target_points_lps(CT_POSE)
RIGID = find_preset("rigid")


@pytest.fixture(scope="module")
def session():
    with EngineSessions() as running:
        yield running


def moved(volume, matrix):
    image = sitk.Image(volume.image)
    volume.grid.moved(matrix).place(image)
    return Volume(image, volume.name)


def start_of(method, fixed, moving, initial=None):
    request = RegisterRequest(fixed="F", moving="M", start=method)
    inputs = Inputs(fixed, moving, initial_fixed_to_moving_lps=initial, initial_name="T0.tfm")
    start = choose_start(request, inputs, fixed, moving, Masks())
    return start.fixed_to_moving_lps, start.name


def error_mm(result, truth):
    return float(displacement_mm(result.fixed_to_moving_lps, truth, TARGETS).mean())


@pytest.mark.slow
@pytest.mark.parametrize("swap", [False, True], ids=["forward", "swapped"])
def test_from_the_other_way_up(session, head_ct, head_mr, truth_ct_to_mr_lps, swap):
    far = rigid([1, 0.3, -0.2], 176, [150, -110, 80])
    ct, mr, truth = head_ct, moved(head_mr, far), far @ truth_ct_to_mr_lps
    assert displacement_mm(np.eye(4), truth, TARGETS).mean() > 150
    result = (
        register(mr, ct, preset=RIGID, engines=session) if swap else register(ct, mr, preset=RIGID, engines=session)
    )
    found = np.linalg.inv(result.fixed_to_moving_lps) if swap else result.fixed_to_moving_lps
    assert displacement_mm(found, truth, TARGETS).mean() < 0.8
    assert result.verdict.word == "verified", result.verdict.against
    assert result.verdict.estimated_error_mm < 2.1
    assert result.rotated_deg > 100
    assert {"search", "engine", "verdict"} <= set(result.seconds)


@pytest.mark.story("U11")
@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(session, head_ct, head_mr):
    far = moved(head_mr, rigid([0, 1, 0.4], 140, [0, 90, -60]))
    first, second = (register(head_ct, far, preset=RIGID, engines=session, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first.fixed_to_moving_lps, second.fixed_to_moving_lps)
    assert first.verdict == second.verdict


@pytest.mark.slow
def test_a_given_start_in_a_wrong_basin_is_found_out(session, head_ct, head_mr, truth_ct_to_mr_lps):
    upside_down = truth_ct_to_mr_lps @ CT_POSE @ rigid([1, 0, 0], 180, [0, 0, 0]) @ np.linalg.inv(CT_POSE)
    result = register(head_ct, head_mr, preset=RIGID, engines=session, start="given", initial_transform=upside_down)
    assert error_mm(result, truth_ct_to_mr_lps) > 30
    assert result.verdict.word == "failed"
    assert any("agrees better" in sentence for sentence in result.verdict.against)
    assert any("failed" in warning for warning in result.warnings)


@pytest.mark.slow
def test_a_mirrored_phantom_is_found_out_or_said_to_be_symmetric(session, head_ct, head_mr):
    axis = int(np.argmax(np.abs(np.linalg.inv(MR_POSE)[0, :3] @ MR_GRID.ijk_to_lps[:3, :3] / MR_GRID.spacing_mm)))
    flips = [axis == a for a in range(3)]
    image = sitk.Flip(head_mr.image, flips)
    image.CopyInformation(head_mr.image)
    result = register(head_ct, Volume(image, "mirrored"), preset=RIGID, engines=session)
    facts = (*result.verdict.against, *result.verdict.facts)
    assert any("mirrored" in sentence for sentence in facts)


@pytest.mark.slow
def test_noise_is_not_verified(session, head_ct, head_mr):
    noise = np.random.default_rng(3).normal(size=head_mr.voxels.shape).astype(np.float32)
    image = sitk.GetImageFromArray(noise)
    image.CopyInformation(head_mr.image)
    result = register(head_ct, Volume(image, "noise"), preset=RIGID, engines=session)
    assert result.verdict.word == "failed"


@pytest.mark.story("U18")
@pytest.mark.slow
def test_bounds_hold_for_the_whole_run_and_are_reported(session, head_ct, head_mr, truth_ct_to_mr_lps):
    center = CT_GRID.center_lps
    off = rigid([0.2, 1, 0.1], 20, [0, 0, 0])
    off[:3, 3] = center - off[:3, :3] @ center + [12, -9, 0]
    given = truth_ct_to_mr_lps @ off
    around = {"initial_transform": given, "max_translation_mm": 40}
    near = register(head_ct, head_mr, preset=RIGID, engines=session, max_rotation_deg=30, **around)
    assert error_mm(near, truth_ct_to_mr_lps) < 0.8
    assert near.bounds_touched == ()
    tight = register(head_ct, head_mr, preset=RIGID, engines=session, max_rotation_deg=8, **around)
    assert tight.rotated_deg <= 8 + 1e-6
    assert tight.bounds_touched == ("the largest rotation of 8 degrees",)
    assert tight.verdict.word != "verified"


@pytest.mark.slow
def test_cancel_during_the_search(session, head_ct, head_mr):
    cancel = threading.Event()
    asked = []

    def on_progress(progress):
        if progress.stage == "searching all poses" and progress.fraction > 0.05 and not asked:
            asked.append(time.perf_counter())
            cancel.set()

    with pytest.raises(Cancelled):
        register(head_ct, head_mr, preset=RIGID, engines=session, cancel=cancel, on_progress=on_progress)
    assert time.perf_counter() - asked[0] < 1.5


def test_start_methods(head_ct, head_mr):
    for method, words in (("auto", "positions in the files"), ("given", "positions in the files")):
        start, said = start_of(method, head_ct, head_mr)
        np.testing.assert_array_equal(start, np.eye(4))
        assert words in said
    center, _ = start_of("center", head_ct, head_mr)
    np.testing.assert_allclose(apply_matrix(center, CT_GRID.center_lps), MR_GRID.center_lps, atol=1e-9)
    given, said = start_of("given", head_ct, head_mr, rigid([0, 0, 1], 5, [1, 2, 3]))
    assert "T0.tfm" in said
    np.testing.assert_array_equal(given, rigid([0, 0, 1], 5, [1, 2, 3]))


def test_moments_put_the_centres_of_mass_together():
    """The same head, moved within a large field of view: its centre of mass moves with it."""
    pose = CT_POSE @ rigid([0, 0, 1], 0, [18, -12, 9])
    here, there = make_head("T2", CT_GRID, CT_POSE, seed=1), make_head("T2", CT_GRID, pose, seed=2)
    start = moments_start(here, there)
    np.testing.assert_allclose(start[:3, 3], CT_POSE[:3, :3] @ [18, -12, 9], atol=2.0)
    np.testing.assert_array_equal(start[:3, :3], np.eye(3))


@pytest.mark.parametrize("method", ["center", "moments"])
def test_a_start_that_does_not_use_the_initial_transform_is_refused(head_ct, head_mr, method):
    with pytest.raises(InputError, match="does not use it"):
        start_of(method, head_ct, head_mr, np.eye(4))


def test_an_unknown_start_is_refused(head_ct, head_mr):
    with pytest.raises(InputError, match="auto, center, moments, given"):
        start_of("centre", head_ct, head_mr)


@pytest.mark.slow
def test_an_affine_result_keeps_its_stretch_within_bounds(session, head_ct):
    stretch = np.array([[1.06, 0.03, 0, 0], [0, 0.95, 0.02, 0], [0, 0, 1.04, 0], [0, 0, 0, 1]])
    far = rigid([0, 1, 0.3], 150, [90, 40, -60])
    stretched = moved(make_head("T1", MR_GRID, MR_POSE @ stretch, seed=2), far)
    truth = far @ MR_POSE @ stretch @ np.linalg.inv(CT_POSE)
    result = register(head_ct, stretched, preset=find_preset("affine"), engines=session)
    assert error_mm(result, truth) < 1.2
    assert result.verdict.word == "verified", result.verdict.against


@pytest.mark.slow
def test_a_far_initial_transform_does_not_lead_astray(session, head_ct, head_mr, truth_ct_to_mr_lps):
    far = rigid([0, 0, 1], 80, [0, 2000, 0])
    result = register(head_ct, head_mr, preset=RIGID, engines=session, initial_transform=far, verdict=False)
    assert error_mm(result, truth_ct_to_mr_lps) < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ants", "simpleitk"])
def test_other_engines_from_the_other_way_up(engine, head_ct, head_mr, truth_ct_to_mr_lps):
    far = rigid([1, 0.3, -0.2], 176, [150, -110, 80])
    result = register(head_ct, moved(head_mr, far), preset=affordable("rigid", engine), engine=engine)
    assert error_mm(result, far @ truth_ct_to_mr_lps) < 0.8
    assert result.verdict.word == "verified", result.verdict.against


@pytest.mark.slow
def test_masks_of_one_of_two_regions_with_the_search(session, head_ct, head_mr, truth_ct_to_mr_lps):
    mask = sitk.Cast(sitk.BinaryDilate(head_ct.image > -300, (2, 2, 1)), sitk.sitkUInt8)
    far = rigid([1, 0.3, -0.2], 100, [50, -110, 80])
    result = register(head_ct, moved(head_mr, far), preset=RIGID, engines=session, fixed_mask=Volume(mask, "head mask"))
    assert error_mm(result, far @ truth_ct_to_mr_lps) < 1.0


@pytest.mark.parametrize("wrong", [{"max_rotation_deg": -1.0}, {"max_translation_mm": float("nan")}, {"seed": 0}])
def test_numbers_out_of_range_are_refused(head_ct, head_mr, wrong):
    with pytest.raises(InputError, match="was given"):
        register(head_ct, head_mr, preset=RIGID, **wrong)
