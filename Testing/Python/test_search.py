"""The global search: rotations, translations, the climb, and its bounds, with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, CT_POSE, MR_GRID, MR_POSE, centered_grid, rigid, rotation
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, even_rotations, rotation_angle_deg
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.engines.jobs import EngineVolume
from MultimodalRegistrationLib.register.prepare import engine_volume
from MultimodalRegistrationLib.register.search.agreement import Agreement
from MultimodalRegistrationLib.register.search.bounds import Bounds
from MultimodalRegistrationLib.register.search.candidates import Candidate, coarsest_mm, distinct, find_candidates
from MultimodalRegistrationLib.register.search.lattice import Lattice, class_centers, classes_of, lattice_of
from MultimodalRegistrationLib.register.search.lattices import Lattices
from MultimodalRegistrationLib.register.search.translations import best_translations

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


def test_a_mask_of_single_voxels_far_apart_is_in_some_cells(ct):
    mask = np.zeros(ct.voxels.shape, dtype=np.uint8)
    mask[0, 0, 0] = mask[-1, -1, -1] = 1
    for spacing_mm in (4.0, 9.0, 13.0):
        lattice = lattice_of(EngineVolume(ct.voxels, ct.grid, mask), spacing_mm)
        assert 2 <= lattice.inside.sum() <= 16
        assert np.all(classes_of(lattice, 8)[lattice.inside] >= 0)


def test_a_mask_limits_what_is_inside(ct):
    i, j, k = np.meshgrid(*(np.arange(n) for n in ct.grid.size), indexing="ij")
    ball = ((i - 40) / 30) ** 2 + ((j - 50) / 30) ** 2 + ((k - 25) / 15) ** 2 <= 1
    lattice = lattice_of(EngineVolume(ct.voxels, ct.grid, ball.transpose(2, 1, 0).astype(np.uint8)), 8.0)
    assert lattice.inside.mean() == pytest.approx(np.pi / 6, abs=0.06), "a ball in its box"
    center = (np.asarray(lattice.values.shape[::-1]) - 1) / 2
    np.testing.assert_allclose(
        apply_matrix(lattice.ijk_to_lps, center), apply_matrix(ct.grid.ijk_to_lps, [40, 50, 25]), atol=1e-6
    )
    assert np.all(classes_of(lattice, 5)[~lattice.inside] == -1)
    assert set(np.unique(classes_of(lattice, 5)[lattice.inside])) <= set(range(5))


def test_classes_keep_tissues_apart_beside_metal_and_a_large_background():
    random = np.random.default_rng(1)
    tissue = np.concatenate([np.full(20_000, -1000.0), random.normal(-100, 15, 3000), random.normal(60, 15, 3000)])
    values = np.concatenate([tissue, random.normal(900, 60, 600), np.full(20, 12_000.0)]).astype(np.float32)
    grid = centered_grid([len(values), 1, 1], [1, 1, 1], np.eye(3), [0, 0, 0])
    lattice = lattice_of(EngineVolume(values.reshape(1, 1, -1), grid), 1.0)
    centers = class_centers(lattice.values[lattice.inside], 5)
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


def test_clamping_keeps_scale_and_shear():
    stretch = np.array([[1.1, 0.05, 0, 0], [0, 0.9, 0, 0], [0, 0, 1.05, 0], [0, 0, 0, 1]])
    bounds = Bounds(np.zeros(3), np.inf, 10.0)
    clamped = bounds.clamp(rigid([0, 0, 1], 30, [5, 0, 0]) @ stretch)
    assert bounds.of(clamped)[1] == pytest.approx(10.0)
    np.testing.assert_allclose(
        np.linalg.svd(clamped[:3, :3], compute_uv=False), np.linalg.svd(stretch[:3, :3], compute_uv=False)
    )


def test_bounds_of_a_reflection_do_not_fail():
    assert 0 <= Bounds(np.zeros(3)).of(np.diag([1.0, 1.0, -1.0, 1.0]))[1] <= 180


def test_a_bound_of_zero_is_a_request_and_not_touched():
    bounds = Bounds(np.zeros(3), 0.0, 0.0)
    assert bounds.touched(np.eye(4)) == []
    np.testing.assert_allclose(bounds.clamp(rigid([0, 1, 0], 20, [3, 4, 5])), np.eye(4), atol=1e-12)


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


def noise_lattice(shape, seed, flat=0.0):
    """Values at random, but for a share of the cells that have the same."""
    random = np.random.default_rng(seed)
    values = np.where(random.random(shape) < flat, 0.0, random.normal(size=shape)).astype(np.float32)
    matrix = np.eye(4)
    matrix[:3, 3] = [7.0, -4.0, 2.0]
    return Lattice(values, np.ones(shape, dtype=bool), 1.0, matrix)


@pytest.mark.parametrize(("shape", "flat"), [((9, 9, 9), 0.0), ((7, 7, 7), 1.0), ((3, 15, 7), 0.5), ((1, 13, 11), 0.9)])
def test_the_score_of_a_translation_is_that_of_a_direct_count(shape, flat):
    """For every rotation, also where the nearest places take more cells of the rotated volume than it has, or few."""
    sampled, other = noise_lattice(shape, 1, flat), noise_lattice((13, 16, 15), 2)
    rotations = even_rotations(180.0, 200)
    peaks = best_translations(
        sampled,
        other,
        rotations,
        smallest_overlap=0.9,
        overlap_power=0.5,
        threads=1,
        bounds=Bounds(np.zeros(3)),
        on_fraction=lambda fraction: None,
    )
    sampled_labels, other_labels = classes_of(sampled, 5), classes_of(other, 5)
    k, j, i = np.indices(other_labels.shape).reshape(3, -1)
    places_lps = apply_matrix(other.ijk_to_lps, np.stack([i, j, k], axis=1))
    taken = []
    for peak in peaks:
        to_sampled = np.linalg.inv(peak.sampled_to_other_lps @ sampled.ijk_to_lps)
        index = apply_matrix(to_sampled, places_lps)
        if np.any(np.abs(index % 1 - 0.5) < 1e-9):
            continue  # Half-way between two cells either is right.
        shown = sampled.shows(index)
        si, sj, sk = np.rint(index[shown]).astype(int).T
        counts = np.zeros((5, 5))
        np.add.at(counts, (sampled_labels[sk, sj, si], other_labels[k[shown], j[shown], i[shown]]), 1)
        share = counts / counts.sum()
        expected = share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)
        information = float((share[share > 0] * np.log(share[share > 0] / expected[share > 0])).sum())
        overlap = min(counts.sum() / sampled_labels.size, 1.0)
        assert peak.score == pytest.approx(information * overlap**0.5, abs=1e-4)
        taken.append(counts.sum(axis=1).max())
    assert len(taken) > 100
    if shape == (3, 15, 7):
        assert len(peaks) < 3 * len(rotations), "some rotations have few good places"
    if flat == 1.0:
        assert max(taken) > sampled_labels.size + 1


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
    found = find_candidates(Lattices(ct, moved), Bounds(ct.grid.center_lps), seed=3, threads=2)
    assert displacement_mm(found[0].sampled_to_other_lps, truth, targets).mean() < 5
    others = [c for c in found if displacement_mm(c.sampled_to_other_lps, truth, targets).mean() > 25]
    assert all(candidate.score < 0.95 * found[0].score for candidate in others)
    again = find_candidates(Lattices(ct, moved), Bounds(ct.grid.center_lps), seed=3, threads=1)
    np.testing.assert_array_equal(found[0].sampled_to_other_lps, again[0].sampled_to_other_lps)


@pytest.mark.slow
def test_candidates_stay_within_the_bounds(ct, mr, truth_ct_to_mr_lps):
    off = rigid([0.3, 1, 0], 30, [25, 0, -10])
    moved = EngineVolume(mr.voxels, mr.grid.moved(off))
    bounds = Bounds(ct.grid.center_lps, 30.0, 20.0)
    found = find_candidates(Lattices(ct, moved), bounds, seed=3)
    assert all(np.all(np.array(bounds.of(c.sampled_to_other_lps)) <= [30.0 + 1e-6, 20.0 + 1e-6]) for c in found)


@pytest.mark.slow
def test_only_rotations_when_no_translation_is_allowed(ct, mr, truth_ct_to_mr_lps):
    """The volumes lie 25 degrees off about the centre that the bounds are measured at."""
    center = ct.grid.center_lps
    turn = rigid([0.2, 1, 0.3], 25, [0, 0, 0])
    turn[:3, 3] = center - turn[:3, :3] @ center
    placed = EngineVolume(mr.voxels, mr.grid.moved(turn @ np.linalg.inv(truth_ct_to_mr_lps)))
    found = find_candidates(Lattices(ct, placed), Bounds(center, 0.0, 40.0), seed=3)
    assert displacement_mm(found[0].sampled_to_other_lps, turn, target_points_lps(CT_POSE)).mean() < 3
    fixed = find_candidates(Lattices(ct, placed), Bounds(center, 0.0, 0.0), seed=3)
    assert len(fixed) == 1
    np.testing.assert_allclose(fixed[0].sampled_to_other_lps, np.eye(4), atol=1e-9)


def masked(volume, box):
    mask = np.zeros(volume.voxels.shape, dtype=np.uint8)
    mask[box] = 1
    return EngineVolume(volume.voxels, volume.grid, mask)


@pytest.mark.parametrize(
    "box",
    [
        (slice(20, 24), slice(40, 47), slice(40, 47)),
        (slice(25, 26), slice(None), slice(None)),
        (slice(25, 26), slice(50, 51), slice(40, 41)),
    ],
    ids=["small cube", "thin plane", "one voxel"],
)
def test_lattices_of_small_and_thin_masks(ct, box):
    lattice = lattice_of(masked(ct, box), 9.0)
    assert lattice.inside.any()
    assert np.all(np.isfinite(lattice.values))
    assert class_centers(lattice.values[lattice.inside], 16).shape == (16,)


@pytest.mark.slow
def test_a_mask_narrows_the_search_to_it(ct, mr, truth_ct_to_mr_lps):
    """A mask over the upper half of the head in the scan that is sampled."""
    box = (slice(ct.voxels.shape[0] // 2, None), slice(None), slice(None))
    far = rigid([1, 0.5, 0], 120, [60, -40, 90])
    moved = EngineVolume(mr.voxels, mr.grid.moved(far))
    found = find_candidates(Lattices(masked(ct, box), moved), Bounds(ct.grid.center_lps), seed=3)
    points = ct.grid.center_lps + np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0], [0, 0, 20]])
    assert displacement_mm(found[0].sampled_to_other_lps, far @ truth_ct_to_mr_lps, points).mean() < 6


def test_the_transforms_stay_small_when_the_volumes_differ_much():
    cube = EngineVolume(
        np.zeros((40, 40, 40), np.float32), centered_grid([40, 40, 40], [1, 1, 1], np.eye(3), [0, 0, 0])
    )
    body = EngineVolume(
        np.zeros((180, 50, 50), np.float32), centered_grid([50, 50, 180], [10, 10, 10], np.eye(3), [0, 0, 0])
    )
    spacing_mm = coarsest_mm(cube, body)
    radius = np.sqrt(3) * 20 / spacing_mm
    cells = np.prod(np.array([500, 500, 1800]) / spacing_mm + 1.5 * radius)
    assert cells < 500_000


@pytest.mark.slow
def test_what_the_progress_callback_raises_ends_the_search(ct, mr):
    def stop(fraction):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        find_candidates(Lattices(ct, mr), Bounds(ct.grid.center_lps), seed=1, on_fraction=stop)


def test_a_lattice_of_a_volume_thinner_than_its_step():
    grid = centered_grid([40, 40, 2], [2.0, 2.0, 3.0], np.eye(3), [0, 0, 0])
    lattice = lattice_of(EngineVolume(ramp(grid), grid), 10.0)
    assert lattice.values.shape == (1, 8, 8)
    assert np.all(np.isfinite(lattice.values))


def test_the_phantom_scans_differ(head_ct, head_mr):
    """So that a test above does not pass because the two volumes are alike."""
    assert CT_GRID.size != MR_GRID.size
    assert sitk.Hash(head_ct.image) != sitk.Hash(make_head("CT", CT_GRID, CT_POSE, seed=9).image)
