"""What elastix found is what we give: its B-spline against its own mapping of points."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import centered_grid, rigid, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from itk import itkPointPython as itk_point
from MultimodalRegistrationLib.core.linear import apply_matrix, is_rigid
from MultimodalRegistrationLib.engines import run_elastix
from MultimodalRegistrationLib.engines.jobs import EngineJob, EngineVolume
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.engines.run_elastix import last_index, own_frame
from scipy.ndimage import gaussian_filter

OBLIQUE = rotation([1, -2, 0.5], 35)


def noise(spacing, direction, center):
    voxels = gaussian_filter(np.random.default_rng(1).normal(size=(30, 44, 40)), 3)
    return EngineVolume((1000 * voxels).astype(np.float32), centered_grid([40, 44, 30], spacing, direction, center))


@pytest.mark.parametrize(("stages", "direction"), [(1, OBLIQUE), (2, OBLIQUE @ np.diag([-1, 1, 1]))], ids=["1", "2"])
def test_the_spline_is_that_of_elastix(stages, direction, monkeypatch, tmp_path):
    fixed, moving = noise([2, 1.5, 3], direction, [10, -20, 5]), noise([2, 1.5, 3.2], direction, [12, -21, 5])
    few = {"MaximumNumberOfIterations": 30 // stages, "MaximumStepLength": 0.5}
    stage = {**find_preset("warp").engines["elastix"][0], **few}
    new, made = run_elastix.elx_registration.itkElastixRegistrationMethodIF3IF3_New, []

    def kept():
        made.append(new())
        return made[-1]

    methods = SimpleNamespace(itkElastixRegistrationMethodIF3IF3_New=kept)
    monkeypatch.setattr(run_elastix, "elx_registration", methods)
    transform = run_elastix.run(EngineJob(fixed, moving, [stage] * stages, 3), tmp_path)
    own = made[0].GetCombinationTransform()
    shares = np.random.default_rng(0).uniform(0, 1, (300, 3))
    points_lps = apply_matrix(fixed.grid.ijk_to_lps, shares * (np.asarray(fixed.grid.size) - 1))
    expected = []
    _, to_own = own_frame(fixed.grid)
    for coordinates in apply_matrix(to_own, points_lps).tolist():
        point = itk_point.itkPointD3()
        for axis, coordinate in enumerate(coordinates):
            point.SetElement(axis, coordinate)
        moved = own.TransformPoint(point)
        expected.append([moved.GetElement(axis) for axis in range(3)])
    expected = apply_matrix(np.linalg.inv(to_own), np.array(expected))
    assert np.abs(expected - points_lps).max() > 1, "it bends"
    found = [transform.TransformPoint(point) for point in points_lps.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_thick_slices_are_sampled_at_their_voxels_and_not_smoothed_across():
    thin, thick = noise([2, 2, 3], np.eye(3), [0, 0, 0]), noise([9, 2, 2], np.eye(3), [0, 0, 0])
    (rigid_stage,), (bending,) = (find_preset(name).engines["elastix"] for name in ("rigid", "warp"))
    found = run_elastix._for_coarse_voxels(rigid_stage, EngineJob(thick, thin, [rigid_stage], 1))
    assert found == {
        "ImageSampler": "Random",
        "FixedImagePyramidSchedule": [1, 4, 4, 0, 2, 2, 0, 1, 1],
        "MovingImagePyramidSchedule": [4, 4, 4, 2, 2, 2, 1, 1, 1],
    }
    own = {**rigid_stage, "ImageSampler": "Grid"}
    assert "ImageSampler" not in run_elastix._for_coarse_voxels(own, EngineJob(thick, thin, [own], 1))
    without = {key: value for key, value in rigid_stage.items() if key != "ImagePyramidSchedule"}
    for fixed, moving, stage in (
        (thin, thick, rigid_stage),
        (thick, thick, rigid_stage),
        (thick, thin, bending),
        (thick, thin, without),
    ):
        assert run_elastix._for_coarse_voxels(stage, EngineJob(fixed, moving, [stage], 1)) == {}


def test_coarse_voxels_are_not_smoothed_at_the_last_resolution():
    fine, coarse = noise([1, 1, 3], np.eye(3), [0, 0, 0]), noise([4, 4, 3], np.eye(3), [0, 0, 0])
    (rigid_stage,) = find_preset("rigid").engines["elastix"]
    found = run_elastix._for_coarse_voxels(rigid_stage, EngineJob(coarse, fine, [rigid_stage], 1))
    assert found == {
        "FixedImagePyramidSchedule": [4, 4, 4, 2, 2, 2, 0, 0, 0],
        "MovingImagePyramidSchedule": [4, 4, 4, 2, 2, 2, 1, 1, 1],
    }
    assert run_elastix._for_coarse_voxels(rigid_stage, EngineJob(fine, coarse, [rigid_stage], 1)) == {}
    for own in (
        {"ImagePyramidSchedule": [4, 4, 4, 2, 2, 2]},
        {"ImagePyramidSchedule": [1, 1, 1], "NumberOfResolutions": 1},
        {"FixedImagePyramidSchedule": [2, 2, 2, 1, 1, 1, 1, 1, 1]},
    ):
        stage = {**rigid_stage, **own}
        assert run_elastix._for_coarse_voxels(stage, EngineJob(coarse, fine, [stage], 1)) == {}


@pytest.mark.parametrize("settings", [{}, {"ImageSampler": "Random"}], ids=["preset", "own sampler"])
def test_a_sparse_mask_of_thick_slices_does_not_stop_elastix(settings, tmp_path):
    """The sampler of all voxels gives up where most of them lie beside the mask."""
    thin, thick = noise([2, 2, 3], np.eye(3), [0, 0, 0]), noise([9, 2, 2], np.eye(3), [0, 0, 0])
    mask = np.zeros(thick.voxels.shape, dtype=np.uint8)
    mask[::4, ::4, ::4] = 1
    (rigid_stage,) = find_preset("rigid").engines["elastix"]
    stage = {**rigid_stage, "MaximumNumberOfIterations": 5, **settings}
    assert is_rigid(run_elastix.run(EngineJob(replace(thick, mask=mask), thin, [stage], 1), tmp_path))


@given(
    size=st.tuples(*[st.integers(2, 400)] * 3),
    spacing=st.tuples(*[st.floats(0.05, 12)] * 3),
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1),
    angle=st.floats(0, 180),
    flipped=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_no_layer_of_voxels_is_lost_by_rounding(size, spacing, axis, angle, flipped):
    axes = rotation(list(axis), angle) @ np.diag([1, 1, -1 if flipped else 1])
    grid = centered_grid(list(size), list(spacing), axes, [31, -250, 1200])
    own, to_own = own_frame(grid)
    assert np.all(np.array(last_index(own)) >= np.array(size) - 1)
    # It is the same grid in another place.
    placed = apply_matrix(to_own @ grid.ijk_to_lps, np.array([[0, 0, 0], size]))
    np.testing.assert_allclose(placed, apply_matrix(own.ijk_to_lps, np.array([[0, 0, 0], size])), atol=1e-9)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(("axis", "side"), [(axis, side) for axis in range(3) for side in (0, -1)])
def test_elastix_finds_each_outermost_layer(axis, side, flipped, tmp_path):
    """With a mask of that layer alone it would stop for want of voxels: in place it does so in one case of four."""
    axes = rotation([0.3, 1, -0.7], 47) @ np.diag([1, 1, -1 if flipped else 1])
    voxels = gaussian_filter(np.random.default_rng(2).normal(size=(13, 19, 16)), 2).astype(np.float32)
    volume = EngineVolume(voxels, centered_grid([16, 19, 13], [1.237, 0.941, 3.318], axes, [31, -50, 100]))
    mask = np.zeros(voxels.shape, dtype=np.uint8)
    np.moveaxis(mask, axis, 0)[side] = 1
    (rigid_stage,) = find_preset("rigid").engines["elastix"]
    once = {"NumberOfResolutions": 1, "ImagePyramidSchedule": [1, 1, 1], "MaximumNumberOfIterations": 1}
    stage = {**rigid_stage, **once, "ImageSampler": "Full", "NewSamplesEveryIteration": False}
    run_elastix.run(EngineJob(replace(volume, mask=mask), volume, [stage], 1), tmp_path)


def test_settings_that_name_axes_mean_those_of_space(tmp_path):
    """All moves but that along S are held, and the volumes lie obliquely."""
    fixed, moving = noise([2, 1.5, 3], OBLIQUE, [10, -20, 5]), noise([2, 1.5, 3], OBLIQUE, [12, -21, 8])
    (rigid_stage,) = find_preset("rigid").engines["elastix"]
    held = {"AutomaticScalesEstimation": False, "Scales": [1e12, 1e12, 1e12, 1e12, 1e12, 1.0]}
    stage = {**rigid_stage, **held, "MaximumNumberOfIterations": 60}
    found = run_elastix.run(EngineJob(fixed, moving, [stage], 3), tmp_path)
    assert abs(found[2, 3]) > 1, "it moves"
    np.testing.assert_allclose(found[:2], np.eye(4)[:2], atol=1e-6)


# Where many control points move in noise, rounding grows to something after some twenty steps.
@pytest.mark.parametrize(("preset", "steps"), [("rigid", 60), ("warp", 10)])
def test_the_result_does_not_depend_on_where_both_volumes_lie(preset, steps, tmp_path):
    fixed, moving = noise([2, 1.5, 3], OBLIQUE, [10, -20, 5]), noise([2, 1.5, 3], OBLIQUE, [12, -21, 5])
    stage = {**find_preset(preset).engines["elastix"][0], "MaximumNumberOfIterations": steps}
    points_lps = apply_matrix(fixed.grid.ijk_to_lps, np.random.default_rng(0).uniform(0, 1, (100, 3)) * [39, 43, 29])
    found = moved_points(run_elastix.run(EngineJob(fixed, moving, [stage], 3), tmp_path), points_lps)
    move = rigid([1, 2, -1], 60, [30, -80, 400])
    fixed, moving = (replace(volume, grid=volume.grid.moved(move)) for volume in (fixed, moving))
    again = run_elastix.run(EngineJob(fixed, moving, [stage], 3), tmp_path)
    np.testing.assert_allclose(
        apply_matrix(np.linalg.inv(move), moved_points(again, apply_matrix(move, points_lps))), found, atol=1e-6
    )


def moved_points(transform, points_lps):
    if isinstance(transform, np.ndarray):
        return apply_matrix(transform, points_lps)
    return np.array([transform.TransformPoint(point) for point in points_lps.tolist()])
