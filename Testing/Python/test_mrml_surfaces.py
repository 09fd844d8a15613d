"""Surfaces of nodes, where Slicer shows them."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from conftest import centered_grid, rigid, rotation
from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.frames import flip_ijk_to_space, flip_points_lps_ras
from MultimodalRegistrationLib.geometry.linear import apply_matrix
from MultimodalRegistrationLib.io.surfaces import read_surface
from MultimodalRegistrationLib.mrml.surfaces import surface_from_model_node, surface_from_segment
from vtk.util.numpy_support import numpy_to_vtk

INNER_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55])
OUTER_RAS = rigid([0, 1, 1], -50, [-8, 9, 70])
CENTER_RAS = np.array([40.0, -25.0, 15.0])
GRID = centered_grid([50, 54, 30], [1, 1.1, 1.8], rotation([1, 0.3, -0.2], 33) @ np.diag([1, 1, -1]), [-40, 25, 15])


def vtk_matrix(matrix):
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=float).ravel())
    return result


@pytest.fixture(scope="module", autouse=True)
def _conversion_rules():
    """Slicer registers them when it loads its Segmentations module."""
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    rule = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule()
    factory.RegisterConverterRule(rule)
    yield
    factory.UnregisterConverterRule(rule)


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


@pytest.fixture
def model(scene):
    source = vtk.vtkSphereSource()
    source.SetCenter(CENTER_RAS)
    source.SetRadius(12)
    source.SetPhiResolution(40)
    source.SetThetaResolution(40)
    source.Update()
    node = scene.AddNewNodeByClass("vtkMRMLModelNode", "ball")
    node.SetAndObservePolyData(source.GetOutput())
    return node


@pytest.fixture
def segmentation(scene):
    """A ball of radius 12 mm at CENTER_RAS as a binary label map."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in GRID.size), indexing="ij"), axis=-1)
    inside = np.linalg.norm(apply_matrix(GRID.ijk_to_lps, index) - flip_points_lps_ras(CENTER_RAS), axis=-1) < 12
    labels = slicer.vtkOrientedImageData()
    labels.SetDimensions(*GRID.size)
    voxels = np.ascontiguousarray(inside.transpose(2, 1, 0)).astype(np.uint8)
    labels.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    labels.SetImageToWorldMatrix(vtk_matrix(flip_ijk_to_space(GRID.ijk_to_lps)))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "parts")
    node.AddSegmentFromBinaryLabelmapRepresentation(labels, "ball")
    return node


def add_parents(scene, node):
    for matrix in (INNER_RAS, OUTER_RAS):
        parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
        parent.SetMatrixTransformToParent(vtk_matrix(matrix))
        node.SetAndObserveTransformNodeID(parent.GetID())
        node = parent
    return apply_matrix(OUTER_RAS @ INNER_RAS, CENTER_RAS)


def add_warp(scene, node):
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    rng = np.random.default_rng(1)
    for corner in np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), axis=-1).reshape(-1, 3):
        point = CENTER_RAS + 30 * corner
        source.InsertNextPoint(point)
        target.InsertNextPoint(point + rng.uniform(-10, 10, 3))
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    parent.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(parent.GetID())
    return spline


def assert_ball(surface, center_ras, tolerance_mm):
    radius = np.linalg.norm(flip_points_lps_ras(surface.vertices_lps) - center_ras, axis=1)
    np.testing.assert_allclose(radius, 12, atol=tolerance_mm)


def test_a_model_lies_where_its_parents_put_it(scene, model):
    assert_ball(surface_from_model_node(model), CENTER_RAS, 1e-4)
    center_ras = add_parents(scene, model)
    surface = surface_from_model_node(model)
    assert surface.name == "ball"
    assert_ball(surface, center_ras, 1e-4)
    assert np.allclose(model.GetPolyData().GetCenter(), CENTER_RAS, atol=1e-3), "the node itself stays"


def test_a_model_under_a_warp_is_bent(scene, model):
    straight = surface_from_model_node(model)
    spline = add_warp(scene, model)
    bent = surface_from_model_node(model)
    expected = [spline.TransformPoint(p) for p in flip_points_lps_ras(straight.vertices_lps).tolist()]
    np.testing.assert_allclose(flip_points_lps_ras(bent.vertices_lps), expected, atol=1e-3)
    assert np.abs(bent.vertices_lps - straight.vertices_lps).max() > 2


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj", ".vtk", ".vtp"])
@pytest.mark.parametrize("space", ["LPS", "RAS"])
def test_a_file_written_by_mrml_is_where_the_node_is(scene, model, tmp_path, suffix, space):
    storage = scene.AddNewNodeByClass("vtkMRMLModelStorageNode")
    storage.SetFileName(str(tmp_path / f"ball{suffix}"))
    storage.SetCoordinateSystem(getattr(slicer.vtkMRMLStorageNode, f"CoordinateSystem{space}"))
    if suffix == ".obj":
        pytest.skip("Slicer writes .obj through a render window, which this test has not")
    assert storage.WriteData(model) == 1
    assert_ball(read_surface(tmp_path / f"ball{suffix}"), CENTER_RAS, 1e-3)


def test_a_segment_becomes_the_surface_that_slicer_shows(scene, segmentation):
    segments = segmentation.GetSegmentation()
    surface = surface_from_segment(segmentation, "ball")
    assert surface.name == "parts: ball"
    assert_ball(surface, CENTER_RAS, 0.7)
    assert not segments.ContainsRepresentation("Closed surface"), "the node itself stays"
    center_ras = add_parents(scene, segmentation)
    assert_ball(surface_from_segment(segmentation, segments.GetNthSegmentID(0)), center_ras, 0.7)
    segmentation.CreateClosedSurfaceRepresentation()
    assert_ball(surface_from_segment(segmentation, "ball"), center_ras, 0.7)


def test_a_segment_under_a_warp_is_bent(scene, segmentation):
    straight = surface_from_segment(segmentation, "ball")
    spline = add_warp(scene, segmentation)
    bent = surface_from_segment(segmentation, "ball")
    expected = [spline.TransformPoint(p) for p in flip_points_lps_ras(straight.vertices_lps).tolist()]
    np.testing.assert_allclose(flip_points_lps_ras(bent.vertices_lps), expected, atol=1e-3)


def test_wrong_nodes_and_segments_are_told(scene, model, segmentation):
    segmentation.GetSegmentation().AddEmptySegment("blank", "blank")
    empty = scene.AddNewNodeByClass("vtkMRMLModelNode", "nothing")
    for call, name, found in (
        (lambda: surface_from_model_node(segmentation), "parts", "not a model"),
        (lambda: surface_from_model_node(empty), "nothing", "no surface"),
        (lambda: surface_from_segment(model, "ball"), "ball", "not a segmentation"),
        (lambda: surface_from_segment(segmentation, "bone"), "parts", "no segment 'bone'.*'ball', 'blank'"),
        (lambda: surface_from_segment(segmentation, "blank"), "parts: blank", "surface"),
    ):
        with pytest.raises(InputError, match=found) as caught:
            call()
        assert str(caught.value).startswith(name)
