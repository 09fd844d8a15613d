"""Frames, linear transforms and grids against definitions and against SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import CT_GRID, MR_GRID, rigid, rotation
from hypothesis import given
from hypothesis import strategies as st
from MultimodalRegistrationLib.core import frames, linear
from MultimodalRegistrationLib.core.grid import VolumeGrid

angles = st.floats(-180, 180)
axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1).map(list)
shifts = st.tuples(*[st.floats(-500, 500)] * 3).map(list)
rigids = st.builds(rigid, axes, angles, shifts)
stretches = st.tuples(*[st.floats(0.3, 3)] * 3)
affines = st.builds(lambda r, s, q: r @ np.diag([*s, 1.0]) @ q, rigids, stretches, rigids)
points = st.lists(st.tuples(*[st.floats(-300, 300)] * 3), min_size=1, max_size=5).map(np.array)


def test_a_point_of_the_left_posterior_superior_octant():
    # 10 mm to the left, 20 mm to the back, 30 mm up, by the definition of the two frames.
    assert frames.flip_points_lps_ras([10, 20, 30]).tolist() == [-10, -20, 30]


@given(affines, points)
def test_flipped_matrix_maps_flipped_points(matrix, p):
    ras = linear.apply_matrix(frames.flip_matrix_lps_ras(matrix), frames.flip_points_lps_ras(p))
    lps = linear.apply_matrix(matrix, p)
    np.testing.assert_allclose(frames.flip_points_lps_ras(ras), lps, atol=1e-8)


@given(affines, points)
def test_modelling_transform_brings_moving_points_onto_fixed_points(fixed_to_moving_lps, fixed_lps):
    moving_lps = linear.apply_matrix(fixed_to_moving_lps, fixed_lps)
    moving_to_fixed_ras = frames.modelling_ras_from_resampling_lps(fixed_to_moving_lps)
    back = linear.apply_matrix(moving_to_fixed_ras, frames.flip_points_lps_ras(moving_lps))
    np.testing.assert_allclose(back, frames.flip_points_lps_ras(fixed_lps), atol=1e-6)


@given(affines)
def test_the_two_directions_are_inverse_conversions(matrix):
    there = frames.modelling_ras_from_resampling_lps(matrix)
    np.testing.assert_allclose(frames.resampling_lps_from_modelling_ras(there), matrix, atol=1e-7)


@given(affines, points)
def test_matrix_and_simpleitk_transform_agree(matrix, p):
    transform = linear.sitk_from_matrix(matrix)
    for point in p:
        np.testing.assert_allclose(transform.TransformPoint(point.tolist()), linear.apply_matrix(matrix, point))
    np.testing.assert_allclose(linear.matrix_from_sitk(transform), matrix, atol=1e-9)


def test_matrix_of_a_composite_of_centred_transforms():
    euler = sitk.Euler3DTransform((10, -20, 30), 0.3, -0.2, 0.9, (4, 5, -6))
    scale = sitk.ScaleTransform(3, (1.1, 0.8, 1.3))
    composite = sitk.CompositeTransform([euler, scale])
    p = (31.0, -17.0, 8.0)
    np.testing.assert_allclose(
        linear.apply_matrix(linear.matrix_from_sitk(composite), p), composite.TransformPoint(p), atol=1e-10
    )


def test_a_warp_has_no_matrix():
    with pytest.raises(ValueError, match="non-linear"):
        linear.matrix_from_sitk(sitk.BSplineTransform(3))


@given(rigids)
def test_rigid_transforms_are_recognised(matrix):
    assert linear.is_rigid(matrix)
    assert not linear.is_rigid(matrix @ np.diag([1, 1, 1.01, 1]))
    assert not linear.is_rigid(matrix @ np.diag([-1, 1, 1, 1]))


@given(axes, st.floats(0, 179.9))
def test_rotation_angle(axis, angle):
    scaled = rigid(axis, angle, [1, 2, 3]) @ np.diag([1.2, 1.2, 1.2, 1])
    assert linear.rotation_angle_deg(scaled) == pytest.approx(angle, abs=1e-4)


@pytest.mark.parametrize("grid", [CT_GRID, MR_GRID], ids=["oblique-flipped", "oblique"])
def test_grid_places_voxels_as_simpleitk_does(grid):
    image = sitk.Image(*grid.size, sitk.sitkUInt8)
    grid.place(image)
    for index in [(0, 0, 0), (5, 0, 0), (0, 7, 0), (0, 0, 9), (11, 3, 8)]:
        np.testing.assert_allclose(
            linear.apply_matrix(grid.ijk_to_lps, index), image.TransformIndexToPhysicalPoint(index), atol=1e-9
        )
    read = VolumeGrid.of_image(image)
    np.testing.assert_allclose(read.ijk_to_lps, grid.ijk_to_lps, atol=1e-12)


def test_corners_are_voxel_borders():
    grid = VolumeGrid((10, 20, 30), (1, 2, 3), (0, 0, 0), tuple(np.eye(3).ravel()))
    np.testing.assert_allclose(grid.corners_lps.min(axis=0), [-0.5, -1, -1.5])
    np.testing.assert_allclose(grid.corners_lps.max(axis=0), [9.5, 39, 88.5])
    np.testing.assert_allclose(grid.extent_mm, [10, 40, 90])


def test_contains_follows_the_borders_of_an_oblique_grid():
    inward = CT_GRID.center_lps + 0.999 * (CT_GRID.corners_lps - CT_GRID.center_lps)
    outward = CT_GRID.center_lps + 1.001 * (CT_GRID.corners_lps - CT_GRID.center_lps)
    assert CT_GRID.contains(inward).all()
    assert not CT_GRID.contains(outward).any()


@given(rigids, points)
def test_moved_grid_carries_its_voxels_along(matrix, index):
    before = linear.apply_matrix(MR_GRID.ijk_to_lps, index)
    after = linear.apply_matrix(MR_GRID.moved(matrix).ijk_to_lps, index)
    np.testing.assert_allclose(after, linear.apply_matrix(matrix, before), atol=1e-6)
    assert MR_GRID.moved(matrix).is_orthogonal


def test_rotation_fixture_is_right_handed():
    np.testing.assert_allclose(rotation([0, 0, 1], 90) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
