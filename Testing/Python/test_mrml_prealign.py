"""Markups in, a transform node out: linear and thin-plate spline, under parent transforms."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
import vtk
from conftest import rigid
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.landmarks.thin_plate import box_of_points, spline_grid
from MultimodalRegistrationLib.mrml.landmarks import prealign_nodes
from MultimodalRegistrationLib.mrml.transforms import SETTINGS_ATTRIBUTE, add_grid_node, apply_to_moving
from test_mrml import PARENT_RAS, add_parent

POSE_RAS = rigid([0.3, 1, -0.5], 130, [40, -220, 75])


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


def add_points(scene, name, points_ras):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for point in points_ras:
        node.AddControlPoint(vtk.vtkVector3d(*point))
    return node


def world_points(node):
    result = []
    for index in range(node.GetNumberOfControlPoints()):
        position = [0.0] * 3
        node.GetNthControlPointPositionWorld(index, position)
        result.append(position)
    return np.array(result)


@pytest.fixture
def points_ras():
    random = np.random.default_rng(4)
    moving = random.uniform(-70, 70, (9, 3)) + np.array([10, -40, 90])
    return moving, apply_matrix(POSE_RAS, moving) + random.normal(size=moving.shape)


@pytest.mark.parametrize("model", ["rigid", "similarity", "affine", "tps"])
def test_the_node_puts_the_moving_points_onto_the_fixed_ones(scene, points_ras, model):
    moving, fixed = points_ras
    fixed_node, moving_node = add_points(scene, "CT points", fixed), add_points(scene, "MR points", moving)
    # The moving list lies elsewhere in its own frame and only its parent puts it there.
    add_parent(scene, moving_node, PARENT_RAS)
    node, result = prealign_nodes(scene, fixed_node, moving_node, model=model)
    assert node.IsLinear() == (model != "tps")
    before = world_points(moving_node)
    np.testing.assert_allclose(flip_points_lps_ras(before), result.pairs.moving_lps, atol=1e-9)
    apply_to_moving(node, moving_node)
    after = world_points(moving_node)
    np.testing.assert_allclose(np.linalg.norm(after - fixed, axis=1), result.fiducial.per_point_mm, atol=1e-3)
    tolerance_mm = 1e-3 if model == "tps" else 1e-9
    np.testing.assert_allclose(
        after, flip_points_lps_ras(result.fit.to_fixed(result.pairs.moving_lps)), atol=tolerance_mm
    )
    settings = json.loads(node.GetAttribute(SETTINGS_ATTRIBUTE))
    assert settings["inputs"] == {"fixed_landmarks": "CT points", "moving_landmarks": "MR points"}
    assert settings["fiducial_error"]["rms_mm"] == pytest.approx(result.fiducial.rms_mm)


def test_a_stiff_spline_is_the_same_in_the_node(scene, points_ras):
    moving, fixed = points_ras
    node, result = prealign_nodes(
        scene, add_points(scene, "F", fixed), add_points(scene, "M", moving), model="tps", stiffness_mm=25.0
    )
    from_parent = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_parent)
    targets = np.random.default_rng(1).uniform(-100, 100, (50, 3)) + fixed.mean(axis=0)
    theirs = np.array([from_parent.TransformPoint(point) for point in targets])
    ours = flip_points_lps_ras(result.fit.to_moving(flip_points_lps_ras(targets)))
    np.testing.assert_allclose(theirs, ours, atol=1e-6)
    assert result.fiducial.rms_mm > 0.1


def test_points_that_are_not_placed_or_not_selected_are_left_out_and_named(scene, points_ras):
    moving, fixed = points_ras
    fixed_node, moving_node = add_points(scene, "F", fixed), add_points(scene, "M", moving)
    moving_node.UnsetNthControlPointPosition(2)
    fixed_node.SetNthControlPointSelected(5, False)
    fixed_node.SetNthControlPointLocked(6, True)
    fixed_node.SetNthControlPointVisibility(7, False)
    _, result = prealign_nodes(scene, fixed_node, moving_node)
    assert result.pairs.fixed_index == (0, 1, 3, 4, 6, 7, 8)
    assert "M-3" in " ".join(result.pairs.notes)
    assert "F-6" in " ".join(result.pairs.notes)


def test_targets_are_reported_apart(scene, points_ras):
    moving, fixed = points_ras
    nodes = [add_points(scene, name, points) for name, points in (("F", fixed[:6]), ("M", moving[:6]))]
    targets = [add_points(scene, name, points) for name, points in (("TF", fixed[5:]), ("TM", moving[5:]))]
    _, result = prealign_nodes(scene, *nodes, fixed_targets_node=targets[0], moving_targets_node=targets[1])
    # The first target is a landmark of the fit.
    assert len(result.targets.pairs) == 3
    assert [f.code for f in result.findings] == ["target-is-landmark"]
    assert 0.1 < result.targets.after.rms_mm < 5 < result.targets.before.rms_mm


def test_the_grid_of_a_spline_is_the_spline(scene, points_ras):
    moving, fixed = points_ras
    _, result = prealign_nodes(scene, add_points(scene, "F", fixed), add_points(scene, "M", moving), model="tps")
    made = spline_grid(result.fit, box_of_points(result.pairs.fixed_lps))
    node = add_grid_node(scene, made, name="grid")
    from_parent = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_parent)
    targets_lps = np.random.default_rng(1).uniform(-60, 60, (50, 3)) + result.pairs.fixed_lps.mean(axis=0)
    theirs = np.array([from_parent.TransformPoint(point) for point in flip_points_lps_ras(targets_lps)])
    ours = flip_points_lps_ras(result.fit.to_moving(targets_lps))
    assert np.linalg.norm(theirs - ours, axis=1).max() < made.error_mm + 0.01


def test_a_list_without_its_partner_is_said(scene, points_ras):
    node = add_points(scene, "F", points_ras[1])
    with pytest.raises(InputError, match="F was given without its partner"):
        prealign_nodes(scene, node, None)
    with pytest.raises(InputError, match="no lists"):
        prealign_nodes(scene, None, None)
    with pytest.raises(InputError, match="T was given without"):
        prealign_nodes(scene, node, node, fixed_targets_node=add_points(scene, "T", points_ras[1]))


def test_automatic_pairing_of_a_mirrored_list(scene, points_ras):
    moving, fixed = points_ras
    nodes = add_points(scene, "F", fixed * [-1, 1, 1]), add_points(scene, "M", moving[::-1])
    with pytest.raises(InputError, match="mirror"):
        prealign_nodes(scene, *nodes, pairing="auto")
    _, result = prealign_nodes(scene, *nodes, pairing="auto", reflection=True)
    assert result.mirrors
    assert result.fiducial.rms_mm < 3
