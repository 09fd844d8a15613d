"""Engines on the phantom, whose pose is known: accuracy, masks, reproducibility, symmetry, both directions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, rigid
from MultimodalRegistrationLib.engines.catalogue import ENGINES
from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.linear import displacement_mm, is_rigid
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.presets.store import find_preset, preset_files
from MultimodalRegistrationLib.registration.run import register

pytestmark = pytest.mark.slow
TARGETS = target_points_lps(CT_POSE)
# A third of the smaller voxel edge, for the mean over targets; noise and partial volume included.
LIMIT_MM = 0.8


def error_mm(result, truth):
    return float(displacement_mm(result.fixed_to_moving_lps, truth, TARGETS).mean())


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("preset", ["rigid", "ct-mr-head-rigid", "ct-mr-bone-rigid"])
def test_ct_to_mr_rigid(engine, preset, head_ct, head_mr, truth_ct_to_mr_lps):
    result = register(head_ct, head_mr, preset=find_preset(preset), engine=engine)
    assert error_mm(result, truth_ct_to_mr_lps) < LIMIT_MM
    assert is_rigid(result.fixed_to_moving_lps)
    assert result.mutual_information_at_end > result.mutual_information_at_start


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_pet_to_mr(engine, head_mr):
    pet = make_head("PET", CT_GRID, CT_POSE, seed=3)
    blurred = Volume(sitk.SmoothingRecursiveGaussian(pet.image, 2.5), "PET")
    result = register(blurred, head_mr, preset=find_preset("pet-mr-rigid"), engine=engine)
    assert error_mm(result, MR_POSE @ np.linalg.inv(CT_POSE)) < 1.5


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_affine_finds_scale_and_shear(engine, head_ct):
    stretch = np.array([[1.08, 0.04, 0, 0], [0, 0.94, 0.03, 0], [0, 0, 1.05, 0], [0, 0, 0, 1]])
    stretched = make_head("T1", MR_GRID, MR_POSE @ stretch, seed=2)
    truth = MR_POSE @ stretch @ np.linalg.inv(CT_POSE)
    result = register(head_ct, stretched, preset=find_preset("affine"), engine=engine)
    rigid_result = register(head_ct, stretched, preset=find_preset("rigid"), engine=engine)
    assert error_mm(result, truth) < 1.2
    assert error_mm(rigid_result, truth) > 2, "the stretch is large enough to matter"


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_same_seed_same_transform(engine, head_ct, head_mr):
    preset = find_preset("rigid")
    first, second = (register(head_ct, head_mr, preset=preset, engine=engine, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.fixed_to_moving_lps, second.fixed_to_moving_lps)
    other = register(head_ct, head_mr, preset=preset, engine=engine, seed=6)
    if engine != "ants":  # Its regular sampling draws nothing.
        assert not np.array_equal(first.fixed_to_moving_lps, other.fixed_to_moving_lps)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_swapped_volumes_give_the_inverse(engine, head_ct, head_mr):
    preset = find_preset("rigid")
    forward = register(head_ct, head_mr, preset=preset, engine=engine)
    backward = register(head_mr, head_ct, preset=preset, engine=engine)
    assert {forward.sampled, backward.sampled} == {"fixed", "moving"}
    np.testing.assert_allclose(np.linalg.inv(backward.fixed_to_moving_lps), forward.fixed_to_moving_lps, atol=1e-6)


def test_the_two_sampling_directions_agree(head_ct, head_mr, truth_ct_to_mr_lps):
    """Independent of the choice of the sampled volume: padding turns it round without adding information."""
    preset = find_preset("rigid")
    results = {}
    for name, crop in (("ct", head_ct), ("mr", head_mr)):
        size = crop.grid.size
        smaller = Volume(crop.image[4 : size[0] - 4, 4 : size[1] - 4, 3 : size[2] - 3], "cropped")
        pair = (smaller, head_mr) if name == "ct" else (head_ct, smaller)
        results[name] = register(*pair, preset=preset, engine="elastix")
    assert error_mm(results["ct"], truth_ct_to_mr_lps) < LIMIT_MM
    assert error_mm(results["mr"], truth_ct_to_mr_lps) < LIMIT_MM


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("side", ["fixed", "moving", "both"])
def test_masks_keep_a_decoy_out(engine, side, head_ct, head_mr, truth_ct_to_mr_lps):
    """Both scans show a bright block that did not move with the head; masks on either side exclude it."""
    with_decoy, masks = [], []
    for volume, bright in ((head_ct, 2500.0), (head_mr, 1500.0)):
        image = sitk.Image(volume.image)
        points = volume.grid.center_lps + np.array([0.0, -70.0, 10.0])
        i, j, k = image.TransformPhysicalPointToIndex(points.tolist())
        slices = tuple(slice(max(0, c - 9), c + 9) for c in (i, j, k))
        image[slices] = bright
        mask = sitk.Image(image.GetSize(), sitk.sitkUInt8) + 1
        mask.CopyInformation(image)
        mask[slices] = 0
        with_decoy.append(Volume(image, volume.name))
        masks.append(Volume(mask, "mask"))
    chosen = {
        "fixed_mask": masks[0] if side in ("fixed", "both") else None,
        "moving_mask": masks[1] if side in ("moving", "both") else None,
    }
    # From near the truth, where the decoy is what matters.
    start = truth_ct_to_mr_lps @ rigid([1, 1, 0], 4, [4, -3, 5])
    options = {"preset": find_preset("rigid"), "engine": engine, "initial_fixed_to_moving_lps": start}
    masked = error_mm(register(*with_decoy, **options, **chosen), truth_ct_to_mr_lps)
    unmasked = error_mm(register(*with_decoy, **options), truth_ct_to_mr_lps)
    assert masked < unmasked
    if side == "both":
        assert masked < LIMIT_MM


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_an_affine_start_with_shear_is_honoured(engine, head_ct, head_mr, truth_ct_to_mr_lps):
    shear = np.array([[1.02, 0.03, 0, 2], [0, 0.99, 0, -3], [0, 0.02, 1, 4], [0, 0, 0, 1]])
    start = truth_ct_to_mr_lps @ CT_POSE @ shear @ np.linalg.inv(CT_POSE)
    result = register(head_ct, head_mr, preset=find_preset("affine"), engine=engine, initial_fixed_to_moving_lps=start)
    assert error_mm(result, truth_ct_to_mr_lps) < 1.2


def test_a_start_far_away_is_refused(head_ct, head_mr):
    with pytest.raises(InputError, match="no overlap"):
        register(
            head_ct, head_mr, preset=find_preset("rigid"), initial_fixed_to_moving_lps=rigid([0, 0, 1], 0, [0, 900, 0])
        )


def test_micrometres_are_noticed(head_ct, head_mr):
    image = sitk.Image(head_mr.image)
    image.SetSpacing([s / 1000 for s in image.GetSpacing()])
    with pytest.raises(InputError, match=r"times that of the other volume.*not in millimetres"):
        register(head_ct, Volume(image, "micro"), preset=find_preset("rigid"))


def test_a_preset_without_the_engine_is_refused():
    preset = find_preset("rigid")
    only_ants = dataclasses.replace(preset, engines={"ants": preset.engines["ants"]})
    with pytest.raises(InputError, match="no settings for the engine 'elastix'"):
        register(None, None, preset=only_ants, engine="elastix")


def test_inputs_are_not_changed(head_ct, head_mr):
    before = [sitk.Hash(volume.image) for volume in (head_ct, head_mr)]
    register(head_ct, head_mr, preset=find_preset("rigid"))
    assert before == [sitk.Hash(volume.image) for volume in (head_ct, head_mr)]


def test_every_preset_is_tested_here():
    assert set(preset_files()) == {"rigid", "affine", "ct-mr-head-rigid", "ct-mr-bone-rigid", "pet-mr-rigid"}
