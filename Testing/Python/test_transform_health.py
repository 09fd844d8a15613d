"""Health of transforms: derivatives, folds, energies, the way back and bending structures against known answers."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import centered_grid, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.transforms.derivatives import bending_density, determinants, displacement_gradients
from MultimodalRegistrationLib.transforms.health import displacement_difference, structure_motions, transform_health
from MultimodalRegistrationLib.transforms.working_grid import node_grid

OBLIQUE = rotation([1, 0.3, -0.2], 33)
GRIDS = {
    "oblique": centered_grid([50, 44, 40], [2.0, 2.0, 2.0], OBLIQUE, [12, -31, 40]),
    "anisotropic": centered_grid([60, 50, 24], [1.1, 1.7, 3.0], OBLIQUE, [-80, 31, 4]),
    "flipped": centered_grid([48, 40, 30], [1.5, 2.2, 2.8], OBLIQUE @ np.diag([1, -1, 1]), [12, -31, 40]),
}
POSE = rigid([0.3, -1, 0.6], 37, [12, -40, 25])


def points_of(grid: VolumeGrid) -> np.ndarray:
    """LPS of every voxel, shape (K, J, I, 3)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.size], indexing="ij"), axis=-1)
    return apply_matrix(grid.ijk_to_lps, index.transpose(2, 1, 0, 3))


def field(grid: VolumeGrid, displacements_mm: np.ndarray, name: str = "field") -> SpatialTransform:
    image = sitk.GetImageFromArray(np.asarray(displacements_mm, dtype=np.float64), isVector=True)
    grid.place(image)
    return SpatialTransform(name, sitk.DisplacementFieldTransform(image))


def posed(transform: SpatialTransform) -> SpatialTransform:
    """The same, followed by a rotation and translation."""
    return SpatialTransform("posed", sitk.CompositeTransform([sitk_from_matrix(POSE), transform.transform]))


def volume(grid: VolumeGrid, voxels: np.ndarray, name: str = "labels") -> Volume:
    image = sitk.GetImageFromArray(voxels.astype(np.int16))
    grid.place(image)
    return Volume(image, name)


def waves(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A displacement of up to 3 mm in waves of 150 mm across all axes, and its gradient."""
    vectors = 2 * np.pi / 150 * np.array([[0.8, 0.5, -0.3], [-0.2, 0.9, 0.4], [0.5, -0.4, 0.75]])
    phase = points @ vectors.T + [0.0, 1.0, 2.0]
    return 3 * np.sin(phase), 3 * np.cos(phase)[..., None] * vectors


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("turned", [False, True])
def test_jacobian_of_a_nonlinear_field(name, turned):
    grid = GRIDS[name]
    u, gradient = waves(points_of(grid))
    transform = posed(field(grid, u)) if turned else field(grid, u)
    health = transform_health(transform, grid)
    expected = np.linalg.det(np.eye(3) + gradient)
    assert health.jacobian_map.grid.coincides_with(grid)
    np.testing.assert_allclose(health.jacobian_map.voxels, expected, atol=1e-3)
    assert health.jacobian.minimum == pytest.approx(expected.min(), abs=1e-3)
    assert health.jacobian.maximum == pytest.approx(expected.max(), abs=1e-3)
    assert health.jacobian.mean == pytest.approx(expected.mean(), abs=1e-3)
    assert health.jacobian.log_sd == pytest.approx(np.log(expected).std(), abs=1e-3)
    assert health.jacobian.folded_share == 0


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_derivatives_of_quadratic_fields_are_exact_on_any_axes(seed):
    """Sheared axes too."""
    random = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(list(random.normal(size=3)), 70) @ np.diag(random.uniform(0.5, 3, 3))
    matrix[:3, :3] += 0.1 * random.normal(size=(3, 3))
    grid = VolumeGrid.of_matrix((6, 5, 4), matrix)
    second = random.normal(size=(3, 3, 3))
    second += second.transpose(0, 2, 1)
    linear = random.normal(size=(3, 3))
    points = points_of(grid)
    u = points @ linear.T + 0.5 * np.einsum("kjia,cab,kjib->kjic", points, second, points)
    gradient = linear + np.einsum("cab,kjib->kjica", second, points)
    np.testing.assert_allclose(displacement_gradients(u, grid), gradient, atol=1e-8)
    np.testing.assert_allclose(determinants(gradient), np.linalg.det(np.eye(3) + gradient), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(bending_density(u, grid), np.sum(second**2), rtol=1e-7)


def folding(grid: VolumeGrid, steepness: float) -> tuple[SpatialTransform, np.ndarray]:
    """Waves along the I axis, two whole ones over the grid, with their phase."""
    direction = np.asarray(grid.direction).reshape(3, 3)[:, 0]
    k = 2 * np.pi * 2 / (grid.size[0] * grid.spacing_mm[0])
    phase = k * (points_of(grid) - grid.origin_lps) @ direction
    return field(grid, -steepness / k * np.sin(phase)[..., None] * direction), phase


@pytest.mark.parametrize("name", GRIDS)
def test_share_of_a_known_fold(name):
    transform, _ = folding(GRIDS[name], 1.6)
    health = transform_health(transform, GRIDS[name])
    assert health.jacobian.folded_share == pytest.approx(np.arccos(1 / 1.6) / np.pi, abs=0.025)
    assert health.jacobian.minimum == pytest.approx(-0.6, abs=0.04)
    assert health.return_error.max_mm > 3


@pytest.mark.parametrize("name", GRIDS)
def test_energies_of_waves_along_any_direction(name):
    grid = GRIDS[name]
    k, amplitude = 2 * np.pi / 90, 2.5
    along, across = np.array([0.6, -0.48, 0.64]), np.array([0.8, 0.36, -0.48])
    phase = k * points_of(grid) @ along
    health = transform_health(field(grid, amplitude * np.sin(phase)[..., None] * across), grid)
    assert health.harmonic_energy == pytest.approx(amplitude**2 * k**2 * np.mean(np.cos(phase) ** 2), rel=0.02)
    assert health.bending_energy_per_mm2 == pytest.approx(amplitude**2 * k**4 * np.mean(np.sin(phase) ** 2), rel=0.03)
    assert health.displacement.rms_mm == pytest.approx(amplitude * np.sqrt(np.mean(np.sin(phase) ** 2)), rel=1e-6)
    # The bending does not know a rotation.
    turned = transform_health(posed(field(grid, amplitude * np.sin(phase)[..., None] * across)), grid)
    assert turned.bending_energy_per_mm2 == pytest.approx(health.bending_energy_per_mm2, rel=1e-6)


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "with an empty field"])
def test_a_rigid_transform_bends_nothing(linear):
    grid = GRIDS["flipped"]
    transform = SpatialTransform.of_matrix("rigid", POSE)
    if not linear:
        transform = posed(field(grid, np.zeros((*grid.size[::-1], 3))))
    labels = np.zeros(grid.size[::-1])
    labels[3:12, 5:20, 5:30] = 4
    labels[15:28, 10:35, 12:40] = 9
    health = transform_health(transform, grid, structures=volume(grid, labels))
    assert health.linear is linear
    assert [structure.label for structure in health.structures] == [4, 9]
    assert [structure.voxels for structure in health.structures] == [9 * 15 * 25, 13 * 25 * 28]
    for structure in health.structures:
        assert structure.bending_max_mm < 1e-6
        assert structure.rotation_deg == pytest.approx(37, abs=1e-6)
        assert structure.volume_change == pytest.approx(0, abs=1e-9)
    assert health.jacobian.minimum == pytest.approx(1, abs=1e-9)
    assert health.harmonic_energy == pytest.approx(np.sum((POSE[:3, :3] - np.eye(3)) ** 2), rel=1e-9)
    assert health.bending_energy_per_mm2 == pytest.approx(0, abs=1e-12)
    assert health.return_error.max_mm < 1e-3
    distances = displacement_mm(POSE, np.eye(4), points_of(grid).reshape(-1, 3))
    assert health.displacement.mean_mm == pytest.approx(distances.mean(), rel=1e-6)
    assert health.displacement.p95_mm == pytest.approx(np.percentile(distances, 95), rel=1e-6)


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "with an empty field"])
def test_volume_change_of_an_affine_transform(linear):
    grid = GRIDS["anisotropic"]
    affine = POSE.copy()
    affine[:3, :3] = affine[:3, :3] @ np.array([[1.2, 0.1, 0], [0, 0.95, 0.05], [0, 0, 1.1]])
    empty = field(grid, np.zeros((*grid.size[::-1], 3))).transform
    transform = SpatialTransform.of_matrix("affine", affine)
    if not linear:
        transform = SpatialTransform("affine", sitk.CompositeTransform([sitk_from_matrix(affine), empty]))
    labels = np.zeros(grid.size[::-1])
    labels[5:15, 5:40, 5:50] = 1
    health = transform_health(transform, grid, structures=volume(grid, labels))
    assert health.structures[0].volume_change == pytest.approx(1.2 * 0.95 * 1.1 - 1, abs=1e-9)
    assert health.structures[0].bending_rms_mm > 1
    assert health.jacobian.mean == pytest.approx(1.2 * 0.95 * 1.1, abs=1e-9)
    assert health.return_error.max_mm < 1e-3


def test_residual_of_a_bent_beam():
    """A straight beam of half length L that sags by c x^2 keeps 2 c L^2 / (3 sqrt 5) RMS beside any rigid motion."""
    grid = centered_grid([81, 21, 21], [1.5, 1.5, 1.5], OBLIQUE, [12, -31, 40])
    labels = np.zeros(grid.size[::-1])
    labels[9:12, 9:12, 10:71] = 2
    x = (points_of(grid) - grid.center_lps) @ OBLIQUE[:, 0]
    sag = 0.002
    transform = posed(field(grid, sag * (x**2)[..., None] * OBLIQUE[:, 2]))
    (motion,) = transform_health(transform, grid, structures=volume(grid, labels)).structures
    half = 30.5 * 1.5
    assert motion.bending_rms_mm == pytest.approx(2 * sag * half**2 / (3 * np.sqrt(5)), rel=0.03)
    assert motion.rotation_deg == pytest.approx(37, abs=0.1)
    assert motion.volume_change == pytest.approx(0, abs=1e-3)


def test_the_way_back():
    grid = GRIDS["oblique"]
    u, _ = waves(points_of(grid))
    transform = posed(field(grid, u))
    numerical = transform_health(transform, grid)
    # Nodes whose way leads over the border of the field are not looked at.
    inner = numerical.return_error_map.voxels[3:-3, 3:-3, 3:-3]
    assert inner.max() < 0.01
    assert numerical.backward is None
    off = SpatialTransform.of_matrix("back", rigid([1, 0, 0], 0, [0, 2, 0]) @ np.linalg.inv(POSE))
    back = transform_health(SpatialTransform.of_matrix("there", POSE), grid, backward=off)
    assert back.backward == "back"
    assert back.return_error.mean_mm == pytest.approx(2, abs=1e-9)
    # Back through the pose alone, the field is what is left.
    left = transform_health(transform, grid, backward=SpatialTransform.of_matrix("pose", np.linalg.inv(POSE)))
    np.testing.assert_allclose(left.return_error_map.voxels, np.linalg.norm(u, axis=-1), atol=1e-3)


def test_a_local_defect_shows_at_its_place_and_only_counts_in_its_region():
    grid = GRIDS["flipped"]
    index = np.array([33, 12, 20])
    center = apply_matrix(grid.ijk_to_lps, index)
    offset = points_of(grid) - center
    bump = np.exp(-np.sum(offset**2, axis=-1) / (2 * 6.0**2))
    health = transform_health(field(grid, -1.4 * bump[..., None] * offset), grid)
    lowest = np.unravel_index(health.jacobian_map.voxels.argmin(), health.jacobian_map.voxels.shape)[::-1]
    found = apply_matrix(health.jacobian_map.grid.ijk_to_lps, lowest)
    # Where the pull towards the centre is undone again, the mapping folds once more.
    assert np.linalg.norm(found - center) < 12
    assert health.jacobian.folded_share > 0
    far = np.zeros(grid.size[::-1])
    far[:, 30:, :] = 1
    away = transform_health(field(grid, -1.4 * bump[..., None] * offset), grid, region=volume(grid, far))
    assert away.jacobian.folded_share == 0
    assert away.jacobian.minimum > 0.9


def test_a_region_on_a_grid_of_its_own_gets_the_nodes():
    grid = centered_grid([300, 300, 200], [0.8, 0.8, 1.2], OBLIQUE, [12, -31, 40])
    assert np.prod(node_grid(grid, 1_000_000).size) <= 1_000_000
    small = centered_grid([20, 20, 20], [2, 2, 2], rotation([0, 1, 1], 20), [20, -20, 50])
    region = volume(small, np.ones((20, 20, 20)), "region")
    nodes = node_grid(grid, 1_000_000, region=region)
    np.testing.assert_allclose(nodes.spacing_mm, grid.spacing_mm)
    assert np.all(nodes.contains(points_of(small).reshape(-1, 3)))
    health = transform_health(SpatialTransform.of_matrix("rigid", POSE), grid, region=region)
    assert health.nodes * np.prod(health.spacing_mm) == pytest.approx(40**3, rel=0.02)


def test_a_single_slice():
    grid = centered_grid([40, 30, 1], [2, 2, 5], OBLIQUE, [12, -31, 40])
    health = transform_health(posed(field(grid, np.zeros((1, 30, 40, 3)))), grid)
    assert health.jacobian.mean == pytest.approx(1, abs=1e-9)


def test_difference_of_two_transforms():
    grid = GRIDS["anisotropic"]
    other = POSE @ rigid([0.2, 1, 0.1], 3, [1, 2, -1])
    a, b = SpatialTransform.of_matrix("a", POSE), SpatialTransform.of_matrix("b", other)
    apart = displacement_mm(POSE, other, points_of(grid).reshape(-1, 3))
    difference = displacement_difference(a, b, region=grid)
    assert difference.mean_mm == pytest.approx(apart.mean(), rel=1e-9)
    assert difference.rms_mm == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-9)
    assert difference.p95_mm == pytest.approx(np.percentile(apart, 95), rel=1e-9)
    assert difference.max_mm == pytest.approx(apart.max(), rel=1e-9)
    labels = np.zeros(grid.size[::-1])
    labels[4:9, 10:30, 20:50] = 3
    inside = displacement_mm(POSE, other, points_of(grid)[labels > 0])
    assert displacement_difference(a, b, region=volume(grid, labels)).max_mm == pytest.approx(inside.max(), rel=1e-9)


def test_large_structures_are_sampled_evenly():
    grid = GRIDS["anisotropic"]
    labels = np.zeros(grid.size[::-1])
    labels[2:22, 4:44, 10:50] = 7
    labels[2, 4, 10:13] = 3
    transform = SpatialTransform.of_matrix("rigid", POSE)
    small, large = structure_motions(transform, volume(grid, labels))
    assert (small.label, small.voxels, small.points) == (3, 3, 3)
    assert (large.label, large.voxels) == (7, 20 * 40 * 40 - 3)
    assert large.points == pytest.approx(5000, abs=1)
    center = points_of(grid)[labels == 7].mean(axis=0)
    assert large.shift_mm == pytest.approx(displacement_mm(POSE, np.eye(4), center[None])[0], abs=0.05)


def test_empty_regions_are_named():
    grid = GRIDS["oblique"]
    empty = volume(grid, np.zeros(grid.size[::-1]), "empty.nrrd")
    away = volume(centered_grid([9, 9, 9], [1, 1, 1], np.eye(3), [900, 0, 0]), np.ones((9, 9, 9)), "away.nrrd")
    transform = SpatialTransform.of_matrix("rigid", POSE)
    with pytest.raises(InputError, match=r"empty\.nrrd: the region is empty"):
        transform_health(transform, grid, region=empty)
    with pytest.raises(InputError, match=r"away\.nrrd: the region lies outside"):
        transform_health(transform, grid, region=away)
    with pytest.raises(InputError, match=r"empty\.nrrd: the label map is empty"):
        transform_health(transform, grid, structures=empty)
