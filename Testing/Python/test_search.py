"""The global search: rotations, translations, the climb, and its bounds, with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, centered_grid, rigid, rotation
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.engines.handover import EngineVolume
from MultimodalRegistrationLib.geometry.linear import displacement_mm, rotation_angle_deg
from MultimodalRegistrationLib.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.registration.prepare import engine_volume
from MultimodalRegistrationLib.search.agreement import Agreement
from MultimodalRegistrationLib.search.bounds import Bounds
from MultimodalRegistrationLib.search.candidates import Candidate, distinct, find_candidates
from MultimodalRegistrationLib.search.lattice import class_centers, classes_of, lattice_of
from MultimodalRegistrationLib.search.rotations import even_rotations
from MultimodalRegistrationLib.search.translations import best_translations

ANGLES = st.floats(0, 180)
LENGTHS = st.floats(0, 300)
DIRECTIONS = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)


def as_engine_volume(volume):
    return engine_volume(volume, None, (0.01, 99.99))


@pytest.fixture(scope="module")
def ct(head_ct):
    return as_engine_volume(head_ct)


@pytest.fixture(scope="module")
def mr(head_mr):
    return as_engine_volume(head_mr)


def test_rotations_reach_every_orientation():
    grid = even_rotations()
    random = np.random.default_rng(0)
    for _ in range(200):
        axis, angle = random.normal(size=3), random.uniform(0, 180)
        wanted = rotation(axis, angle)
        cosines = (np.einsum("nij,ij->n", grid, wanted) - 1) / 2
        assert np.degrees(np.arccos(np.clip(cosines.max(), -1, 1))) < 33


@given(largest=ANGLES)
def test_rotations_stay_within_the_largest_angle(largest):
    grid = even_rotations(largest)
    np.testing.assert_array_equal(grid[0], np.eye(3))
    assert all(rotation_angle_deg(as_matrix(r)) <= largest + 1e-6 for r in grid)
    np.testing.assert_allclose(grid @ np.swapaxes(grid, 1, 2), np.broadcast_to(np.eye(3), grid.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(grid), 1)


def as_matrix(rotation_matrix):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix
    return matrix


def ramp(grid):
    """Intensity equal to a known linear function of position, on any grid."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1).reshape(-1, 3)
    points = index @ grid.ijk_to_lps[:3, :3].T + grid.ijk_to_lps[:3, 3]
    values = points @ [2.0, -1.0, 0.5]
    return values.reshape(grid.size).transpose(2, 1, 0).astype(np.float32)


@pytest.mark.parametrize("spacing_mm", [3.0, 5.0, 9.0])
def test_a_lattice_keeps_positions_on_an_oblique_flipped_grid(spacing_mm):
    grid = centered_grid([60, 50, 30], [1.1, 1.4, 3.0], rotation([1, 2, 3], 40) @ np.diag([1, -1, 1]), [10, -20, 30])
    lattice = lattice_of(EngineVolume(ramp(grid), grid), spacing_mm)
    inner = np.argwhere(np.ones(lattice.values.shape, dtype=bool))
    inner = inner[np.all((inner >= 1) & (inner < np.asarray(lattice.values.shape) - 1), axis=1)]
    points = inner[:, ::-1] @ lattice.ijk_to_lps[:3, :3].T + lattice.ijk_to_lps[:3, 3]
    found = lattice.values[tuple(inner.T)]
    # The smoothing of a ramp is not quite itself near the border.
    assert np.abs(found - points @ [2.0, -1.0, 0.5]).max() < 0.5 * spacing_mm
    np.testing.assert_allclose(np.linalg.norm(lattice.ijk_to_lps[:3, :3], axis=0), spacing_mm)


def test_a_mask_limits_what_is_inside(ct):
    mask = np.zeros(ct.voxels.shape, dtype=np.uint8)
    mask[:, :, : mask.shape[2] // 2] = 1
    lattice = lattice_of(EngineVolume(ct.voxels, ct.grid, mask), 8.0)
    assert 0.4 < lattice.inside.mean() < 0.6
    assert np.all(classes_of(lattice, 5)[~lattice.inside] == -1)
    assert set(np.unique(classes_of(lattice, 5)[lattice.inside])) <= set(range(5))


def test_classes_keep_tissues_apart_beside_metal_and_a_large_background():
    random = np.random.default_rng(1)
    tissue = np.concatenate([np.full(20_000, -1000.0), random.normal(-100, 15, 3000), random.normal(60, 15, 3000)])
    values = np.concatenate([tissue, random.normal(900, 60, 600), np.full(20, 12_000.0)]).astype(np.float32)
    grid = centered_grid([len(values), 1, 1], [1, 1, 1], np.eye(3), [0, 0, 0])
    lattice = lattice_of(EngineVolume(values.reshape(1, 1, -1), grid), 1.0)
    centers = class_centers(lattice, 5)
    for tissue_mean in (-1000, -100, 60):
        assert np.abs(centers - tissue_mean).min() < 40
    assert np.all(np.diff(centers) >= 0)


@given(axis=DIRECTIONS, angle=ANGLES, direction=DIRECTIONS, length=LENGTHS)
def test_clamped_poses_are_within_the_bounds_and_allowed_ones_stay(axis, angle, direction, length):
    center = np.array([10.0, -20.0, 30.0])
    bounds = Bounds(center, 40.0, 25.0)
    pose = rigid(list(axis), angle, [0, 0, 0])
    shift = np.asarray(direction) / np.linalg.norm(direction) * length
    pose[:3, 3] = center + shift - pose[:3, :3] @ center
    translation_mm, rotation_deg = bounds.of(bounds.clamp(pose))
    assert translation_mm <= 40.0 + 1e-9
    assert rotation_deg <= 25.0 + 1e-6
    if length < 39.9 and angle < 24.9:
        np.testing.assert_array_equal(bounds.clamp(pose), pose)
    if length > 41 or angle > 26:
        assert bounds.touched(bounds.clamp(pose))


def test_bounds_that_are_not_set_touch_nothing():
    bounds = Bounds(np.zeros(3))
    assert not bounds.are_set
    assert bounds.touched(rigid([0, 1, 0], 179.9, [900, 0, 0])) == []


@pytest.mark.parametrize("swap", [False, True], ids=["ct sampled", "mr sampled"])
def test_the_best_translation_for_the_right_rotation(ct, mr, truth_ct_to_mr_lps, swap):
    sampled, other = (mr, ct) if swap else (ct, mr)
    truth = np.linalg.inv(truth_ct_to_mr_lps) if swap else truth_ct_to_mr_lps
    lattices = lattice_of(sampled, 10.0), lattice_of(other, 10.0)
    peaks = best_translations(
        *lattices,
        truth[None, :3, :3],
        smallest_overlap=0.3,
        overlap_power=0.5,
        threads=1,
        bounds=Bounds(sampled.grid.center_lps),
        on_fraction=lambda fraction: None,
    )
    targets = target_points_lps(MR_POSE if swap else CT_POSE)
    # A lattice step.
    assert displacement_mm(peaks[0].sampled_to_other_lps, truth, targets).mean() < 10.0
    assert peaks[0].score > 1.15 * peaks[1].score


def test_translations_beyond_the_bounds_are_left_out(ct, mr, truth_ct_to_mr_lps):
    lattices = lattice_of(ct, 10.0), lattice_of(mr, 10.0)
    center = ct.grid.center_lps
    bounds = Bounds(center, 20.0, 180.0)
    peaks = best_translations(
        *lattices,
        even_rotations(180.0, 40),
        smallest_overlap=0.3,
        overlap_power=0.5,
        threads=2,
        bounds=bounds,
        on_fraction=lambda fraction: None,
    )
    assert peaks
    assert all(bounds.of(peak.sampled_to_other_lps)[0] <= 20.0 + 8.7 for peak in peaks)


def test_the_climb_finds_the_pose_nearby_and_scores_it_best(ct, mr, truth_ct_to_mr_lps):
    agreement = Agreement(lattice_of(ct, 5.0), lattice_of(mr, 5.0), points=8000)
    off = np.stack([truth_ct_to_mr_lps @ rigid([1, k, -1], 8, [6, -5, 4 * k]) for k in (-1, 1)])
    targets = target_points_lps(CT_POSE)
    poses, scores = agreement.climb(
        agreement.poses_of(off), (8.0, 4.0, 2.0, 1.0, 0.5), Bounds(ct.grid.center_lps), most_moves=12
    )
    for matrix in agreement.matrices_of(poses):
        assert displacement_mm(matrix, truth_ct_to_mr_lps, targets).mean() < 2.5
    assert np.all(scores > agreement.score(agreement.poses_of(off)))


def test_poses_and_matrices_are_two_ways_to_say_the_same(ct, mr, truth_ct_to_mr_lps):
    agreement = Agreement(lattice_of(ct, 8.0), lattice_of(mr, 8.0), points=500)
    matrices = np.stack([truth_ct_to_mr_lps, np.eye(4)])
    np.testing.assert_allclose(agreement.matrices_of(agreement.poses_of(matrices)), matrices, atol=1e-9)


def test_too_little_overlap_scores_below_everything(ct, mr):
    agreement = Agreement(lattice_of(ct, 8.0), lattice_of(mr, 8.0), points=500)
    assert agreement.score(agreement.poses_of(rigid([0, 0, 1], 0, [900, 0, 0])[None]))[0] == -1.0


def test_distinct_keeps_the_best_of_each_neighbourhood():
    poses = [rigid([0, 0, 1], 0, [x, 0, 0]) for x in (0.0, 3.0, 20.0, 21.0, 50.0)]
    scores = [0.5, 0.6, 0.9, 0.8, 0.1]
    kept = distinct([Candidate(p, s) for p, s in zip(poses, scores, strict=True)], np.zeros((1, 3)), 10.0, 2)
    assert [candidate.score for candidate in kept] == [0.9, 0.6]


@pytest.mark.slow
@pytest.mark.parametrize(("axis", "angle_deg", "shift_mm"), [([1, 2, 3], 178, 190), ([-1, 0, 0.2], 95, 120)])
def test_candidates_from_any_start(ct, mr, truth_ct_to_mr_lps, axis, angle_deg, shift_mm):
    """The right pose is the best candidate, by far; the result does not depend on the number of threads."""
    far = rigid(axis, angle_deg, [0.6 * shift_mm, -0.64 * shift_mm, 0.48 * shift_mm])
    moved = EngineVolume(mr.voxels, mr.grid.moved(far))
    truth, targets = far @ truth_ct_to_mr_lps, target_points_lps(CT_POSE)
    found = find_candidates(ct, moved, Bounds(ct.grid.center_lps), seed=3, threads=2)
    assert displacement_mm(found[0].sampled_to_other_lps, truth, targets).mean() < 5
    others = [c for c in found if displacement_mm(c.sampled_to_other_lps, truth, targets).mean() > 25]
    assert all(candidate.score < 0.95 * found[0].score for candidate in others)
    again = find_candidates(ct, moved, Bounds(ct.grid.center_lps), seed=3, threads=1)
    np.testing.assert_array_equal(found[0].sampled_to_other_lps, again[0].sampled_to_other_lps)


@pytest.mark.slow
def test_candidates_stay_within_the_bounds(ct, mr, truth_ct_to_mr_lps):
    off = rigid([0.3, 1, 0], 30, [25, 0, -10])
    moved = EngineVolume(mr.voxels, mr.grid.moved(off))
    bounds = Bounds(ct.grid.center_lps, 30.0, 20.0)
    found = find_candidates(ct, moved, bounds, seed=3)
    assert all(np.all(np.array(bounds.of(c.sampled_to_other_lps)) <= [30.0 + 1e-6, 20.0 + 1e-6]) for c in found)


@pytest.mark.slow
def test_what_the_progress_callback_raises_ends_the_search(ct, mr):
    def stop(fraction):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        find_candidates(ct, mr, Bounds(ct.grid.center_lps), seed=1, on_fraction=stop)


def test_a_lattice_of_a_volume_thinner_than_its_step():
    grid = centered_grid([40, 40, 2], [2.0, 2.0, 3.0], np.eye(3), [0, 0, 0])
    lattice = lattice_of(EngineVolume(ramp(grid), grid), 10.0)
    assert lattice.values.shape == (1, 8, 8)
    assert np.all(np.isfinite(lattice.values))


def test_the_phantom_scans_differ(head_ct, head_mr):
    """So that a test above does not pass because the two volumes are alike."""
    assert CT_GRID.size != MR_GRID.size
    assert sitk.Hash(head_ct.image) != sitk.Hash(make_head("CT", CT_GRID, CT_POSE, seed=9).image)
