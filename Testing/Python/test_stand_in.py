"""The stand-in for Slicer carries a module, and has no name that Slicer lacks."""

from __future__ import annotations

import sys

import pytest
import slicer
from conftest import PROJECT

EXAMPLE = PROJECT / "Testing" / "StandIn" / "example"


@pytest.fixture
def example(slicer_app):
    return slicer_app.open_module(EXAMPLE, "StandInExample")


def add_volume(name="ct"):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def test_the_panel_opens_and_closes_without_a_trace(slicer_app, example, tmp_path):
    assert example.ui.applyButton.enabled is False
    assert example.ui.applyButton.toolTip == "Select an input volume"
    assert example.parent.isEntered
    assert slicer.modules.standinexample.path == str(EXAMPLE / "StandInExample.py")
    assert slicer.util.getModuleLogic("StandInExample") is example.logic
    picture = slicer_app.screenshot(example.parent, tmp_path / "example.png")
    assert picture.stat().st_size > 2000
    example.close()
    assert not hasattr(slicer.modules, "standinexample")
    assert "StandInExample" not in sys.modules


def test_parameters_and_widgets_follow_each_other(example):
    import StandInExample

    parameters, ui, volume = example.widget._parameterNode, example.ui, add_volume()
    assert (ui.factorSlider.value, ui.factorSlider.maximum, ui.roundingBox.currentText) == (2.5, 10, "NEAREST")
    ui.factorSlider.value = 4.25
    ui.invertedBox.click()
    ui.roundingBox.currentIndex = 2
    ui.inputSelector.setCurrentNode(volume)
    assert (parameters.factor, parameters.inverted, parameters.inputVolume) == (4.25, True, volume)
    assert parameters.rounding is StandInExample.Rounding.DOWN
    assert ui.applyButton.enabled
    parameters.factor = 7
    parameters.inverted = False
    parameters.inputVolume = None
    parameters.rounding = StandInExample.Rounding.NONE
    assert (ui.factorSlider.value, ui.invertedBox.checked, ui.roundingBox.currentIndex) == (7, False, 0)
    assert ui.inputSelector.currentNode() is None


@pytest.mark.parametrize(("name", "value", "error"), [("factor", 11, ValueError), ("inverted", 1, TypeError)])
def test_parameters_refuse_what_slicer_refuses(example, name, value, error):
    with pytest.raises(error):
        setattr(example.widget._parameterNode, name, value)


def test_a_failed_button_shows_the_message_and_raises(slicer_app, example):
    example.ui.inputSelector.setCurrentNode(add_volume())
    example.ui.applyButton.click()
    assert [type(error) for error in slicer_app.slot_errors] == [ValueError]
    assert slicer_app.messages.shown[0].text == "Multiplication failed.\n\nct has no voxels."
    slicer_app.slot_errors.clear()


def test_questions_are_answered_by_the_test(slicer_app):
    slicer_app.messages.answers = [False, True]
    assert slicer.util.confirmOkCancelDisplay("Go?") is False
    assert slicer.util.confirmYesNoDisplay("Go?") is True
    assert [message.text for message in slicer_app.messages.shown] == ["Go?", "Go?"]


def test_settings_come_back_with_the_scene(slicer_app, example, tmp_path):
    parameters, volume = example.widget._parameterNode, add_volume("mr")
    parameters.inputVolume, parameters.factor, parameters.inverted = volume, 3.5, True
    parameters.notes = ["one"]
    parameters.notes.append("two")
    saved = tmp_path / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(saved))
    slicer.mrmlScene.Clear()
    assert example.widget._parameterNode.factor == 2.5
    assert example.ui.factorSlider.value == 2.5
    assert example.widget._parameterNode.inputVolume is None
    slicer.util.loadScene(str(saved))
    example.exit()
    example.enter()
    read = example.widget._parameterNode
    assert (read.factor, read.inverted, list(read.notes)) == (3.5, True, ["one", "two"])
    assert read.inputVolume.GetName() == example.ui.inputSelector.currentNode().GetName() == "mr"


def test_a_deleted_node_leaves_the_panel(example):
    volume = add_volume()
    example.ui.inputSelector.setCurrentNode(volume)
    slicer.mrmlScene.RemoveNode(volume)
    assert example.widget._parameterNode.inputVolume is None
    assert example.ui.inputSelector.currentNode() is None
    assert not example.ui.applyButton.enabled


def test_display_nodes_go_with_their_volume_and_not_twice(slicer_app):
    volume = add_volume()
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    slicer.mrmlScene.RemoveNode(volume)
    assert display.GetScene() is None
    assert slicer_app.slot_errors == []
    slicer.mrmlScene.RemoveNode(display)
    assert "Invalid scene given" in str(slicer_app.slot_errors.pop())


def test_a_reloaded_module_has_a_new_panel(example):
    before = example.widget
    example.reload()
    assert example.widget is not before
    example.ui.factorSlider.value = 9
    assert example.widget._parameterNode.factor == 9
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode") == 1


def test_the_module_runs_its_own_tests(example):
    slicer.selfTests["StandInExample"]()


def test_without_a_main_window_no_module_is_selected(slicer_app, example):
    with pytest.raises(RuntimeError, match="main window"):
        slicer.util.selectModule("StandInExample")


def test_selecting_a_module_exits_the_one_before(slicer_app, example):
    slicer_app.open_main_window()
    slicer.util.selectModule("Volumes")
    assert not example.parent.isEntered
    assert slicer.util.selectedModule() == "Volumes"
    slicer.util.selectModule(slicer.modules.standinexample)
    assert example.parent.isEntered
    assert example.widget._parameterNode.factor == 2.5


def test_nodes_are_saved_and_loaded_by_slicer_util(slicer_app, tmp_path):
    import numpy as np

    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    volume = slicer.util.addVolumeFromArray(voxels, name="ct")
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    points.AddControlPoint([1.5, -2, 3], "a")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    for node, name in ((volume, "ct.nrrd"), (points, "points.mrk.json"), (transform, "shift.h5")):
        assert slicer.util.saveNode(node, str(tmp_path / name))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(slicer.util.loadVolume(tmp_path / "ct.nrrd")), voxels)
    read = slicer.util.loadMarkups(str(tmp_path / "points.mrk.json"))
    assert tuple(read.GetNthControlPointPosition(0)) == (1.5, -2, 3)
    assert slicer.util.loadTransform(str(tmp_path / "shift.h5")).IsA("vtkMRMLLinearTransformNode")
    with pytest.raises(RuntimeError, match=r"missing\.nrrd"):
        slicer.util.loadVolume(tmp_path / "missing.nrrd")


def test_sample_data_is_registered(slicer_app):
    import SampleData

    slicer.app.connect(
        "startupCompleted()",
        lambda: SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="Here", sampleName="Pair", uris="https://example.org/pair", fileNames="pair.nrrd"
        ),
    )
    slicer_app.startup_completed()
    slicer_app.startup_completed()
    assert [source.sampleName for source in slicer.modules.sampleDataSources["Here"]] == ["Pair"]


def test_what_a_module_leaves_behind_is_told():
    from StandIn.install import StandIn

    standin = StandIn()
    opened = standin.open_module(EXAMPLE, "StandInExample")
    import qt

    opened.widget.timer = qt.QTimer()
    opened.widget.timer.start(1000)
    opened.widget.cleanup = lambda: None
    type(opened.widget).removeObservers = lambda self: None
    kept = opened.widget
    left = standin.uninstall()
    assert "timer 1000 ms" in left
    assert "StandInExample still observes vtkMRMLScene" in left
    assert kept.timer.isActive()
    kept.timer.stop()
