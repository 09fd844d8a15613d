"""Surfaces of nodes, where Slicer shows them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
import vtk
from conftest import centered_grid, rigid, rotation
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space, flip_matrix_lps_ras, flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm
from MultimodalRegistrationLib.io.surfaces import read_surface, surface_of_polydata
from MultimodalRegistrationLib.mrml.register_surfaces import (
    polydata_of_model,
    polydata_of_segment,
    register_surface_nodes,
    segment_title,
)
from MultimodalRegistrationLib.mrml.transforms import SETTINGS_ATTRIBUTE, apply_to_moving
from vtk.util.numpy_support import numpy_to_vtk

INNER_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55])
OUTER_RAS = rigid([0, 1, 1], -50, [-8, 9, 70])
CENTER_RAS = np.array([40.0, -25.0, 15.0])
GRID = centered_grid([50, 54, 30], [1, 1.1, 1.8], rotation([1, 0.3, -0.2], 33) @ np.diag([1, 1, -1]), [-40, 25, 15])


def surface_from_model_node(node):
    return surface_of_polydata(polydata_of_model(node), node.GetName(), space="RAS")


def surface_from_segment(node, segment):
    return surface_of_polydata(polydata_of_segment(node, segment), segment_title(node, segment), space="RAS")


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


# From nodes to a transform node

POSE_RAS = rigid([-0.3, 0.5, 1], 55, [-30, 42, 18])


def bent(points):
    """Points of a ball around CENTER_RAS, bent to a shape without symmetry."""
    x, y, z = (np.asarray(points) - CENTER_RAS).T / 12
    return np.stack([30 * x + 6 * z**2, 18 * y + 4 * np.sin(2 * x), 12 * z + 3 * x * y], axis=-1) + CENTER_RAS


def within_bent(points):
    """Whether points lie in the bent ball: the bending is undone step by step, which converges."""
    away = np.moveaxis(points - CENTER_RAS, -1, 0)
    x, y, z = away / np.reshape([30, 18, 12], (3, 1, 1, 1))
    for _ in range(40):
        x, y, z = (away[0] - 6 * z**2) / 30, (away[1] - 4 * np.sin(2 * x)) / 18, (away[2] - 3 * x * y) / 12
    return x**2 + y**2 + z**2 < 1


@pytest.fixture
def bone(scene, model):
    """A model that is not symmetric, under two parents."""
    points = model.GetPolyData().GetPoints()
    places = bent([points.GetPoint(i) for i in range(points.GetNumberOfPoints())])
    points.SetData(numpy_to_vtk(places, deep=True))
    model.SetName("bone")
    add_parents(scene, model)
    return model


@pytest.fixture
def segmented_bone(scene):
    """The same as a label map in a pose of its own, under one parent; POSE_RAS maps the bone's world to there."""
    pose = POSE_RAS @ OUTER_RAS @ INNER_RAS
    to_world = np.linalg.inv(INNER_RAS) @ pose
    axes = to_world[:3, :3] @ rotation([1, 0.3, -0.2], 33) @ np.diag([1, 1, -1])
    grid = centered_grid([70, 60, 50], [1.3, 1.1, 1.2], axes, apply_matrix(to_world, CENTER_RAS).tolist())
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1)
    inside = within_bent(apply_matrix(np.linalg.inv(to_world) @ grid.ijk_to_lps, index))
    labels = slicer.vtkOrientedImageData()
    labels.SetDimensions(*grid.size)
    voxels = np.ascontiguousarray(inside.transpose(2, 1, 0)).astype(np.uint8)
    labels.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    labels.SetImageToWorldMatrix(vtk_matrix(grid.ijk_to_lps))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "parts")
    node.AddSegmentFromBinaryLabelmapRepresentation(labels, "femur")
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    parent.SetMatrixTransformToParent(vtk_matrix(INNER_RAS))
    node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def test_a_model_is_laid_on_a_segment_in_the_world(scene, bone, segmented_bone):
    before = scene.GetNumberOfNodes()
    node, result = register_surface_nodes(scene, segmented_bone, bone, fixed_segment="femur")
    assert scene.GetNumberOfNodes() == before + 1
    world = surface_from_model_node(bone)
    truth_lps = flip_matrix_lps_ras(POSE_RAS)
    found_lps = np.linalg.inv(result.fixed_to_moving_lps)
    assert displacement_mm(found_lps, truth_lps, world.vertices_lps).max() < 0.5
    # What Slicer shows once the node is applied, above the parents that are there.
    apply_to_moving(node, bone)
    shown = surface_from_model_node(bone).vertices_lps
    np.testing.assert_allclose(shown, apply_matrix(found_lps, world.vertices_lps), atol=1e-3)
    assert node.GetName() == "bone to parts: femur"
    assert node.GetNodeReference(node.GetFixedNodeReferenceRole()) is segmented_bone
    assert node.GetNodeReference(node.GetMovingNodeReferenceRole()) is bone
    settings = json.loads(node.GetAttribute(SETTINGS_ATTRIBUTE))
    assert settings["inputs"] == {"fixed_surface": "parts: femur", "moving_surface": "bone", "initial_transform": None}
    np.testing.assert_allclose(settings["transform"]["moving_to_fixed_ras"], result.moving_to_fixed_ras)


@pytest.mark.parametrize("points_are_fixed", [False, True])
def test_points_on_the_surface_of_a_model_from_a_start(scene, bone, points_are_fixed):
    world = surface_from_model_node(bone)
    places = flip_points_lps_ras(world.samples(30, seed=3).points_lps)
    in_world = apply_matrix(np.linalg.inv(POSE_RAS), places)
    local = apply_matrix(np.linalg.inv(OUTER_RAS), in_world)
    truth_ras = np.linalg.inv(POSE_RAS) if points_are_fixed else POSE_RAS  # from moving to fixed
    pins = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "pins")
    for point in local:
        pins.AddControlPoint(vtk.vtkVector3d(*point))
    pins.SetNthControlPointSelected(4, False)
    pins.UnsetNthControlPointPosition(6)
    parent, start = (scene.AddNewNodeByClass("vtkMRMLTransformNode", name) for name in ("parent", "start"))
    parent.SetMatrixTransformToParent(vtk_matrix(OUTER_RAS))
    pins.SetAndObserveTransformNodeID(parent.GetID())
    start.SetMatrixTransformToParent(vtk_matrix(truth_ras @ rigid([1, 0.4, 0], 7, [3, -2, 4])))
    sides = (pins, bone) if points_are_fixed else (bone, pins)
    _, result = register_surface_nodes(scene, *sides, overlap=1.0, initial_transform_node=start, seed=3)
    moving = places if points_are_fixed else in_world
    assert displacement_mm(result.moving_to_fixed_ras, truth_ras, moving).max() < 0.2
    assert [note.split(" is not ")[1] for note in result.notes] == [
        "selected and was left out.",
        "placed and was left out.",
    ]


def test_nodes_that_do_not_go_together_are_told(scene, model, segmentation):
    pins = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "pins")
    for point in np.random.default_rng(2).normal(size=(8, 3)):
        pins.AddControlPoint(vtk.vtkVector3d(*point))
    scan = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    count = scene.GetNumberOfNodes()
    for sides, options, subject, found in (
        ((model, segmentation), {}, "parts", "no segment was chosen"),
        ((model, segmentation), {"moving_segment": "x"}, "parts", "no segment 'x'"),
        ((model, segmentation), {"moving_segment": "ball", "fixed_segment": "ball"}, "ball", "segment 'ball' of a"),
        ((scan, model), {}, "scan", "this holds no shape"),
        ((pins, pins), {}, "pins and pins", "both are lists of points"),
    ):
        with pytest.raises(InputError, match=found) as caught:
            register_surface_nodes(scene, *sides, **options)
        assert caught.value.subject == subject
    assert scene.GetNumberOfNodes() == count
