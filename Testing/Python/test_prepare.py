"""What the engine gets: placement, masks, intensities, and which volume is sampled."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, centered_grid, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import has_coarse_voxels, has_thick_slices
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.volume import Volume, box_of_marked, some_marked
from MultimodalRegistrationLib.engines.jobs import EngineVolume
from MultimodalRegistrationLib.register import prepare
from MultimodalRegistrationLib.register.overlap import check_overlap, overlap_fraction
from MultimodalRegistrationLib.register.similarity import mutual_information, mutual_information_of_samples
from MultimodalRegistrationLib.register.slice_profile import averaged_over_slices
from MultimodalRegistrationLib.register.start import center_start

THIN_GRID = centered_grid([9, 9, 9], [1, 1, 1], np.eye(3), [0, 0, 0])
MOVE = rigid([0.4, 0.2, -1], 33, [20, -35, 50])


def value_at(volume, points_lps):
    """Trilinear values, by SimpleITK."""
    return np.array([volume.image.EvaluateAtPhysicalPoint(p.tolist(), sitk.sitkLinear) for p in points_lps])


def test_center_start_puts_centres_together():
    start = center_start(CT_GRID, MR_GRID)
    np.testing.assert_allclose(apply_matrix(start, CT_GRID.center_lps), MR_GRID.center_lps, atol=1e-9)


def test_a_rigid_move_changes_the_header_only(head_ct):
    moved = prepare.orthogonal_volume(head_ct, MOVE)
    np.testing.assert_array_equal(moved.voxels, head_ct.voxels)
    np.testing.assert_allclose(moved.grid.ijk_to_lps, MOVE @ CT_GRID.ijk_to_lps, atol=1e-9)
    np.testing.assert_allclose(head_ct.grid.ijk_to_lps, CT_GRID.ijk_to_lps, atol=1e-12)


@pytest.mark.parametrize("grid", [CT_GRID, MR_GRID], ids=["flipped", "oblique"])
def test_a_sheared_move_is_resampled_to_an_orthogonal_grid_that_encloses_all(grid):
    smooth = make_head("T1", grid, CT_POSE if grid is CT_GRID else MR_POSE, noise=0)
    shear = MOVE @ np.array([[1.1, 0.1, 0, 0], [0, 0.9, 0.05, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    moved = prepare.orthogonal_volume(smooth, shear)
    assert moved.grid.is_orthogonal
    assert moved.grid.contains(apply_matrix(shear, grid.center_lps + 0.99 * (grid.corners_lps - grid.center_lps))).all()
    points = target_points_lps(CT_POSE if grid is CT_GRID else MR_POSE)
    points = points[grid.contains(points)]
    before, after = value_at(smooth, points), value_at(moved, apply_matrix(shear, points))
    # Interpolating twice blurs edges; inside the tissues the values are the same.
    assert np.median(np.abs(before - after)) < 5
    assert np.corrcoef(before, after)[0, 1] > 0.97


def test_the_volume_with_the_smaller_field_of_view_is_sampled(head_ct, head_mr):
    assert prepare.sample_moving(head_ct, head_mr) != prepare.sample_moving(head_mr, head_ct)
    crop = Volume(head_ct.image[20:60, 20:60, 10:40], "crop")
    assert prepare.sample_moving(head_ct, crop)
    padded = Volume(sitk.ConstantPad(crop.image, (40, 40, 40), (40, 40, 40), -3000.0), "padded crop")
    assert prepare.sample_moving(head_ct, padded), "padding is no field of view"


def test_the_volume_with_thick_slices_is_sampled(head_ct, head_mr):
    thin, thick = (head_ct, head_mr) if prepare.sample_moving(head_mr, head_ct) else (head_mr, head_ct)
    assert not prepare.sample_moving(thin, thick), "the smaller one is sampled"
    few = Volume(sitk.Image(thick.image), "thick")
    few.image.SetSpacing([few.image.GetSpacing()[0], few.image.GetSpacing()[1], 10.0])
    few = Volume(few.image[:, :, : int(thick.grid.extent_mm[2] / 10)], "thick")
    assert has_thick_slices(few.grid, thin.grid)
    assert not has_thick_slices(thin.grid, few.grid)
    assert prepare.sample_moving(thin, few)
    assert not prepare.sample_moving(few, thin)
    # Not where most of its samples would miss the other.
    small = Volume(thin.image[20:40, 20:40, 10:30], "small")
    assert has_thick_slices(few.grid, small.grid)
    assert not prepare.sample_moving(small, few)
    # Neither two alike nor thin ones are thick.
    assert not has_thick_slices(few.grid, few.grid)
    assert not has_thick_slices(centered_grid([9, 9, 9], [1, 1, 4.9], np.eye(3), [0, 0, 0]), THIN_GRID)
    assert has_thick_slices(centered_grid([9, 9, 9], [5.1, 1, 1], np.eye(3), [0, 0, 0]), THIN_GRID)


def test_the_volume_with_coarse_voxels_is_sampled(head_ct, head_mr):
    fine, other = (head_ct, head_mr) if prepare.sample_moving(head_mr, head_ct) else (head_mr, head_ct)
    coarse = Volume(sitk.BinShrink(other.image, [3, 3, 3]), "coarse")
    assert has_coarse_voxels(coarse.grid, fine.grid)
    assert not has_coarse_voxels(fine.grid, coarse.grid)
    assert not prepare.sample_moving(fine, other), "the smaller one is sampled"
    assert prepare.sample_moving(fine, coarse)
    assert not prepare.sample_moving(coarse, fine)
    small = Volume(fine.image[20:40, 20:40, 10:30], "small")
    assert has_coarse_voxels(coarse.grid, small.grid)
    assert not prepare.sample_moving(small, coarse), "most of its samples would miss the other"
    assert not has_coarse_voxels(coarse.grid, coarse.grid)
    assert has_coarse_voxels(centered_grid([9, 9, 9], [4, 2, 1], np.eye(3), [0, 0, 0]), THIN_GRID)
    assert not has_coarse_voxels(centered_grid([9, 9, 9], [3.9, 2, 1], np.eye(3), [0, 0, 0]), THIN_GRID)


def test_a_volume_is_averaged_over_the_slices_of_another():
    """A ramp stays a ramp; a plane across the slices becomes as wide as a slice, one along them stays."""
    axes = rotation([1, -0.5, 2], 30)
    grid = centered_grid([41, 41, 41], [1, 1, 1], axes, [5, -3, 8])
    thick = centered_grid([10, 12, 5], [1.5, 1.5, 8], axes, [0, 0, 0])
    ramp = np.arange(41, dtype=np.float32)[:, None, None] + np.zeros((41, 41, 41), dtype=np.float32)
    found = averaged_over_slices(EngineVolume(ramp, grid), thick)
    np.testing.assert_allclose(found.voxels[8:-8], ramp[8:-8], atol=1e-3)
    assert found.voxels.dtype == np.float32
    across, along = np.zeros_like(ramp), np.zeros_like(ramp)
    across[20], along[:, :, 20] = 1, 1
    blurred = averaged_over_slices(EngineVolume(across, grid), thick).voxels[:, 20, 20]
    assert blurred.sum() == pytest.approx(1, abs=1e-3)
    assert np.sqrt((blurred * (np.arange(41) - 20) ** 2).sum()) == pytest.approx(8 / np.sqrt(12), rel=0.05)
    np.testing.assert_allclose(averaged_over_slices(EngineVolume(along, grid), thick).voxels, along, atol=1e-3)


def test_mask_on_another_grid_is_resampled(head_ct, head_mr):
    ball = make_head("PET", MR_GRID, CT_POSE, noise=0)
    mask = Volume(ball.image > 2, "mask")
    placed, resampled = prepare.mask_on_grid(mask, head_ct)
    assert resampled
    assert placed.grid == head_ct.grid
    points = target_points_lps(CT_POSE)
    points = points[head_ct.grid.contains(points) & MR_GRID.contains(points)]
    agree = [mask.image.EvaluateAtPhysicalPoint(p.tolist(), sitk.sitkNearestNeighbor) for p in points]
    here = [placed.image.EvaluateAtPhysicalPoint(p.tolist(), sitk.sitkNearestNeighbor) for p in points]
    assert np.mean(np.equal(agree, here)) > 0.9
    assert prepare.mask_on_grid(placed, head_ct) == (placed, False)


def test_mask_beside_the_volume_is_refused(head_ct):
    far = Volume(sitk.Image(head_ct.image) > -2000, "far mask")
    far.image.SetOrigin((5000, 0, 0))
    with pytest.raises(InputError, match="marks nothing inside"):
        prepare.mask_on_grid(far, head_ct)


def test_a_view_of_voxels_outlives_its_volume():
    view = Volume(sitk.Image(50, 60, 70, sitk.sitkUInt8) + 1, "gone").voxels[5:]
    others = [sitk.Image(50, 60, 70, sitk.sitkUInt8) + 7 for _ in range(4)]
    assert (view == 1).all()
    assert len(others) == 4


def test_outliers_are_clipped_and_the_volume_is_left_alone(head_ct):
    image = sitk.Image(head_ct.image)
    image[40, 40, 20] = 30_000
    before = sitk.GetArrayFromImage(image)
    copy = prepare.engine_volume(Volume(image, "metal"), None, (0.1, 99.9))
    assert copy.voxels.max() < 1500
    assert copy.voxels.dtype == np.float32
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), before)


def test_a_mask_without_contrast_is_refused(head_ct):
    image = sitk.Image(head_ct.image)
    image[10:20, 10:20, 10:20] = 40
    mask = image * 0
    mask[12:18, 12:18, 12:18] = 1
    with pytest.raises(InputError, match="same value"):
        prepare.engine_volume(Volume(image, "v"), Volume(sitk.Cast(mask, sitk.sitkUInt8), "m"), (0.1, 99.9))


def test_overlap_of_shifted_boxes():
    image = sitk.Image(40, 40, 40, sitk.sitkFloat32)
    box = Volume(image, "box")
    for shift, share in ((0, 1.0), (10, 0.75), (30, 0.25), (41, 0.0)):
        matrix = rigid([0, 0, 1], 0, [shift, 0, 0])
        assert overlap_fraction(box, box, matrix) == pytest.approx(share, abs=0.02)
    small = Volume(image[10:20, 10:20, 10:20], "small")
    assert overlap_fraction(box, small, np.eye(4)) == 1.0
    assert overlap_fraction(small, box, np.eye(4)) == 1.0


def test_overlap_of_masks():
    image = sitk.Image(40, 40, 40, sitk.sitkFloat32)
    left, right = sitk.Image(image), sitk.Image(image)
    left[:20] = 1
    right[15:] = 1
    share = overlap_fraction(
        Volume(image, "a"),
        Volume(image, "b"),
        np.eye(4),
        fixed_mask=Volume(left > 0, "left"),
        moving_mask=Volume(right > 0, "right"),
    )
    assert share == pytest.approx(0.25, abs=0.02)


def test_no_overlap_is_refused_with_the_start_and_masks_named():
    with pytest.raises(InputError, match="with the given initial transform, the two volumes have no overlap"):
        check_overlap(0.0, "f", "m", "the given initial transform", [])
    with pytest.raises(InputError, match="parts marked by a and b"):
        check_overlap(0.005, "f", "m", "the centres aligned", ["a", "b"])


def test_mutual_information_of_known_distributions():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 200_000).astype(np.float32)
    # Four equally likely values that determine each other carry ln 4; independent ones carry nothing.
    assert mutual_information_of_samples(a, 7 - 2 * a) == pytest.approx(np.log(4), abs=1e-3)
    assert mutual_information_of_samples(a, rng.permutation(a)) == pytest.approx(0, abs=1e-3)


def test_mutual_information_is_highest_at_the_truth(head_ct, head_mr, truth_ct_to_mr_lps):
    fixed = prepare.engine_volume(head_ct, None, (0.1, 99.9))
    moving = prepare.engine_volume(head_mr, None, (0.1, 99.9))
    at_truth = mutual_information(fixed, moving, truth_ct_to_mr_lps)
    for axis in np.eye(3):
        for angle, shift in ((8, 0), (-8, 0), (0, 8), (0, -8)):
            off = CT_POSE @ rigid(axis, angle, list(shift * axis)) @ np.linalg.inv(CT_POSE)
            assert mutual_information(fixed, moving, truth_ct_to_mr_lps @ off) < at_truth
    assert mutual_information(fixed, moving, rigid([0, 0, 1], 0, [900, 0, 0])) is None


@settings(deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    share=st.floats(0.02, 1),
    count=st.integers(1, 60),
    seed=st.integers(0, 99),
)
def test_marked_voxels_are_the_listed_ones(shape, share, count, seed):
    mask = (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)
    listed = np.argwhere(mask)[:, ::-1]
    np.testing.assert_array_equal(some_marked(mask, count), listed[:: max(1, len(listed) // count)])
    if len(listed):
        low, high = listed.min(axis=0), listed.max(axis=0) + 1
        assert box_of_marked(mask) == tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))


def test_rounding_does_not_decide_what_is_thick_or_coarse():
    """Thicknesses of 5 mm and voxels of 2 mm beside 1 mm are common, and matrices of oblique grids round them."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        axes = rotation(rng.normal(size=3), rng.uniform(0, 180))
        turned = centered_grid([9, 9, 9], [1, 1, 5], axes, [0, 0, 0]).moved(np.eye(4))
        assert has_thick_slices(turned, centered_grid([9, 9, 9], [1, 1, 2.5], np.eye(3), [0, 0, 0]))
        turned = centered_grid([9, 9, 9], [2, 2, 2], axes, [0, 0, 0]).moved(np.eye(4))
        assert has_coarse_voxels(turned, centered_grid([9, 9, 9], [1, 1, 1], np.eye(3), [0, 0, 0]))
