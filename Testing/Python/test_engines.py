"""Engines on the phantom, whose pose is known: accuracy, masks, reproducibility, symmetry, both directions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from changed_presets import affordable, changed
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, centered_grid, rigid, rotation
from MultimodalRegistrationLib.api import register
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.linear import displacement_mm, is_rigid
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.catalogue import ENGINES
from MultimodalRegistrationLib.engines.presets.preset import find_preset, preset_files

pytestmark = pytest.mark.slow
TARGETS = target_points_lps(CT_POSE)
# A third of the smaller voxel edge, for the mean over targets; noise and partial volume included.
LIMIT_MM = 0.8


def run(fixed, moving, **options):
    """The engine alone, from the centres aligned or the start given."""
    start = "given" if "initial_transform" in options else "center"
    return register(fixed, moving, start=start, verdict=False, **options)


def error_mm(result, truth):
    return float(displacement_mm(result.fixed_to_moving_lps, truth, TARGETS).mean())


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("preset", ["rigid", "ct-mr-head-rigid", "ct-mr-bone-rigid"])
def test_ct_to_mr_rigid(engine, preset, head_ct, head_mr, truth_ct_to_mr_lps):
    # The default preset as it is, with every engine.
    settings = find_preset(preset) if preset == "rigid" else affordable(preset, engine)
    result = run(head_ct, head_mr, preset=settings, engine=engine)
    assert error_mm(result, truth_ct_to_mr_lps) < LIMIT_MM
    assert is_rigid(result.fixed_to_moving_lps)
    assert result.mutual_information_at_end > result.mutual_information_at_start


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_pet_to_mr(engine, head_mr):
    pet = make_head("PET", CT_GRID, CT_POSE, seed=3)
    blurred = Volume(sitk.SmoothingRecursiveGaussian(pet.image, 2.5), "PET")
    result = run(blurred, head_mr, preset=find_preset("pet-mr-rigid"), engine=engine)
    assert error_mm(result, MR_POSE @ np.linalg.inv(CT_POSE)) < 1.5


@pytest.mark.parametrize("engine", ["elastix", "ants"])
def test_affine_finds_scale_and_shear(engine, head_ct):
    stretch = np.array([[1.08, 0.04, 0, 0], [0, 0.94, 0.03, 0], [0, 0, 1.05, 0], [0, 0, 0, 1]])
    stretched = make_head("T1", MR_GRID, MR_POSE @ stretch, seed=2)
    truth = MR_POSE @ stretch @ np.linalg.inv(CT_POSE)
    # The pose without the stretch, 5 degrees and 7 mm off: what is asked here is the stretch.
    start = MR_POSE @ rigid([1, -1, 0.5], 5, [4, -3, 5]) @ np.linalg.inv(CT_POSE)
    options = {"engine": engine, "initial_transform": start}
    result = run(head_ct, stretched, preset=find_preset("affine"), **options)
    rigid_result = run(head_ct, stretched, preset=find_preset("rigid"), **options)
    assert error_mm(result, truth) < 1.2
    assert error_mm(rigid_result, truth) > 2, "the stretch is large enough to matter"


def cheap(engine):
    """Settings for what does not depend on how accurate the result is."""
    fewer = {
        "elastix": {"MaximumNumberOfIterations": 60},
        "ants": {"iterations": [30, 10, 3]},
        "simpleitk": {"samples": 10_000},
    }
    return changed("rigid", engine, fewer[engine])


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_same_seed_same_transform(engine, head_ct, head_mr):
    preset = cheap(engine)
    # By default an engine that repeats itself in parallel uses all cores, of which there may be one only.
    threads = 2 if ENGINES[engine].reproducible_in_parallel else None
    first, second = (run(head_ct, head_mr, preset=preset, engine=engine, seed=5, threads=threads) for _ in range(2))
    np.testing.assert_array_equal(first.fixed_to_moving_lps, second.fixed_to_moving_lps)
    other = run(head_ct, head_mr, preset=preset, engine=engine, seed=6)
    if engine != "ants":  # Its regular sampling draws nothing.
        assert not np.array_equal(first.fixed_to_moving_lps, other.fixed_to_moving_lps)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_swapped_volumes_give_the_inverse(engine, head_ct, head_mr):
    preset = cheap(engine)
    forward = run(head_ct, head_mr, preset=preset, engine=engine)
    backward = run(head_mr, head_ct, preset=preset, engine=engine)
    assert {forward.sampled, backward.sampled} == {"fixed", "moving"}
    np.testing.assert_allclose(np.linalg.inv(backward.fixed_to_moving_lps), forward.fixed_to_moving_lps, atol=1e-6)


def test_the_two_sampling_directions_agree(head_ct, head_mr, truth_ct_to_mr_lps):
    """Each volume in turn is cropped to be the smaller one, so that the engine samples it."""
    preset = find_preset("rigid")
    results = {}
    for name, crop in (("ct", head_ct), ("mr", head_mr)):
        size = crop.grid.size
        smaller = Volume(crop.image[4 : size[0] - 4, 4 : size[1] - 4, 3 : size[2] - 3], "cropped")
        pair = (smaller, head_mr) if name == "ct" else (head_ct, smaller)
        results[name] = run(*pair, preset=preset, engine="elastix")
    assert (results["ct"].sampled, results["mr"].sampled) == ("fixed", "moving")
    assert error_mm(results["ct"], truth_ct_to_mr_lps) < LIMIT_MM
    assert error_mm(results["mr"], truth_ct_to_mr_lps) < LIMIT_MM


def test_thick_slices(head_ct):
    """Slices of 10 mm, averaged over their thickness as a scanner does it, of a volume of nearly the same extent."""
    fine = centered_grid([88, 92, 120], [2.2, 2.2, 1.25], rotation([0.3, 1, -0.4], 16), [10, -14, 22])
    pose = rigid([0.5, 0.2, 1], 9, [6, -8, 5])
    scan = make_head("T1", fine, pose, seed=2)
    thick = Volume(sitk.BinShrink(scan.image, [1, 1, 8]), "thick")
    assert thick.grid.spacing_mm[2] == pytest.approx(10)
    truth = pose @ np.linalg.inv(CT_POSE)
    start = truth @ CT_POSE @ rigid([1, 1, 0], 3, [2, -2, 3]) @ np.linalg.inv(CT_POSE)
    result = run(head_ct, thick, preset=find_preset("rigid"), initial_transform=start)
    assert result.sampled == "moving"
    assert error_mm(result, truth) < LIMIT_MM


def two_heads(modality, axes, moves, seed):
    """A scan of two small heads side by side that moved differently, and a mask of the half that holds each."""
    grid = centered_grid([112, 74, 74], [1.7, 1.7, 1.8], axes, [0, 0, 0])
    half_size = np.diag([0.5, 0.5, 0.5, 1.0])
    scans, poses = [], []
    for side, move in zip((-45.0, 45.0), moves, strict=True):
        poses.append(rigid([0, 0, 1], 0, [side, 0, 0]) @ move @ half_size)
        scans.append(make_head(modality, grid, poses[-1], seed=seed))
    ones = sitk.Image(scans[0].image.GetSize(), sitk.sitkUInt8) + 1
    ones.CopyInformation(scans[0].image)
    x = sitk.Cast(sitk.PhysicalPointSource(sitk.sitkVectorFloat64, *_geometry(ones)), sitk.sitkVectorFloat64)
    x = sitk.VectorIndexSelectionCast(x, 0)
    left = sitk.Cast(x < 0, sitk.sitkUInt8)
    both = sitk.Cast(x < 0, sitk.sitkFloat32) * scans[0].image + sitk.Cast(x >= 0, sitk.sitkFloat32) * scans[1].image
    return Volume(both, f"two heads {modality}"), [Volume(left, "left half"), Volume(1 - left, "right half")], poses


def _geometry(image):
    return image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()


@pytest.fixture(scope="module")
def two_scans_of_two_heads():
    still = [np.eye(4), np.eye(4)]
    moves = [rigid([0.3, -0.2, 1], 6, [2, -3, 1]), rigid([-0.2, 0.4, 1], -6, [-2, 3, -2])]
    ct = two_heads("CT", rotation([1, 0, 1], 5), still, seed=1)
    mr = two_heads("T1", rotation([0, 1, 0], 6), moves, seed=2)
    return ct, mr


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("sides", [["fixed_mask"], ["moving_mask"], ["fixed_mask", "moving_mask"]], ids="+".join)
def test_the_mask_says_which_of_two_heads_is_registered(two_scans_of_two_heads, engine, sides):
    (ct, ct_masks, ct_poses), (mr, mr_masks, mr_poses) = two_scans_of_two_heads
    for half in (0, 1):
        masks = {"fixed_mask": ct_masks[half], "moving_mask": mr_masks[half]}
        chosen = {side: masks[side] for side in sides}
        result = run(ct, mr, preset=affordable("rigid", engine), engine=engine, **chosen)
        targets = target_points_lps(ct_poses[half])
        errors = [
            displacement_mm(result.fixed_to_moving_lps, mr_poses[n] @ np.linalg.inv(ct_poses[n]), targets).mean()
            for n in (half, 1 - half)
        ]
        assert errors[0] < LIMIT_MM
        assert errors[1] > 5, "the other head moved otherwise"


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_start_with_shear_is_honoured(engine, head_ct, truth_ct_to_mr_lps):
    """A rigid run from a sheared start keeps the shear: nothing but the start can have brought it in."""
    shear = np.array([[1.06, 0.05, 0, 0], [0, 0.95, 0.03, 0], [0, 0, 1.04, 0], [0, 0, 0, 1]])
    sheared_mr = make_head("T1", MR_GRID, MR_POSE @ shear, seed=2)
    truth = MR_POSE @ shear @ np.linalg.inv(CT_POSE)
    # Off by a rigid move in the space of the moving volume, which is the one that is sampled and moved rigidly here.
    off = MR_POSE @ rigid([1, 1, 0.3], 4, [3, -2, 4]) @ np.linalg.inv(MR_POSE)
    preset = affordable("rigid", engine)
    result = run(head_ct, sheared_mr, preset=preset, engine=engine, initial_transform=off @ truth)
    assert result.sampled == "moving"
    assert not is_rigid(result.fixed_to_moving_lps, 0.01)
    assert error_mm(result, truth) < 1.2


def test_equal_grids_are_swapped_consistently():
    """Two scans on one grid: the sampled volume is chosen by content, not by role."""
    grid = centered_grid([64, 72, 60], [2.6, 2.6, 3.0], rotation([0, 1, 1], 9), [0, 0, 0])
    t1 = make_head("T1", grid, rigid([1, 0, 0], 4, [2, -3, 1]), seed=1)
    t2 = make_head("T2", grid, rigid([0, 1, 0.4], -5, [-4, 2, 3]), seed=2)
    preset = find_preset("rigid")
    forward, backward = run(t1, t2, preset=preset), run(t2, t1, preset=preset)
    assert {forward.sampled, backward.sampled} == {"fixed", "moving"}
    np.testing.assert_allclose(np.linalg.inv(backward.fixed_to_moving_lps), forward.fixed_to_moving_lps, atol=1e-6)


def test_a_small_and_thin_mask_on_the_larger_volume(head_ct, head_mr, truth_ct_to_mr_lps):
    """The masked side is sampled, and elastix does not erode the mask away."""
    mask = Volume(sitk.BinaryDilate(head_ct.image > 700, (2, 2, 1)), "skull")
    assert mask.voxels.mean() < 0.25
    start = truth_ct_to_mr_lps @ CT_POSE @ rigid([1, 1, 0], 3, [2, -2, 3]) @ np.linalg.inv(CT_POSE)
    result = run(head_ct, head_mr, preset=find_preset("rigid"), initial_transform=start, fixed_mask=mask)
    assert result.sampled == "fixed"
    assert error_mm(result, truth_ct_to_mr_lps) < 1.5


def test_a_start_far_away_is_refused(head_ct, head_mr):
    with pytest.raises(InputError, match="no overlap"):
        run(head_ct, head_mr, preset=find_preset("rigid"), initial_transform=rigid([0, 0, 1], 0, [0, 900, 0]))


def test_micrometres_are_noticed(head_ct, head_mr):
    image = sitk.Image(head_mr.image)
    image.SetSpacing([s / 1000 for s in image.GetSpacing()])
    with pytest.raises(InputError, match=r"times that of the other volume.*not in millimetres"):
        run(head_ct, Volume(image, "micro"), preset=find_preset("rigid"))


def test_a_preset_without_the_engine_is_refused(head_ct, head_mr):
    preset = find_preset("rigid")
    only_ants = dataclasses.replace(preset, engines={"ants": preset.engines["ants"]})
    with pytest.raises(InputError, match="no settings for the engine 'elastix'"):
        run(head_ct, head_mr, preset=only_ants, engine="elastix")


def test_inputs_are_not_changed(head_ct, head_mr):
    before = [sitk.Hash(volume.image) for volume in (head_ct, head_mr)]
    run(head_ct, head_mr, preset=find_preset("rigid"))
    assert before == [sitk.Hash(volume.image) for volume in (head_ct, head_mr)]


@pytest.mark.parametrize("engine", ["elastix", "ants"])
def test_similarity_finds_one_scale(engine, head_ct):
    """Tissue that shrank by 8 %."""
    shrunk = np.diag([0.92, 0.92, 0.92, 1.0])
    pose = MR_POSE @ shrunk
    truth = pose @ np.linalg.inv(CT_POSE)
    start = MR_POSE @ rigid([1, 1, 0.3], 3, [2, -2, 3]) @ np.linalg.inv(CT_POSE)
    result = run(
        head_ct,
        make_head("T1", MR_GRID, pose, seed=2),
        preset=find_preset("similarity"),
        engine=engine,
        initial_transform=start,
    )
    scale = np.cbrt(np.linalg.det(result.fixed_to_moving_lps[:3, :3]))
    assert scale == pytest.approx(0.92, abs=0.01)
    singular = np.linalg.svd(result.fixed_to_moving_lps[:3, :3], compute_uv=False)
    assert singular.max() / singular.min() < 1 + 1e-5, "nothing but one scale"
    assert error_mm(result, truth) < LIMIT_MM


def test_every_preset_is_tested():
    here = {"rigid", "similarity", "affine", "ct-mr-head-rigid", "ct-mr-bone-rigid", "pet-mr-rigid"}
    in_test_stages = {"deformable", "warp"}
    assert set(preset_files()) == here | in_test_stages
