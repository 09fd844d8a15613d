"""Hardening a result: the same points as a direct mapping, and volumes by their header only when it is linear."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from conftest import centered_grid, rigid, rotation
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.mrml.moved_nodes import harden_moved, move_nodes
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix, vtk_from_points
from scipy.ndimage import map_coordinates
from vtk.util.numpy_support import vtk_to_numpy

TO_PARENT = rigid([0.3, -1, 0.4], 37, [12, -45, 28])
OLD_PARENT = rigid([1, 0.2, 0.1], -21, [-5, 3, 60])
POINTS_RAS = np.random.default_rng(4).uniform(-60, 60, (9, 3))
EXACT_MM = 1e-6


@pytest.fixture(params=["linear", "linear, under a parent", "bent"])
def setting(request):
    """A scene, the transform, and where it takes points."""
    scene = slicer.vtkMRMLScene()
    result = scene.AddNewNodeByClass("vtkMRMLTransformNode", "M to F")
    parent = None
    if request.param == "bent":
        spline = vtk.vtkThinPlateSplineTransform()
        spline.SetBasisToR()
        anchors = np.random.default_rng(5).uniform(-80, 80, (12, 3))
        spline.SetSourceLandmarks(vtk_from_points(anchors))
        spline.SetTargetLandmarks(vtk_from_points(anchors + np.random.default_rng(6).normal(0, 4, anchors.shape)))
        result.SetAndObserveTransformToParent(spline)
        return scene, result, parent, lambda points: np.array([spline.TransformPoint(p) for p in points.tolist()])
    result.SetMatrixTransformToParent(vtk_from_matrix(TO_PARENT))
    matrix = TO_PARENT
    if "parent" in request.param:
        parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "old")
        parent.SetMatrixTransformToParent(vtk_from_matrix(OLD_PARENT))
        matrix = TO_PARENT @ OLD_PARENT
    return scene, result, parent, lambda points: apply_matrix(matrix, points)


def add(setting, node):
    scene, _result, parent, _mapped = setting
    scene.AddNode(node)
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def harden(setting, node):
    scene, result, parent, _mapped = setting
    before = {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}
    move_nodes(result, [node])
    assert harden_moved(result, [node]) == [node]
    assert node.GetParentTransformNode() is None
    assert {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())} == before, "nothing is left behind"
    assert parent is None or matrix_of(parent) == pytest.approx(OLD_PARENT), "the old parent is as it was"


def matrix_of(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    return matrix_from_vtk(matrix)


@pytest.mark.story("U29")
@pytest.mark.parametrize("kind", ["Fiducial", "Curve", "ClosedCurve", "Line", "Angle"])
def test_markups(setting, kind):
    node = add(setting, getattr(slicer, f"vtkMRMLMarkups{kind}Node")())
    count = {"Line": 2, "Angle": 3}.get(kind, len(POINTS_RAS))
    for point in POINTS_RAS[:count].tolist():
        node.AddControlPoint(vtk.vtkVector3d(*point))
    harden(setting, node)
    found = np.array([node.GetNthControlPointPosition(i) for i in range(count)])
    np.testing.assert_allclose(found, setting[3](POINTS_RAS[:count]), atol=EXACT_MM)


def test_roi(setting):
    if not setting[1].IsLinear():
        pytest.skip("a bent box is no box")
    node = add(setting, slicer.vtkMRMLMarkupsROINode())
    node.SetCenter(10.0, -20.0, 30.0)
    node.SetSize(40.0, 50.0, 60.0)
    harden(setting, node)
    corners = np.array([[i, j, k, 1] for i in (-20, 20) for j in (-25, 25) for k in (-30, 30)], dtype=float)
    matrix = matrix_from_vtk(node.GetObjectToWorldMatrix())
    found = apply_matrix(matrix, corners[:, :3])
    # Slicer makes the axes of a box anew from moved points: under two transforms it is off by 1.2e-6 mm.
    np.testing.assert_allclose(found, setting[3](corners[:, :3] + [10, -20, 30]), atol=2e-6)


@pytest.mark.story("U29")
def test_model(setting):
    node = add(setting, slicer.vtkMRMLModelNode())
    points = vtk.vtkPoints()
    points.SetDataTypeToDouble()
    for point in POINTS_RAS.tolist():
        points.InsertNextPoint(point)
    mesh = vtk.vtkPolyData()
    mesh.SetPoints(points)
    node.SetAndObserveMesh(mesh)
    harden(setting, node)
    found = vtk_to_numpy(node.GetPolyData().GetPoints().GetData())
    # Slicer keeps the points of a mesh in single precision where it transforms them.
    exact = EXACT_MM if found.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, setting[3](POINTS_RAS), atol=exact)


GRID = centered_grid([14, 12, 10], [2.0, 3.0, 4.5], rotation([1, 2, -1], 33) @ np.diag([1, -1, 1]), [5, 6, -7])


def ijk_to_ras():
    return np.diag([-1.0, -1, 1, 1]) @ GRID.ijk_to_lps


@pytest.mark.story("U29")
def test_volume(setting):
    if not setting[1].IsLinear():
        pytest.skip("resampled: the test below")
    node = slicer.vtkMRMLScalarVolumeNode()
    image = vtk.vtkImageData()
    image.SetDimensions(*GRID.size)
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    voxels[:] = np.random.default_rng(7).integers(-1000, 2000, voxels.size)
    expected = voxels.copy()
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(vtk_from_matrix(ijk_to_ras()))
    add(setting, node)
    harden(setting, node)
    np.testing.assert_array_equal(vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()), expected)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    corners = np.array([[0, 0, 0], [13, 0, 0], [0, 11, 0], [0, 0, 9], [13, 11, 9]], dtype=float)
    found = apply_matrix(matrix_from_vtk(matrix), corners)
    np.testing.assert_allclose(found, setting[3](apply_matrix(ijk_to_ras(), corners)), atol=EXACT_MM)


@pytest.mark.parametrize("setting", ["bent"], indirect=True)
def test_bent_volume(setting):
    node = slicer.vtkMRMLScalarVolumeNode()
    image = vtk.vtkImageData()
    image.SetDimensions(*GRID.size)
    image.AllocateScalars(vtk.VTK_FLOAT, 1)
    ijk = np.argwhere(np.ones(GRID.size[::-1]))[:, ::-1].astype(float)
    # Each voxel holds a coordinate of its place, between whose values linear interpolation is exact.
    slope = np.array([3.0, -2.0, 1.0])
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = 1000 + apply_matrix(ijk_to_ras(), ijk) @ slope
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(vtk_from_matrix(ijk_to_ras()))
    add(setting, node)
    inside = apply_matrix(
        ijk_to_ras(), np.random.default_rng(8).uniform(0.2, 0.8, (200, 3)) * (np.array(GRID.size) - 1)
    )
    assert np.linalg.norm(setting[3](inside) - inside, axis=1).mean() > 2
    harden(setting, node)
    matrix = vtk.vtkMatrix4x4()
    node.GetRASToIJKMatrix(matrix)
    voxels = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
    voxels = voxels.reshape(node.GetImageData().GetDimensions()[::-1])
    at = apply_matrix(matrix_from_vtk(matrix), setting[3](inside))
    found = map_coordinates(voxels.astype(float), at[:, ::-1].T, order=1)
    # In mm along the slope; linear between the voxels of what is bent.
    np.testing.assert_allclose(found / np.linalg.norm(slope), (1000 + inside @ slope) / np.linalg.norm(slope), atol=0.3)


@pytest.mark.story("U29")
def test_segmentation(setting):
    if not setting[1].IsLinear():
        pytest.skip("Slicer resamples it: no point of it is kept")
    node = slicer.vtkMRMLSegmentationNode()
    add(setting, node)
    labels = slicer.vtkOrientedImageData()
    labels.SetDimensions(*GRID.size)
    labels.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    voxels = vtk_to_numpy(labels.GetPointData().GetScalars()).reshape(GRID.size[::-1])
    voxels[:] = 0
    voxels[2:8, 3:9, 4:11] = 1
    expected = voxels.copy()
    labels.SetImageToWorldMatrix(vtk_from_matrix(ijk_to_ras()))
    segment = slicer.vtkSegment()
    segment.SetName("bone")
    segment.AddRepresentation(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName(), labels)
    node.GetSegmentation().AddSegment(segment)
    harden(setting, node)
    found = (
        node.GetSegmentation()
        .GetNthSegment(0)
        .GetRepresentation(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
    )
    extent = found.GetExtent()
    matrix = vtk.vtkMatrix4x4()
    found.GetImageToWorldMatrix(matrix)
    marked = np.argwhere(vtk_to_numpy(found.GetPointData().GetScalars()).reshape(found.GetDimensions()[::-1]) > 0)
    ijk = marked[:, ::-1] + np.array(extent[::2])
    wanted = setting[3](apply_matrix(ijk_to_ras(), np.argwhere(expected > 0)[:, ::-1].astype(float)))
    np.testing.assert_allclose(apply_matrix(matrix_from_vtk(matrix), ijk.astype(float)), wanted, atol=EXACT_MM)
