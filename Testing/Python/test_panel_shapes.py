"""Shapes in the panel of FiducialPrealign: aligned in the background, cancelled, and changed meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest
from MultimodalRegistrationLib.core.errors import InputError

pytest.importorskip("PySide6.QtWidgets")

import slicer
import vtk
from conftest import PROJECT, SCREENSHOTS, rigid
from panel_helpers import FakeProcess, assert_lively, scene_content, scene_state
from test_panel_prealign import add_list, add_transform, to_world, vtk_matrix

FOLDER = PROJECT / "FiducialPrealign"
# Turned by 30 degrees and shifted.
POSE_RAS = rigid([0.2, 1, 0.4], 30, [25, -13, 18])
PARENT_RAS = rigid([1, -0.2, 0.6], 41, [-15, 33, 8])


def bone(resolution=60):
    """A closed surface with no symmetry, RAS, mm."""
    solid = vtk.vtkParametricSuperEllipsoid()
    solid.SetN1(0.6)
    solid.SetXRadius(40)
    solid.SetYRadius(25)
    solid.SetZRadius(14)
    source = vtk.vtkParametricFunctionSource()
    source.SetParametricFunction(solid)
    for axis in "UV":
        getattr(source, f"Set{axis}Resolution")(resolution)
    bend = vtk.vtkThinPlateSplineTransform()
    bend.SetBasisToR()
    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    for point, moved in (
        ((40, 0, 0), (46, 12, 4)),
        ((-40, 0, 0), (-40, 6, 0)),
        ((0, 25, 0), (0, 25, 0)),
        ((0, -25, 0), (3, -30, 2)),
        ((0, 0, 14), (0, 2, 20)),
        ((0, 0, -14), (0, 0, -14)),
    ):
        before.InsertNextPoint(point)
        after.InsertNextPoint(moved)
    bend.SetSourceLandmarks(before)
    bend.SetTargetLandmarks(after)
    return transformed(source, bend)


def transformed(source, transform):
    move = vtk.vtkTransformPolyDataFilter()
    move.SetTransform(transform)
    move.SetInputConnection(source.GetOutputPort())
    move.Update()
    return move.GetOutput()


def moved_back(data, pose_ras):
    """Where the data lies before the pose moves it onto itself."""
    transform, source = vtk.vtkTransform(), vtk.vtkTrivialProducer()
    transform.SetMatrix(vtk_matrix(np.linalg.inv(pose_ras)))
    source.SetOutput(data)
    return transformed(source, transform)


def add_model(name, data):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetAndObservePolyData(data)
    return node


def add_segment(app, name, model):
    """A segmentation with label maps alone, as one that was drawn."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    assert app.logics["Segmentations"].ImportModelToSegmentationNode(model, node)
    segmentation = node.GetSegmentation()
    # Voxels of some 0.8 mm.
    segmentation.SetConversionParameter("Oversampling factor", "0.3")
    assert segmentation.CreateRepresentation("Binary labelmap")
    segmentation.SetSourceRepresentationName("Binary labelmap")
    segmentation.RemoveRepresentation("Closed surface")
    return node


def folders(slicer_app):
    return list(Path(slicer_app.app.temporaryPath).glob("multimodal-registration-*"))


@pytest.fixture
def module(slicer_app):
    FakeProcess.made.clear()
    return slicer_app.open_module(FOLDER, "FiducialPrealign")


@pytest.fixture
def pair(module):
    """Two models: the moving one has to be moved by the pose."""
    surface = bone()
    nodes = add_model("bone CT", surface), add_model("bone MR", moved_back(surface, POSE_RAS))
    parameters = module.widget._parameterNode
    parameters.fixedShape, parameters.movingShape = nodes
    return nodes


@pytest.fixture
def faked(module, pair):
    """Runs that do what the test says."""
    module.widget.panel._shapes.make_process = FakeProcess
    return pair


def align(slicer_app, module):
    module.ui.alignShapesButton.click()
    assert module.ui.alignShapesButton.text == "Cancel", module.ui.shapeResultLabel.text
    slicer_app.wait_for(lambda: module.ui.alignShapesButton.text == "Align shapes", 60)


def start(slicer_app, module):
    before = len(FakeProcess.made)
    module.ui.alignShapesButton.click()
    slicer_app.wait_for(lambda: len(FakeProcess.made) > before)
    return FakeProcess.made[-1]


def assert_at_home(node, atol_mm=0.05):
    """It lies where the pose puts it."""
    np.testing.assert_allclose(to_world(node), POSE_RAS, atol=atol_mm)


def test_models_are_aligned_while_the_window_lives(slicer_app, module):
    from StandIn.blocks import BlockMeter

    surface = bone(resolution=450)
    assert surface.GetNumberOfCells() > 400_000
    nodes = add_model("bone CT", surface), add_model("bone MR", moved_back(surface, POSE_RAS))
    parameters = module.widget._parameterNode
    parameters.fixedShape = nodes[0]
    assert "Choose a model" in module.ui.alignShapesButton.toolTip
    parameters.movingShape = nodes[1]
    slicer_app.process_events(50)
    with BlockMeter() as meter:
        module.ui.alignShapesButton.click()
        assert "Searching" in module.ui.shapeResultLabel.text
        assert "stays as it is" in module.ui.alignShapesButton.toolTip
        slicer_app.wait_for(lambda: not module.widget.panel._shapes.running, 60)
    assert nodes[1].GetParentTransformNode() is parameters.outputTransform
    assert_at_home(nodes[1])
    assert "From moving to fixed" in module.ui.shapeResultLabel.text
    assert "mm mean" in module.ui.shapeResultLabel.text
    assert folders(slicer_app) == []
    module.ui.shapesCollapsibleButton.collapsed = False
    slicer_app.screenshot(module.parent, SCREENSHOTS / "FiducialPrealign-shapes.png")
    assert_lively(meter)


def test_a_second_run_goes_on_from_the_first_and_writes_to_the_same_node(slicer_app, module, pair):
    parameters = module.widget._parameterNode
    for _ in range(2):
        align(slicer_app, module)
        assert_at_home(pair[1])
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 1
    assert parameters.outputTransform.GetName() == "bone MR to bone CT"


@pytest.mark.parametrize("sheared", [False, True])
def test_segments_under_a_parent_are_aligned(slicer_app, module, pair, sheared):
    parent_ras = (
        PARENT_RAS @ np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]) if sheared else PARENT_RAS
    )
    parameters = module.widget._parameterNode
    segments = add_segment(slicer_app, "parts MR", pair[1])
    other = add_segment(
        slicer_app, "parts CT", add_model("bone CT, here", moved_back(pair[0].GetPolyData(), parent_ras))
    )
    other.SetAndObserveTransformNodeID(add_transform(parent_ras).GetID())
    parameters.fixedShape, parameters.movingShape = other, segments
    align(slicer_app, module)
    # Voxels of a millimetre or so.
    assert_at_home(segments, 0.5)
    assert parameters.outputTransform.GetName() == "parts MR: bone MR to parts CT: bone CT, here"


def test_points_on_a_model(slicer_app, module, pair):
    points = np.array([pair[1].GetPolyData().GetPoint(i) for i in range(5, 3600, 60)])
    parameters = module.widget._parameterNode
    parameters.movingShape = traced = add_list("traced", points, [f"P{i}" for i in range(len(points))])
    align(slicer_app, module)
    assert_at_home(traced, 0.5)
    assert "counterpart" in module.ui.shapeResultLabel.text


def test_cancel_leaves_the_scene_and_no_process(slicer_app, module, pair):
    before = scene_state()
    module.ui.alignShapesButton.click()
    slicer_app.wait_for(lambda: bool(psutil.Process().children(recursive=True)), 20)
    children = psutil.Process().children(recursive=True)
    module.ui.alignShapesButton.click()
    assert module.ui.alignShapesButton.text == "Align shapes"
    assert "as it was" in module.ui.shapeResultLabel.text
    slicer_app.wait_for(lambda: not any(child.is_running() for child in children), 10)
    slicer_app.process_events(50)
    assert scene_state() == before
    assert folders(slicer_app) == []


@pytest.mark.parametrize("which", [0, 1])
def test_a_shape_removed_meanwhile_is_named(slicer_app, module, pair, which):
    name = pair[which].GetName()
    module.ui.alignShapesButton.click()
    slicer_app.wait_for(lambda: bool(psutil.Process().children(recursive=True)), 20)
    slicer.mrmlScene.RemoveNode(pair[which])
    left = scene_content()
    slicer_app.wait_for(lambda: not module.widget.panel._shapes.running, 60)
    assert f"{name}: it was removed" in module.ui.shapeResultLabel.text
    assert scene_content() == left
    assert not module.ui.alignShapesButton.enabled


def test_a_shape_moved_meanwhile_is_not_moved_again(slicer_app, module, pair):
    module.ui.alignShapesButton.click()
    slicer_app.wait_for(lambda: bool(psutil.Process().children(recursive=True)), 20)
    pair[1].SetAndObserveTransformNodeID(add_transform(PARENT_RAS).GetID())
    slicer_app.wait_for(lambda: not module.widget.panel._shapes.running, 60)
    assert "bone MR: it was moved" in module.ui.shapeResultLabel.text
    assert module.widget._parameterNode.outputTransform is None


@pytest.mark.parametrize("how", ["scene", "reload", "quit"])
def test_what_goes_while_it_runs_leaves_nothing(slicer_app, module, pair, how):
    module.ui.alignShapesButton.click()
    slicer_app.wait_for(lambda: bool(psutil.Process().children(recursive=True)), 20)
    children = psutil.Process().children(recursive=True)
    if how == "scene":
        slicer.mrmlScene.Clear()
        assert module.ui.alignShapesButton.text == "Align shapes"
        assert not module.ui.alignShapesButton.enabled
    elif how == "reload":
        module.reload()
        assert module.ui.alignShapesButton.enabled
    else:
        module.close()
    slicer_app.wait_for(lambda: not any(child.is_running() for child in children), 10)
    slicer_app.process_events(50)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 0
    assert folders(slicer_app) == []


def test_a_run_goes_on_while_another_module_is_open(slicer_app, module, pair):
    module.ui.alignShapesButton.click()
    module.exit()
    slicer_app.wait_for(lambda: not module.widget.panel._shapes.running, 60)
    assert_at_home(pair[1])
    module.enter()
    assert module.widget._parameterNode.outputTransform is pair[1].GetParentTransformNode()


def test_errors_of_the_command_name_the_node(slicer_app, module, faked):
    process = start(slicer_app, module)
    surface = str(process.file("--fixed-surface"))
    process.tell_error(InputError(surface, "it is flat", "Give another."))
    slicer_app.process_events(20)
    assert module.ui.shapeResultLabel.text.startswith("bone CT: it is flat")
    assert module.ui.alignShapesButton.text == "Align shapes"
    assert folders(slicer_app) == []


def test_an_empty_model_is_named(slicer_app, module, pair):
    pair[0].SetAndObservePolyData(vtk.vtkPolyData())
    align(slicer_app, module)
    assert "bone CT" in module.ui.shapeResultLabel.text
    assert "empty" in module.ui.shapeResultLabel.text
