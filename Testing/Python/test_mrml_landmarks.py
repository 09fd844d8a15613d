"""Markups nodes in, landmarks out, in world coordinates whatever the parents; and back."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from conftest import rigid
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.points import Landmark, LandmarkList
from MultimodalRegistrationLib.mrml.landmarks import add_landmark_node, landmarks_of_node
from vtk.util.numpy_support import numpy_to_vtk

POINTS_RAS = np.array([[31.25, -42.5, 17.0], [-8.0, 77.125, -63.5], [0.5, 3.25, 120.0], [64.0, -11.0, 8.75]])
OUTER_RAS = rigid([0, 1, 1], -50, [-8, 9, 70])
# A rotation after a shear and a flip: not rigid, and left-handed.
INNER_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55]) @ np.array(
    [[1, 0.2, 0, 0], [0, -1.1, 0, 0], [0, 0, 0.9, 0], [0, 0, 0, 1]]
)


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


@pytest.fixture
def node(scene):
    """Made by MRML's own calls."""
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Landmarks")
    for number, (r, a, s) in enumerate(POINTS_RAS.tolist(), start=1):
        node.AddControlPoint(r, a, s, f"P{number}")
    return node


def add_parent(scene, node, to_parent_ras):
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(to_parent_ras.ravel())
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    parent.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(parent.GetID())
    return parent


def test_points_without_parent(node):
    landmarks = landmarks_of_node(node)
    assert landmarks.name == "Landmarks"
    assert [landmark.label for landmark in landmarks.landmarks] == ["P1", "P2", "P3", "P4"]
    np.testing.assert_array_equal(landmarks.points_lps, flip_points_lps_ras(POINTS_RAS))


def test_nested_linear_parents(scene, node):
    add_parent(scene, add_parent(scene, node, INNER_RAS), OUTER_RAS)
    np.testing.assert_allclose(
        landmarks_of_node(node).points_lps,
        flip_points_lps_ras(apply_matrix(OUTER_RAS @ INNER_RAS, POINTS_RAS)),
        atol=1e-9,
    )


def test_thin_plate_spline_under_a_linear_parent(scene, node):
    """At its own landmarks, a thin-plate spline is known exactly."""
    rng = np.random.default_rng(4)
    corners = np.array([[x, y, z] for x in (-120, 120) for y in (-120, 120) for z in (-120, 150)], dtype=float)
    sources = np.concatenate([POINTS_RAS, corners])
    targets = sources + rng.uniform(-9, 9, sources.shape)
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    for setter, points in ((spline.SetSourceLandmarks, sources), (spline.SetTargetLandmarks, targets)):
        landmarks = vtk.vtkPoints()
        landmarks.SetDataTypeToDouble()
        for point in points:
            landmarks.InsertNextPoint(point)
        setter(landmarks)
    warp = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    warp.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(warp.GetID())
    add_parent(scene, warp, OUTER_RAS)
    expected = flip_points_lps_ras(apply_matrix(OUTER_RAS, targets[: len(POINTS_RAS)]))
    np.testing.assert_allclose(landmarks_of_node(node).points_lps, expected, atol=1e-6)


def test_grid_transform(scene, node):
    """A displacement that is linear in space: trilinear interpolation reproduces it."""
    axis = np.arange(-150.0, 151.0, 20.0)
    s, a, r = np.meshgrid(axis, axis, axis, indexing="ij")
    slope = np.array([[0.05, -0.02, 0.03], [0.01, 0.04, -0.06], [-0.03, 0.02, 0.07]])
    shift_mm = np.array([4.0, -7.0, 2.5])
    displacement = np.stack([r, a, s], axis=-1).reshape(-1, 3) @ slope.T + shift_mm
    image = vtk.vtkImageData()
    image.SetDimensions(len(axis), len(axis), len(axis))
    image.SetOrigin(-150, -150, -150)
    image.SetSpacing(20, 20, 20)
    image.GetPointData().SetScalars(numpy_to_vtk(displacement, deep=True))
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    grid.SetInterpolationModeToLinear()
    warp = scene.AddNewNodeByClass("vtkMRMLTransformNode", "grid")
    warp.SetAndObserveTransformToParent(grid)
    node.SetAndObserveTransformNodeID(warp.GetID())
    expected = flip_points_lps_ras(POINTS_RAS + POINTS_RAS @ slope.T + shift_mm)
    # VTK looks grids up with single precision.
    np.testing.assert_allclose(landmarks_of_node(node).points_lps, expected, atol=1e-4)


def test_only_defined_positions_are_placed_and_only_selected_points_used(scene, node):
    node.UnsetNthControlPointPosition(0)
    node.SetNthControlPointPositionMissing(1)
    node.SetNthControlPointSelected(2, False)
    node.SetNthControlPointLocked(3, True)
    node.SetNthControlPointVisibility(3, False)
    preview = node.AddControlPoint(1.0, 2.0, 3.0, "preview")
    node.SetNthControlPointPosition(preview, 1.0, 2.0, 3.0, node.PositionPreview)
    landmarks = landmarks_of_node(node)
    assert [landmark.placed for landmark in landmarks.landmarks] == [False, False, True, True, False]
    assert landmarks.used == (3,)
    assert np.isnan(landmarks.points_lps[[0, 1, 4]]).all()


def test_control_points_of_a_curve(scene):
    curve = scene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", "curve")
    for r, a, s in POINTS_RAS.tolist():
        curve.AddControlPoint(r, a, s)
    np.testing.assert_array_equal(landmarks_of_node(curve).points_lps, flip_points_lps_ras(POINTS_RAS))


def test_nodes_without_points_are_refused_by_name(scene, node):
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", "bone")
    empty = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "empty")
    for wrong, found in {model: "holds no landmarks", empty: "holds no points"}.items():
        with pytest.raises(InputError, match=found) as caught:
            landmarks_of_node(wrong)
        assert str(caught.value).startswith(wrong.GetName())


def test_a_position_that_is_not_finite_is_refused_with_its_label(node):
    node.SetNthControlPointPosition(1, float("nan"), 0.0, 0.0)
    with pytest.raises(InputError, match="point 2 'P2'"):
        landmarks_of_node(node)


def test_what_is_added_is_read_back(scene):
    landmarks = LandmarkList(
        "file",
        (
            Landmark('a, "b" é', (1 / 3, -22.5, 7.0)),
            Landmark("", (-1.0, 2.0, 3.0), selected=False),
            Landmark("later", None),
            Landmark('a, "b" é', (4.0, 5.0, -6.0)),
        ),
    )
    node = add_landmark_node(scene, landmarks, name="Landmarks")
    assert node.GetClassName() == "vtkMRMLMarkupsFiducialNode"
    assert node.GetDisplayNode() is not None
    np.testing.assert_allclose(node.GetNthControlPointPositionWorld(0), [-1 / 3, 22.5, 7.0])
    assert landmarks_of_node(node).landmarks == landmarks.landmarks
    assert add_landmark_node(scene, landmarks, name="Landmarks").GetName() != "Landmarks"
