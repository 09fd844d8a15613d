"""Registration by shape on surfaces with known poses, on a real bone of which a part is missing, and surface files."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from conftest import centered_grid, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, translation_matrix
from MultimodalRegistrationLib.core.points import Landmark, LandmarkList
from MultimodalRegistrationLib.core.surface import PointSet, Surface, TriangleIndex, nearest_on_triangles
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.surfaces import read_surface, surface_of_mask, surface_of_threshold
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.landmarks.icp import Matching, iterate, kept_share
from MultimodalRegistrationLib.landmarks.surface_registration import checked_shape, register_surface
from MultimodalRegistrationLib.landmarks.surface_result import surface_content, surface_message
from vtk.util.numpy_support import numpy_to_vtk

# Oblique, anisotropic, left-handed.
GRID = centered_grid(
    [60, 64, 40], [1.2, 1.1, 1.9], rotation([1, 0.3, -0.2], 33) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
CENTER = np.array([13.1, -29.7, 41.3])


def voxel_points(grid):
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1)
    return apply_matrix(grid.ijk_to_lps, index)


def image_of(values, grid):
    """Image of an array of shape (I, J, K)."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    grid.place(image)
    return image


def lumps(points):
    """Largest inside a body of four unequal ellipsoids around CENTER; zero is its surface. No symmetry."""
    value = np.full(points.shape[:-1], -np.inf)
    for center, radii in (
        ((0, 0, 0), (24, 14, 10)),
        ((14, 10, 5), (10, 8, 7)),
        ((-15, -6, 8), (7, 9, 11)),
        ((3, -10, -8), (6, 7, 9)),
    ):
        value = np.maximum(
            value, 1 - np.linalg.norm((points - CENTER - center) / np.asarray(radii, dtype=float), axis=-1)
        )
    return value.astype(np.float32)


def ellipsoid(radii, count=40, center=(0, 0, 0)):
    source = vtk.vtkSphereSource()
    source.SetRadius(1)
    source.SetThetaResolution(count)
    source.SetPhiResolution(count)
    source.Update()
    data = source.GetOutput()
    vertices = np.array([data.GetPoint(i) for i in range(data.GetNumberOfPoints())]) * radii + center
    triangles = np.array([[data.GetCell(i).GetPointId(j) for j in range(3)] for i in range(data.GetNumberOfCells())])
    return Surface("ellipsoid", vertices, triangles)


def cropped(surface, direction, share):
    """Without the triangles that lie least along ``direction`` and make up ``share`` of the area."""
    order = np.argsort(surface.corners_lps.mean(axis=1) @ direction)
    below = np.cumsum(surface.triangle_areas_mm2[order]) / surface.area_mm2
    return Surface(surface.name, surface.vertices_lps, surface.triangles[order[below >= share]])


def center_of(surface):
    """Centroid of the area, exactly."""
    return surface.triangle_areas_mm2 @ surface.corners_lps.mean(axis=1) / surface.area_mm2


def mean_error_mm(result, truth, surface):
    points = surface.samples(2000, seed=99).points_lps
    return displacement_mm(result.fixed_to_moving_lps, truth, points).mean()


@pytest.fixture(scope="module")
def body():
    return surface_of_threshold(Volume(image_of(lumps(voxel_points(GRID)), GRID), "body"), 0.0)


@pytest.fixture(scope="module")
def body_of_another_scan():
    """The same body on other voxels: no vertex is shared."""
    grid = centered_grid([70, 70, 60], [1.0, 1.4, 1.3], rotation([-0.2, 1, 0.5], 71), [10, -30, 42])
    return surface_of_threshold(Volume(image_of(lumps(voxel_points(grid)), grid), "other"), 0.0)


# Distances


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 2.5), st.integers(1, 150))
def test_the_nearest_point_equals_brute_force(seed, spread_of_sizes, count):
    rng = np.random.default_rng(seed)
    size = np.exp(spread_of_sizes * rng.normal(size=(count, 1, 1)))
    corners = 20 * rng.normal(size=(count, 1, 3)) * [3, 1, 0.1] + size * rng.normal(size=(count, 3, 3))
    corners[: count // 10, 2] = corners[: count // 10, 1]  # needles
    corners[count // 2 : count // 2 + count // 10] = corners[count // 2 : count // 2 + count // 10, :1]  # points
    points = 40 * rng.normal(size=(50, 3))
    found, triangles = TriangleIndex(corners).nearest(points)
    distances = np.linalg.norm(found - points, axis=1)
    every = [np.linalg.norm(nearest_on_triangles(np.tile(p, (count, 1)), corners) - p, axis=1).min() for p in points]
    np.testing.assert_allclose(distances, every, rtol=1e-12)
    np.testing.assert_allclose(nearest_on_triangles(found, corners[triangles]), found, atol=1e-9)
    rough = np.linalg.norm(TriangleIndex(corners).nearest(points, exact=False)[0] - points, axis=1)
    radius = np.linalg.norm(corners - corners.mean(axis=1, keepdims=True), axis=2).max()
    assert np.all(rough <= distances + radius + 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_the_nearest_point_of_a_triangle_is_optimal(seed):
    """The condition for the projection on a convex set, for every corner."""
    rng = np.random.default_rng(seed)
    corners, points = rng.normal(size=(30, 3, 3)), 2 * rng.normal(size=(30, 3))
    found = nearest_on_triangles(points, corners)
    assert np.all(np.einsum("ijk,ik->ij", corners - found[:, None], points - found) <= 1e-9)


def test_samples_and_distances_of_a_known_shape():
    box = vtk.vtkCubeSource()
    box.SetBounds(0, 40, 0, 20, 0, 10)
    cut = vtk.vtkTriangleFilter()
    cut.SetInputConnection(box.GetOutputPort())
    cut.Update()
    data = cut.GetOutput()
    vertices = np.array([data.GetPoint(i) for i in range(data.GetNumberOfPoints())])
    triangles = np.array([[data.GetCell(i).GetPointId(j) for j in range(3)] for i in range(data.GetNumberOfCells())])
    pose = rigid([0.3, -1, 0.5], 41, [7, -3, 12])
    surface = Surface("box", vertices, triangles).moved(pose)
    assert surface.area_mm2 == pytest.approx(2 * (800 + 400 + 200))
    points, normals = surface.samples(20_000, seed=3)
    np.testing.assert_allclose(center_of(surface), apply_matrix(pose, [20, 10, 5]), atol=1e-9)
    # Across an edge lie two faces at half of it; on the others it spreads by a twelfth of its square.
    edges, areas = np.array([40.0, 20.0, 10.0]), np.array([400.0, 800.0, 1600.0])
    spread = np.sqrt(np.square(edges) * (areas / 4 + (areas.sum() - areas) / 12) / areas.sum())
    along = apply_matrix(np.linalg.inv(pose), points) - [20, 10, 5]
    np.testing.assert_allclose(np.std(along, axis=0), spread, rtol=0.01)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    np.testing.assert_array_equal(points, surface.samples(20_000, seed=3).points_lps)
    nearest = surface.nearest(apply_matrix(pose, [[10, 5, 13], [-3, -4, 5], [20, 10, 4]]))
    np.testing.assert_allclose(nearest.distances_mm, [3, 5, 4])
    mirrored = surface.moved(np.diag([-1.0, 1.0, 1.0, 1.0]))
    outward = np.einsum("ij,ij->i", mirrored.normals_lps, mirrored.corners_lps.mean(axis=1) - center_of(mirrored))
    assert np.all(outward > 0)


# Registration


@pytest.mark.parametrize(
    ("model", "swapped"), [("rigid", False), ("rigid", True), ("similarity", True), ("affine", False)]
)
def test_whole_shapes_are_found_from_any_pose(body, body_of_another_scan, model, swapped):
    truth = rigid([0.4, -0.8, 0.6], 133, [40, -25, 31])
    if model == "similarity":
        truth[:3, :3] *= 1.24
    elif model == "affine":
        truth[:3, :3] = truth[:3, :3] @ np.array([[1.1, 0.08, 0], [0, 0.92, -0.05], [0.03, 0, 1.05]])
    fixed, moving = body, body_of_another_scan.moved(truth)
    if swapped:
        fixed, moving, truth = moving, fixed, np.linalg.inv(truth)
    result = register_surface(fixed, moving, model=model, overlap="auto" if swapped else 1.0)
    assert mean_error_mm(result, truth, fixed) < 0.15
    assert not result.ambiguous
    assert result.warnings == ()
    # Of the moving shape to the fixed one.
    scales = np.linalg.svd(np.linalg.inv(truth)[:3, :3], compute_uv=False)
    np.testing.assert_allclose(result.scales, scales, rtol=0.01 if model != "rigid" else 1e-9)
    assert not result.mirrors
    lines = [line for line in surface_message(result) if line.startswith("Scale from moving to fixed")]
    assert len(lines) == (model != "rigid")
    assert all(f"{result.scales[0]:.4f}" in line for line in lines)
    content = json.loads(json.dumps(surface_content(result, inputs={}), allow_nan=False))
    assert content["transform"]["scales"] == list(result.scales)
    assert content["transform"]["mirrors"] is False
    assert result.moving_to_fixed.rms_mm < 0.1
    assert result.fixed_to_moving.all_p95_mm < 0.2
    assert result.rivals[0].residual_mm > 2 * result.residual_mm


@pytest.mark.parametrize("points_are_fixed", [False, True])
@pytest.mark.parametrize("noise_mm", [0.0, 0.5])
def test_thirty_landmarks_on_a_surface(body, points_are_fixed, noise_mm):
    truth = rigid([-0.3, 0.5, 1], 55, [-30, 42, 18])
    rng = np.random.default_rng(4)
    landmarks = body.samples(30, seed=21).points_lps + noise_mm * rng.normal(size=(30, 3))
    if points_are_fixed:
        result = register_surface(landmarks, body.moved(truth))
        assert result.moving_to_fixed is None
        distances = result.fixed_to_moving
    else:
        result = register_surface(body, apply_matrix(truth, landmarks))
        assert result.fixed_to_moving is None
        distances = result.moving_to_fixed
    assert mean_error_mm(result, truth, body) < (0.05 if noise_mm == 0 else 1.0)
    assert distances.kept_share == 1
    assert distances.rms_mm < 0.02 + noise_mm


@pytest.mark.parametrize("radii", [(30, 30, 30), (40, 25, 15)], ids=["sphere", "ellipsoid"])
def test_symmetric_shapes_are_called_ambiguous_and_moved_least(radii):
    truth = rigid([0.2, 1, -0.4], 15, [12, -9, 20])
    fixed = ellipsoid(radii)
    result = register_surface(fixed, ellipsoid(radii, count=53).moved(truth), overlap="auto")
    assert result.ambiguous
    assert "does not settle the pose" in result.warnings[0]
    assert result.fixed_to_moving.rms_mm < 0.15
    if radii[0] != radii[1]:
        assert mean_error_mm(result, truth, fixed) < 0.3
        assert result.rivals[0].turn_deg == pytest.approx(180, abs=2)


def test_the_initial_transform_decides_between_equals():
    fixed = ellipsoid((40, 25, 15))
    half_turn = rigid([0, 0, 1], 180, [5, 4, -3])
    start = translation_matrix([4, -3, 2]) @ half_turn @ rigid([1, 0.4, 0], 8, [0, 0, 0])
    moving = ellipsoid((40, 25, 15), count=53).moved(half_turn)
    result = register_surface(fixed, moving, initial_fixed_to_moving_lps=start)
    assert mean_error_mm(result, half_turn, fixed) < 0.3
    assert result.ambiguous


def test_the_same_seed_gives_the_same_result(body, body_of_another_scan):
    one, other = (register_surface(body, body_of_another_scan, seed=5).fixed_to_moving_lps for _ in range(2))
    np.testing.assert_array_equal(one, other)


@given(st.floats(0.35, 0.95), st.integers(0, 1000))
def test_the_automatic_share_finds_the_part_that_fits(share, seed):
    rng = np.random.default_rng(seed)
    fitting = round(share * 400)
    distances = np.sort(np.concatenate([rng.uniform(0, 0.5, fitting), rng.uniform(3, 40, 400 - fitting)]))
    assert kept_share(distances, "auto", 0.2)[0] == pytest.approx(fitting, abs=10)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"overlap": 0.0}, "overlap"),
        ({"initial_fixed_to_moving_lps": np.zeros((4, 4))}, "cannot be inverted"),
        ({"initial_fixed_to_moving_lps": np.diag([1.0, -1.0, 1.0, 1.0])}, "mirrors"),
    ],
)
def test_impossible_options_are_refused(body, options, found):
    with pytest.raises(InputError, match=found):
        register_surface(body, body, **options)


def test_too_few_points_for_a_model_are_refused(body):
    with pytest.raises(InputError, match="11 points"):
        register_surface(body, body.vertices_lps[:11], model="affine")
    few = LandmarkList.of_points("few.csv", body.vertices_lps[:5])
    with pytest.raises(InputError, match=r"^few\.csv: 5 points\."):
        register_surface(body, few)
    twice = LandmarkList.of_points("twice.csv", np.repeat(body.vertices_lps[::500][:5], 2, axis=0))
    with pytest.raises(InputError, match=r"^twice\.csv: 10 points at 5 different places"):
        register_surface(twice, body)
    with pytest.raises(InputError, match="not finite, first number 3"):
        PointSet("list", np.array([[0, 0, 0], [1, 0, 0], [np.nan, 0, 0]]))


@pytest.mark.parametrize("model", ["rigid", "similarity", "affine"])
@pytest.mark.parametrize("offset_mm", [0.0, 500.0])
def test_points_without_a_shape_are_refused(body, model, offset_mm):
    """Also when a file has rounded them to thousandths of a millimetre."""
    rng = np.random.default_rng(7)
    place = offset_mm + np.array([31.0, -12.0, 55.0])
    line = np.linspace(-60, 60, 14)[:, None] * rotation([1, 2, 0.5], 40)[0]
    for points, where in ((np.zeros((14, 3)), "in one place"), (line, "on one line")):
        for noise_mm in (0.0, 1e-4 if where == "in one place" else 1e-3):
            points_lps = points + place + noise_mm * rng.uniform(-0.5, 0.5, (14, 3))
            for sides in ((body, LandmarkList.of_points("pins.csv", points_lps)), (points_lps, body)):
                with pytest.raises(InputError, match=f"points.* {where}") as caught:
                    register_surface(*sides, model=model)
                assert caught.value.subject == ("pins.csv" if sides[0] is body else "fixed points")


def test_flat_shapes_are_refused_for_affine_only(body):
    truth = rigid([0.3, 1, -0.2], 35, [10, -20, 5])
    flat = cropped(ellipsoid((40, 25, 15)), np.array([0.0, 0.0, 1.0]), 0.5)
    flat = Surface("plate", flat.vertices_lps * [1, 1, 0] + [0, 0, 3], flat.triangles).moved(truth)
    for points in (flat, LandmarkList.of_points("plate", flat.samples(20, seed=1).points_lps)):
        assert checked_shape(points, "", "similarity").name == "plate"
        with pytest.raises(InputError, match="in one plane"):
            register_surface(body, points, model="affine")
    rod = Surface("rod", flat.vertices_lps * [0, 0, 1] + 1e-4 * flat.vertices_lps, flat.triangles)
    with pytest.raises(InputError, match="rod: the surface lies on one line"):
        checked_shape(rod, "", "rigid")


def test_points_that_are_left_out_are_named(body):
    places = body.samples(12, seed=21).points_lps.tolist()
    landmarks = [Landmark(f"P{i}", tuple(place), selected=i != 3) for i, place in enumerate(places)]
    pins = LandmarkList("pins.mrk.json", (Landmark("", None), *landmarks))
    result = register_surface(body, pins)
    assert result.notes == (
        "pins.mrk.json: number 1 is not placed and was left out.",
        "pins.mrk.json: 'P3' is not selected and was left out.",
    )
    assert set(result.notes) < set(surface_message(result))
    assert surface_content(result, inputs={})["notes"] == list(result.notes)
    used = np.delete(places, 3, axis=0)
    np.testing.assert_array_equal(result.fixed_to_moving_lps, register_surface(body, used).fixed_to_moving_lps)


def test_a_mirrored_shape_is_never_mirrored_back(body):
    mirrored = body.moved(np.diag([-1.0, 1.0, 1.0, 1.0]))
    try:
        result = register_surface(body, mirrored, model="affine")
    except InputError as error:
        assert "mirrors" in error.found
    else:
        assert not result.mirrors
        assert result.moving_to_fixed.mean_mm > 0.5


def test_a_round_that_would_mirror_ends_the_iterations():
    """Points whose nearest neighbours are their mirror images: the affine step of points to points mirrors."""
    points = np.random.default_rng(5).normal(size=(40, 3)) * [0.1, 20, 20]
    sides = PointSet("a", points), PointSet("b", points * [-1, 1, 1])
    matching = Matching(*sides, points, np.zeros((0, 3)), 1.0, 0.01)
    fit = iterate(matching, np.eye(4), model="affine", to_points=5, to_planes=0, tolerance_mm=1e-6)
    assert fit.residual_mm == np.inf
    np.testing.assert_array_equal(fit.matrix_lps, np.eye(4))
    rigid_fit = iterate(matching, np.eye(4), model="rigid", to_points=5, to_planes=0, tolerance_mm=1e-6)
    assert np.linalg.det(rigid_fit.matrix_lps[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize("model", ["rigid", "similarity"])
def test_a_start_from_far_away_does_no_harm(body, model):
    """One point of the surface is nearest to all: no scale can be found from there."""
    truth = rigid([-0.3, 0.5, 1], 55, [-30, 42, 18])
    points = apply_matrix(truth, body.samples(30, seed=21).points_lps)
    start = translation_matrix([1e6, 2e5, -3e5])
    result = register_surface(body, points, model=model, initial_fixed_to_moving_lps=start)
    assert mean_error_mm(result, truth, body) < 0.1


# A real bone of which a part is missing


@pytest.fixture(scope="module")
def bones():
    """Bone of the porcine CT, and the same of a coarser oblique scan of it with noise."""
    from conftest import REAL_DATA

    if not REAL_DATA.is_dir():
        pytest.skip("the real volumes are missing")
    volume = read_volume(REAL_DATA / "porcine" / "ct.nrrd")
    surface = surface_of_threshold(volume, 300)
    grid = centered_grid([150, 150, 120], [1.3, 1.3, 2.0], rotation([0.3, -0.4, 0.2], 31), center_of(surface))
    reference = sitk.Image(grid.size, sitk.sitkFloat32)
    grid.place(reference)
    coarse = sitk.Resample(
        sitk.Cast(volume.image, sitk.sitkFloat32), reference, sitk.Transform(), sitk.sitkLinear, -1e3
    )
    noisy = sitk.AdditiveGaussianNoise(coarse, 60.0, 0.0, 1)
    return surface, surface_of_threshold(Volume(noisy, "coarse"), 300)


@pytest.mark.parametrize("seed", range(10))
def test_a_bone_with_two_fifths_missing(bones, seed, real_data):
    bone, coarse = bones
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3) / 2
    move = rng.normal(size=3)
    truth = translation_matrix(center_of(bone) + rng.uniform(0, 50) * move / np.linalg.norm(move))
    truth = (
        truth @ rigid(rng.normal(size=3).tolist(), rng.uniform(0, 30), [0, 0, 0]) @ translation_matrix(-center_of(bone))
    )
    fixed, moving = bone, coarse
    if seed % 2:
        fixed = cropped(bone, direction, 0.4)
    else:
        moving = cropped(coarse, direction, 0.4)
    result = register_surface(fixed, moving.moved(truth), overlap="auto", seed=seed)
    assert mean_error_mm(result, truth, bone) < 0.5
    assert not result.ambiguous
    part, whole = (
        (result.fixed_to_moving, result.moving_to_fixed)
        if seed % 2
        else (result.moving_to_fixed, result.fixed_to_moving)
    )
    assert part.kept_share > 0.8
    assert 0.45 < whole.kept_share < 0.7
    assert whole.all_mean_mm > 5 * whole.mean_mm


# Surfaces of volumes


@pytest.mark.parametrize(("spacing", "mean", "largest"), [([1, 1, 1], 0.05, 0.35), ([1, 1, 3], 0.2, 1.5)])
def test_the_surface_of_a_mask_lies_on_the_sphere(spacing, mean, largest):
    radius = 20
    grid = centered_grid(
        [48, 50, 48 // spacing[2] + 6], spacing, rotation([1, 0.3, -0.2], 33) @ np.diag([1, 1, -1]), [12, -31, 40]
    )
    away = np.linalg.norm(voxel_points(grid) - CENTER, axis=-1)
    for surface, allowed in (
        (surface_of_mask(Volume(image_of((away < radius).astype(np.uint8), grid), "mask")), (mean, largest)),
        (
            surface_of_threshold(Volume(image_of(-away.astype(np.float32), grid), "scan"), -radius),
            (mean / 2, largest / 5),
        ),
    ):
        distance = np.linalg.norm(surface.samples(5000, seed=1).points_lps - CENTER, axis=1) - radius
        assert abs(distance.mean()) < 0.06
        assert np.abs(distance).mean() < allowed[0]
        assert np.abs(distance).max() < allowed[1]
        outward = np.einsum("ij,ij->i", surface.normals_lps, surface.corners_lps.mean(axis=1) - CENTER)
        assert np.all(outward > 0)


def test_label_maps_give_the_surface_of_one_label(tmp_path):
    values = (lumps(voxel_points(GRID)) > 0).astype(np.uint8)
    values[:10, :10, :10] = 7
    for name in ("labels.nii.gz", "labels.seg.nrrd"):
        sitk.WriteImage(image_of(values, GRID), str(tmp_path / name))
        surface = read_surface(tmp_path / name, label=1)
        np.testing.assert_array_less(np.abs(lumps(surface.vertices_lps)), 0.25)
        assert read_surface(tmp_path / name).area_mm2 > surface.area_mm2 + 100
        with pytest.raises(InputError, match=r"label 3.*the file has: 1, 7"):
            read_surface(tmp_path / name, label=3)
    with pytest.raises(InputError, match="leave this option out"):
        read_surface(tmp_path / name, space="LPS")
    rng = np.random.default_rng(0)
    sitk.WriteImage(image_of(rng.normal(size=GRID.size).astype(np.float32), GRID), str(tmp_path / "scan.nrrd"))
    with pytest.raises(InputError, match="looks like a scan"):
        read_surface(tmp_path / "scan.nrrd")


def test_a_threshold_without_a_surface_names_the_range(body):
    volume = Volume(image_of(lumps(voxel_points(GRID)), GRID), "scan")
    with pytest.raises(InputError, match="reach from"):
        surface_of_threshold(volume, 5.0)


# Model files


def polydata_of(surface, points):
    data, cells, vertices = vtk.vtkPolyData(), vtk.vtkCellArray(), vtk.vtkPoints()
    vertices.SetData(numpy_to_vtk(points, deep=True))
    for triangle in surface.triangles:
        cells.InsertNextCell(3, triangle.tolist())
    data.SetPoints(vertices)
    data.SetPolys(cells)
    return data


def write_model(path, surface, space):
    """Write as Slicer does: the frame in the header, in a comment or in a field."""
    points = flip_points_lps_ras(surface.vertices_lps) if space == "RAS" else surface.vertices_lps
    said = "" if space is None else f"3D Slicer output. SPACE={space}"
    if path.suffix == ".obj":
        lines = [f"# {said}", *(f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in points)]
        lines += [f"f {a} {b} {c}" for a, b, c in surface.triangles + 1]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    data = polydata_of(surface, points)
    kinds = {
        ".stl": vtk.vtkSTLWriter,
        ".ply": vtk.vtkPLYWriter,
        ".vtk": vtk.vtkPolyDataWriter,
        ".vtp": vtk.vtkXMLPolyDataWriter,
    }
    writer = kinds[path.suffix]()
    if path.suffix in (".stl", ".vtk"):
        writer.SetHeader(said or "no frame")
    elif path.suffix == ".ply":
        writer.AddComment(said or "no frame")
    elif space is not None:
        field = vtk.vtkStringArray()
        field.SetName("SPACE")
        field.InsertNextValue(space)
        data.GetFieldData().AddArray(field)
    if path.suffix in (".stl", ".ply", ".vtk"):
        writer.SetFileTypeToBinary()
    writer.SetInputData(data)
    writer.SetFileName(str(path))
    assert writer.Write()


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj", ".vtk", ".vtp"])
def test_models_are_read_in_the_frame_they_say(tmp_path, suffix):
    surface = ellipsoid((30, 20, 10), center=(50, -40, 20))
    path = tmp_path / f"model{suffix}"
    for space in ("LPS", "RAS"):
        write_model(path, surface, space)
        for given_space in (None, space):
            read = read_surface(path, space=given_space)
            assert read.name == str(path)
            np.testing.assert_allclose(center_of(read), center_of(surface), atol=1e-3)
            assert surface.nearest(read.vertices_lps).distances_mm.max() < 1e-4
            assert read.area_mm2 == pytest.approx(surface.area_mm2, rel=1e-5)
        other = "RAS" if space == "LPS" else "LPS"
        with pytest.raises(InputError, match=f"says that it is in {space}, but {other} was given"):
            read_surface(path, space=other)
    write_model(path, surface, None)
    with pytest.raises(InputError, match=r"LPS or RAS\. State it with --fixed-space or --moving-space"):
        read_surface(path)
    np.testing.assert_allclose(center_of(read_surface(path, space="LPS")), center_of(surface), atol=1e-3)


def test_the_unit_of_an_obj_file_is_honoured(tmp_path):
    path = tmp_path / "metres.obj"
    surface = ellipsoid((0.03, 0.02, 0.01))
    write_model(path, surface, "LPS")
    unit = "# vertex coordinates are measured in units, where 1 unit = {} {}\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(unit.format("1000.000000", "mm") + text, encoding="utf-8")
    assert np.ptp(read_surface(path).vertices_lps[:, 2]) == pytest.approx(20, rel=1e-3)
    path.write_text(unit.format("1", "inch") + text, encoding="utf-8")
    with pytest.raises(InputError, match="1 inch"):
        read_surface(path)


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj", ".vtk", ".vtp"])
def test_files_that_are_no_models_are_told(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    with pytest.raises(InputError, match="no such file"):
        read_surface(path)
    path.write_text("this is no model\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_surface(path, space="LPS")
    assert str(caught.value).startswith(str(path))


def test_surfaces_without_a_shape_are_refused():
    vertices, triangles = ellipsoid((3, 2, 1)).vertices_lps, ellipsoid((3, 2, 1)).triangles
    bad = vertices.copy()
    bad[6, 1] = np.inf
    for arguments, found in (
        ((vertices, triangles[:0]), "empty"),
        ((vertices[:8], np.array([[0, 1, 2]])), "only 8 vertices"),
        ((bad, triangles), "not finite, first number 7"),
        ((vertices[:20], triangles), "of 20"),
        ((0 * vertices, triangles), "no area"),
    ):
        with pytest.raises(InputError, match=found):
            Surface("bone", *arguments)


def test_without_vtk_the_remedy_is_named(tmp_path, monkeypatch):
    path = tmp_path / "model.stl"
    write_model(path, ellipsoid((3, 2, 1)), "LPS")
    monkeypatch.setitem(sys.modules, "vtk", None)
    with pytest.raises(InputError, match=f'"{re.escape(sys.executable)}" -m pip install "vtk"'):
        read_surface(path)
