"""Evidence from two volumes: against direct computation, known shapes and known poses."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, centered_grid, real_cases, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.assess.images.evidence import image_evidence, pair_evidence, prepare_pair
from MultimodalRegistrationLib.assess.images.information import (
    NOTHING,
    Windows,
    information_of_joint,
    local_information,
    windows_on,
)
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, sitk_from_matrix, translation_matrix
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.register.overlap import overlap_fraction

TRUTH = MR_POSE @ np.linalg.inv(CT_POSE)
# A fine phantom, where the two faces of the skull are apart.
FINE_CT = centered_grid(
    [130, 150, 130], [1.5, 1.5, 1.8], rotation([1, 0.3, -0.2], 12) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
FINE_MR = centered_grid([120, 140, 130], [1.6, 1.7, 1.6], rotation([-0.2, 1, 0.5], 31), [-20, 24, 60])


def transform(matrix: np.ndarray, name: str = "t") -> SpatialTransform:
    return SpatialTransform.of_matrix(name, matrix)


def volume(grid: VolumeGrid, voxels: np.ndarray, name: str = "volume") -> Volume:
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels, dtype=np.float32))
    grid.place(image)
    return Volume(image, name)


def points_of(grid: VolumeGrid) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.size], indexing="ij"), axis=-1)
    return apply_matrix(grid.ijk_to_lps, index.transpose(2, 1, 0, 3))


def ball(grid: VolumeGrid, center_lps: np.ndarray, radius_mm: float, inside: float, outside: float) -> Volume:
    """A ball with a border of 2 mm."""
    depth = radius_mm - np.linalg.norm(points_of(grid) - center_lps, axis=-1)
    return volume(grid, outside + (inside - outside) * np.clip(depth / 2 + 0.5, 0, 1))


def off_center(matrix: np.ndarray, center_lps: np.ndarray) -> np.ndarray:
    return translation_matrix(center_lps) @ matrix @ translation_matrix(-np.asarray(center_lps))


def moves_off(center_lps: np.ndarray) -> list[np.ndarray]:
    """Five millimetres and ten degrees, in several directions."""
    directions = ([1, 0.2, 0.3], [0.4, -1, -0.1], [0.2, -0.3, 1])
    shifts = [5 * np.asarray(d) / np.linalg.norm(d) for d in directions]
    turns = [off_center(rigid(d, 10, [0, 0, 0]), center_lps) for d in directions]
    return [*(translation_matrix(shift) for shift in shifts), *turns]


def test_information_is_that_of_a_direct_histogram(head_ct, head_mr):
    pair = prepare_pair(head_ct, head_mr)
    evidence = pair_evidence(pair, transform(TRUTH))
    moved = pair.move(transform(TRUTH))
    direct = sitk.Resample(
        pair.moving_side.volume.image, pair.fixed_side.volume.image, sitk_from_matrix(TRUTH), sitk.sitkLinear, -1e6
    )
    inside = sitk.GetArrayFromImage(direct) > -1e5
    np.testing.assert_array_equal(moved.inside, inside)
    samples = pair.fixed_side.volume.voxels[inside], sitk.GetArrayFromImage(direct)[inside]
    borders = [[-1e9, *side.borders, 1e9] for side in (pair.fixed_side, pair.moving_side)]
    joint, _, _ = np.histogram2d(*samples, bins=borders)
    p = joint / joint.sum()

    def entropy(q):
        return -sum(x * np.log(x) for x in q.ravel() if x > 0)

    of_fixed, of_moving, together = entropy(p.sum(axis=1)), entropy(p.sum(axis=0)), entropy(p)
    assert evidence.mutual_information == pytest.approx(of_fixed + of_moving - together, abs=2e-3)
    assert evidence.normalized_mutual_information == pytest.approx((of_fixed + of_moving) / together, abs=1e-3)
    assert evidence.covered == pytest.approx(inside.mean(), abs=1e-9)


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=50, deadline=None)
def test_bounds_of_normalised_information(seed, classes):
    random = np.random.default_rng(seed)
    marginals = random.uniform(0.1, 1, classes), random.uniform(0.1, 1, classes)
    information, normalised = information_of_joint(np.outer(*marginals))
    assert information == pytest.approx(0, abs=1e-9)
    assert normalised == pytest.approx(1, abs=1e-9)
    _, normalised = information_of_joint(np.diag(marginals[0]))
    assert normalised == pytest.approx(2, abs=1e-9)
    _, normalised = information_of_joint(random.integers(0, 50, (classes, classes)) + np.eye(classes))
    assert 1 <= normalised <= 2
    assert information_of_joint(np.array([[7.0]])) == (0.0, 1.0)


@pytest.mark.parametrize("spacing_mm", [[1.0, 1.2, 4.0], [0.7, 0.7, 0.7]])
def test_a_volume_agrees_with_itself(spacing_mm):
    size = [60, 50, 20] if spacing_mm[2] > 1 else [170, 160, 150]
    grid = centered_grid(size, spacing_mm, rotation([1, 0.3, -0.2], 12) @ np.diag([1, 1, -1]), [12, -31, 40])
    scan = volume(grid, np.random.default_rng(2).normal(size=size[::-1]))
    evidence = image_evidence(scan, volume(grid, -3 * scan.voxels + 7), transform(np.eye(4)))
    assert evidence.normalized_mutual_information > 1.8
    assert evidence.gradient_agreement == pytest.approx(1, abs=1e-4)
    assert evidence.edges_of_fixed.p95_mm == pytest.approx(0, abs=1e-2)
    assert evidence.overlap == evidence.covered == 1


def test_two_modalities_agree_best_at_the_truth():
    ct, mr = make_head("CT", FINE_CT, CT_POSE, seed=1), make_head("T1", FINE_MR, MR_POSE, seed=2)
    pair = prepare_pair(ct, mr)
    best = pair_evidence(pair, transform(TRUTH))
    assert best.normalized_mutual_information > 1.15
    assert best.gradient_agreement > 0.7
    assert best.edges_of_fixed.median_mm < 1.0
    for move in moves_off(ct.grid.center_lps):
        other = pair_evidence(pair, transform(TRUTH @ move))
        assert other.mutual_information < 0.95 * best.mutual_information
        assert other.normalized_mutual_information < best.normalized_mutual_information - 0.02
        assert other.gradient_agreement < best.gradient_agreement - 0.02
        assert other.edges_of_fixed.median_mm > best.edges_of_fixed.median_mm + 0.2
        assert other.edges_of_moving.median_mm > best.edges_of_moving.median_mm + 0.2
    before = pair_evidence(pair, transform(np.eye(4)))
    assert before.gradient_agreement < 0.3
    assert before.edges_of_fixed.median_mm > 5


def test_a_real_pair_agrees_best_at_its_truth(real_data):
    case = real_cases()["stroke-t2"]
    fixed, moving = read_volume(real_data / case["fixed"]), read_volume(real_data / case["moving"])
    truth = np.asarray(case["truth_matrix_lps"])
    pair = prepare_pair(fixed, moving)
    best = pair_evidence(pair, transform(truth))
    for move in moves_off(fixed.grid.center_lps)[1::2]:
        other = pair_evidence(pair, transform(truth @ move))
        assert other.mutual_information < 0.8 * best.mutual_information
        assert other.normalized_mutual_information < best.normalized_mutual_information - 0.05
        assert other.gradient_agreement < best.gradient_agreement - 0.1
        assert other.edges_of_fixed.median_mm > best.edges_of_fixed.median_mm + 0.3
        assert other.edges_of_moving.median_mm > best.edges_of_moving.median_mm + 0.3


@pytest.mark.parametrize("shift_mm", [0.0, 1.0, 4.0])
def test_edges_of_a_shifted_ball(shift_mm):
    """Two spheres of one radius: from a point of the one to the other is | |p - shift| - R |."""
    fixed_grid = centered_grid([70, 60, 50], [1.5, 1.8, 2.2], rotation([1, 0.4, 0.2], 25), [10, -20, 30])
    pose = rigid([0.5, 1, -0.3], 40, [30, -12, 9])
    center, radius = np.array([12.0, -18.0, 29.0]), 28.0
    middle = apply_matrix(pose, center + np.array([3, -5, 2]))
    moving_grid = centered_grid([64, 66, 68], [1.7, 1.6, 1.5], rotation([0.1, -0.4, 1], 50), middle.tolist())
    # In position under the pose but for the shift, which is seen in the fixed volume.
    direction = np.array([0.48, -0.6, 0.64])
    fixed = ball(fixed_grid, center, radius, 900.0, 100.0)
    moving = ball(moving_grid, apply_matrix(pose, center + shift_mm * direction), radius, -3.0, 5.0)
    evidence = image_evidence(fixed, moving, transform(pose))
    random = np.random.default_rng(5).normal(size=(200_000, 3))
    sphere = radius * random / np.linalg.norm(random, axis=1, keepdims=True)
    expected = np.abs(np.linalg.norm(sphere - shift_mm * direction, axis=1) - radius)
    for found in (evidence.edges_of_fixed, evidence.edges_of_moving):
        assert found.median_mm == pytest.approx(np.median(expected), abs=0.25)
        assert found.mean_mm == pytest.approx(expected.mean(), abs=0.25)
        assert found.p95_mm == pytest.approx(np.percentile(expected, 95), abs=0.5)


def textured(grid: VolumeGrid, to_texture: np.ndarray, seed: int, *, size: int = 60) -> np.ndarray:
    """Blobs of some 8 mm that fill space."""
    image = sitk.SmoothingRecursiveGaussian(
        sitk.GetImageFromArray(np.random.default_rng(seed).normal(size=(size, size, size)).astype(np.float32)), 1.2
    )
    image.SetSpacing((3.0, 3.0, 3.0))
    image.SetOrigin([-3.0 * (size - 1) / 2] * 3)
    resampled = sitk.Resample(
        image,
        grid.size,
        sitk_from_matrix(to_texture),
        sitk.sitkBSpline,
        grid.origin_lps,
        grid.spacing_mm,
        grid.direction,
        0.0,
    )
    return sitk.GetArrayFromImage(resampled)


def test_maps_show_a_local_defect_at_its_place():
    fixed_grid = centered_grid(
        [56, 60, 30], [1.5, 1.4, 2.6], rotation([1, 0.4, 0.2], 25) @ np.diag([1, -1, 1]), [4, -3, 6]
    )
    moving_grid = centered_grid([70, 70, 66], [1.7, 1.6, 1.5], rotation([0.1, -0.4, 1], 50), [30, -20, 15])
    pose = rigid([0.5, 1, -0.3], 30, [28, -18, 9])
    back = np.linalg.inv(pose)
    defect = np.array([14.0, 8.0, -6.0])
    fixed = volume(fixed_grid, textured(fixed_grid, np.eye(4), seed=1))
    near = np.linalg.norm(apply_matrix(back, points_of(moving_grid)) - defect, axis=-1) < 14
    true, false = (textured(moving_grid, back, seed=seed) for seed in (1, 2))
    moving = volume(moving_grid, 300 - 40 * np.where(near, false, true))
    evidence = image_evidence(fixed, moving, transform(pose))
    for found, good in ((evidence.local_information, 0.5), (evidence.local_agreement, 0.5)):
        assert found.grid.coincides_with(fixed.grid)
        values = found.voxels
        known = values != NOTHING
        assert known.mean() > 0.8
        weak = points_of(found.grid)[known & (values < 0.4 * np.median(values[known]))]
        assert len(weak) > 50
        assert np.linalg.norm(weak.mean(axis=0) - defect) < 4
        assert np.median(values[known]) > good
    marked = np.linalg.norm(points_of(fixed_grid) - defect, axis=-1) < 11
    inside = image_evidence(fixed, moving, transform(pose), region=volume(fixed_grid, marked, "defect"))
    assert inside.gradient_agreement < 0.4 < evidence.gradient_agreement
    assert np.all(inside.local_information.voxels[~marked] == NOTHING)
    assert inside.covered == 1


def test_windows_spread_a_ramp_and_sum_their_cells():
    windows = Windows((20, 23, 26), (4, 4, 5), (18.0, 18.0, 18.0))
    k, j, i = np.meshgrid(*(np.arange(n) for n in windows.cells), indexing="ij")
    ramp = 1.0 + 2 * k + 3 * j - i
    spread = windows.spread(ramp, np.ones(ramp.shape, dtype=bool))
    assert spread.shape == windows.shape
    # Centres of cells keep their value.
    assert spread[4 + 1, 8 + 2, 10 + 2] == pytest.approx(1 + 2 * (1 - 0.125) + 3 * (2 + 0.125) - 2, abs=1e-5)
    sums = windows.sums(np.ones(ramp.shape))
    assert sums[0, 0, 0] == 8
    assert sums[2, 2, 2] == 27
    known = ramp > 4
    holes = windows.spread(ramp, known)
    assert np.all((holes == NOTHING) == ~known.repeat(4, 0).repeat(4, 1).repeat(5, 2)[:20, :23, :26])


def test_local_information_of_chance_is_near_zero():
    windows = Windows((12, 12, 12), (4, 4, 4), (12.0, 12.0, 12.0))
    random = np.random.default_rng(0)
    cells = windows.cell_of_voxels().ravel()
    fixed, moving = random.integers(0, 8, (2, cells.size))
    chance, count, varied = local_information((fixed * 8 + moving).astype(np.int32), cells, windows, 8)
    assert count[1, 1, 1] == 12**3
    assert chance[1, 1, 1] < 0.01
    assert varied.all()
    same, *_ = local_information((fixed * 9).astype(np.int32), cells, windows, 8)
    assert same[1, 1, 1] == pytest.approx(np.log(8), abs=0.03)


def test_windows_in_which_both_volumes_are_uniform_are_left_out():
    """Not those in which one of them is: there they disagree."""
    windows = Windows((12, 12, 36), (4, 4, 4), (12.0, 12.0, 12.0))
    cells = windows.cell_of_voxels().ravel()
    random = np.random.default_rng(0)
    place = np.broadcast_to(np.arange(36), windows.shape).ravel()
    fixed = np.where(place < 12, random.integers(0, 8, cells.size), 3)
    moving = np.where((place > 22) & (random.random(cells.size) < 0.005), 5, 1)
    *_, varied = local_information((fixed * 8 + moving).astype(np.int32), cells, windows, 8)
    assert varied[1, 1].tolist() == [True, True, True, True, False, False, False, False, False]


def test_a_nonlinear_transform_counts_like_the_linear_one_it_is(head_ct, head_mr):
    field = sitk.Image([8, 8, 8], sitk.sitkVectorFloat64, 3)
    composite = sitk.CompositeTransform([sitk_from_matrix(TRUTH), sitk.DisplacementFieldTransform(field)])
    same = SpatialTransform("composite", composite)
    assert same.matrix is None
    assert overlap_fraction(head_ct, head_mr, same) == pytest.approx(overlap_fraction(head_ct, head_mr, TRUTH))
    pair = prepare_pair(head_ct, head_mr)
    expected, found = (pair_evidence(pair, t) for t in (transform(TRUTH), same))
    assert found.mutual_information == pytest.approx(expected.mutual_information, abs=1e-4)
    assert found.gradient_agreement == pytest.approx(expected.gradient_agreement, abs=1e-4)


def test_large_volumes_are_coarsened_over_the_same_box():
    grid = centered_grid([256, 240, 100], [1, 1, 1.2], rotation([1, 0.3, -0.2], 12), [12, -31, 40])
    random = np.random.default_rng(3).normal(size=grid.size[::-1])
    pair = prepare_pair(volume(grid, random), volume(MR_GRID, random[:80, :64, :70]))
    assert np.prod(pair.grid.size) <= 3_000_000
    np.testing.assert_allclose(pair.grid.corners_lps, grid.corners_lps, atol=1e-6)
    assert max(pair.grid.spacing_mm) < 1.6


def test_volumes_apart_have_no_numbers(head_ct, head_mr):
    away = image_evidence(head_ct, head_mr, transform(translation_matrix([900, 0, 0])))
    assert away.overlap == away.covered == 0
    assert away.mutual_information is away.normalized_mutual_information is away.gradient_agreement is None
    assert away.edges_of_fixed is away.edges_of_moving is None
    assert np.all(away.local_information.voxels == NOTHING)
    assert np.all(away.local_agreement.voxels == NOTHING)


def test_what_cannot_be_judged_is_named(head_ct, head_mr):
    away = volume(centered_grid([9, 9, 9], [1, 1, 1], np.eye(3), [900, 0, 0]), np.ones((9, 9, 9)), "away.nrrd")
    with pytest.raises(InputError, match=r"away\.nrrd: the region marks nothing"):
        image_evidence(head_ct, head_mr, transform(TRUTH), region=away)
    shear = np.eye(4)
    shear[0, 1] = 0.3
    sheared = volume(VolumeGrid.of_matrix((9, 9, 9), shear), np.arange(729).reshape(9, 9, 9), "sheared.nrrd")
    with pytest.raises(InputError, match=r"sheared\.nrrd: its axes are not at right angles"):
        image_evidence(head_ct, sheared, transform(TRUTH))


def test_windows_grow_where_voxels_are_few():
    fine = windows_on(FINE_CT)
    assert max(fine.size_mm) < 20
    assert windows_on(CT_GRID).voxels >= 700


def test_noise_in_the_air_has_no_colours_in_the_maps(head_ct, head_mr, truth_ct_to_mr_lps):
    """MR noise varies from voxel to voxel, so its windows are not uniform; there is nothing to compare all the same."""
    noisy = head_mr.voxels + np.random.default_rng(3).rayleigh(20, head_mr.voxels.shape).astype(np.float32)
    image = sitk.GetImageFromArray(noisy.astype(np.float32))
    head_mr.grid.place(image)
    found = image_evidence(head_ct, Volume(image, "noisy"), transform(truth_ct_to_mr_lps, "truth"))
    grid = found.local_information.grid
    # Beside the head: its half axes are below 110 mm.
    far = np.linalg.norm(grid.points_lps - CT_POSE[:3, 3], axis=1).reshape(grid.size[::-1]) > 130
    assert far.mean() > 0.1
    for one in (found.local_information, found.local_agreement):
        assert np.all(one.voxels[far] == NOTHING)
        assert np.mean(one.voxels[~far] != NOTHING) > 0.3
