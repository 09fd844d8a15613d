"""The registration panel, in the stand-in for Slicer."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import slicer
import vtk
from conftest import PROJECT, SCREENSHOTS
from panel_helpers import (
    MOVING_TO_FIXED_RAS,
    FakeProcess,
    add_scan,
    add_voxels,
    assert_lively,
    grid,
    scene_content,
    scene_state,
)

pytest.importorskip("PySide6.QtWidgets")

FOLDER = PROJECT / "MultimodalRegistration"


@pytest.fixture
def opened(slicer_app):
    return slicer_app.open_module(FOLDER, "MultimodalRegistration")


@pytest.fixture
def pair(slicer_app):
    return add_scan("scan A", "T1", seed=1), add_scan("scan B", "CT", size=(38, 40, 42), seed=2)


@pytest.fixture
def ready(slicer_app, pair):
    """The panel with two volumes chosen, and processes that do what the test says."""
    FakeProcess.made.clear()
    module = slicer_app.open_module(FOLDER, "MultimodalRegistration")
    module.widget.panel.make_process = FakeProcess
    return module


def folders(slicer_app):
    return list(Path(slicer_app.app.temporaryPath).glob("multimodal-registration-*"))


def start(slicer_app, module):
    """Press the button, and wait until the process was started; returns it."""
    before = len(FakeProcess.made)
    module.ui.registerButton.click()
    slicer_app.wait_for(lambda: len(FakeProcess.made) > before)
    return FakeProcess.made[-1]


def finish(slicer_app, module, **changes):
    FakeProcess.made[-1].finish(**changes)
    slicer_app.wait_for(lambda: not module.widget.panel.running)
    slicer_app.process_events(20)


def matrix_of(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToWorld(matrix)
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def shown(widget):
    return not widget.isHidden()


# What is missing


def test_the_button_says_what_is_missing(opened):
    ui = opened.ui
    assert not ui.registerButton.enabled
    assert ui.registerButton.toolTip == ui.messageLabel.text
    assert "Load two volumes" in ui.messageLabel.text
    a, b = add_scan("scan A"), add_scan("scan B", seed=2)
    ui.fixedSelector.setCurrentNode(a)
    assert "onto scan A" in ui.messageLabel.text
    ui.movingSelector.setCurrentNode(a)
    assert "scan A is chosen as both" in ui.messageLabel.text
    ui.movingSelector.setCurrentNode(b)
    assert ui.registerButton.enabled
    assert ui.registerButton.toolTip == "Put scan B onto scan A"
    assert not shown(ui.messageLabel)
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points A")
    ui.fixedLandmarksSelector.setCurrentNode(points)
    assert "points A has no partner" in ui.messageLabel.text
    assert not ui.registerButton.enabled


def test_two_volumes_of_a_scene_are_chosen(ready, pair):
    parameters = ready.widget._parameterNode
    assert (parameters.fixedVolume, parameters.movingVolume) == pair
    assert ready.ui.registerButton.enabled


# A run


def test_a_result_is_added_applied_and_judged(slicer_app, ready, pair):
    process = start(slicer_app, ready)
    assert ready.ui.registerButton.text == "Cancel"
    assert shown(ready.ui.progressWidget)
    process.tell(event="progress", stage=f"looking at {process.file('--fixed')}", fraction=0.5)
    process.tell(event="log", line="iteration 1")
    process.output(b"not an event\n")
    assert ready.ui.stageLabel.text == "Looking at scan A"
    assert ready.ui.progressBar.value == 500
    assert ready.ui.logText.plainText == "iteration 1\nnot an event"
    finish(slicer_app, ready)
    node = ready.widget._parameterNode.resultTransform
    assert node.GetName() == "scan B to scan A"
    np.testing.assert_allclose(matrix_of(node), MOVING_TO_FIXED_RAS)
    assert pair[1].GetParentTransformNode() is node
    assert "UNCERTAIN" in ready.ui.verdictLabel.text
    assert "scan A has a clipped range" in ready.ui.evidenceLabel.text
    assert "The optimum is blunt." in ready.ui.evidenceLabel.text
    assert shown(ready.ui.resultCollapsibleButton)
    assert not shown(ready.ui.viewsWidget), "there are no views"
    assert folders(slicer_app) == []
    assert ready.logic.verdict(node)["word"] == "uncertain"


def test_undo_brings_back_the_scene_as_it_was(slicer_app, ready, pair):
    fixed, moving = pair
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    other = add_scan("scan C", seed=3)
    moving.SetAndObserveTransformNodeID(parent.GetID())
    ready.widget._parameterNode.carried = [other, fixed, moving]
    before = scene_content()
    start(slicer_app, ready)
    finish(slicer_app, ready)
    assert other.GetParentTransformNode().GetName() == "scan B to scan A"
    assert fixed.GetParentTransformNode() is None
    assert moving.GetParentTransformNode().GetName() == "scan B to scan A after parent"
    ready.ui.hardenButton.click()
    assert moving.GetParentTransformNode() is None
    assert not ready.ui.hardenButton.enabled
    assert "under this transform" in ready.ui.hardenButton.toolTip
    ready.ui.invertButton.click()
    inverse = slicer.util.getNode("scan B to scan A inverse")
    np.testing.assert_allclose(matrix_of(inverse) @ MOVING_TO_FIXED_RAS, np.eye(4), atol=1e-12)
    ready.ui.undoButton.click()
    assert scene_content() == before
    assert not shown(ready.ui.resultCollapsibleButton)


def test_fade_and_checkerboard_show_both_volumes_and_leave_nothing(slicer_app, ready, pair):
    slicer_app.open_slice_views()
    fixed, moving = pair
    start(slicer_app, ready)
    finish(slicer_app, ready)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert moving.GetDisplayNode().GetWindowLevelMax() > 1000, "the volumes had no display nodes"
    assert (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()) == (fixed.GetID(), moving.GetID())
    ready.ui.fadeSlider.value = 0.25
    assert composite.GetForegroundOpacity() == 0.25
    before = set(scene_state())
    ready.ui.checkerboardBox.click()
    slicer_app.wait_for(lambda: composite.GetForegroundVolumeID() != moving.GetID())
    board = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID())
    assert board.GetHideFromEditors()
    assert not board.GetSaveWithScene()
    voxels, original = slicer.util.arrayFromVolume(board), slicer.util.arrayFromVolume(moving)
    hidden = voxels != original
    assert 0.4 < hidden.mean() < 0.6
    assert voxels[hidden].max() < board.GetDisplayNode().GetLowerThreshold() <= original.min()
    ready.ui.checkerboardBox.click()
    assert composite.GetForegroundVolumeID() == moving.GetID()
    assert set(scene_state()) == before
    ready.ui.undoButton.click()
    assert composite.GetForegroundVolumeID() is None
    assert moving.GetDisplayNode() is None


@pytest.mark.parametrize("which", ["fixed", "moving", "result"])
def test_nodes_removed_while_a_result_is_shown(slicer_app, ready, pair, which):
    slicer_app.open_slice_views()
    start(slicer_app, ready)
    finish(slicer_app, ready)
    ui = ready.ui
    ui.checkerboardBox.click()
    slicer_app.process_events(300)
    node = {"fixed": pair[0], "moving": pair[1], "result": ready.widget._parameterNode.resultTransform}[which]
    slicer.mrmlScene.RemoveNode(node)
    slicer_app.process_events(20)
    assert shown(ui.resultCollapsibleButton) == (which != "result")
    for button in (ui.checkerboardBox, ui.checkerboardBox, ui.hardenButton, ui.invertButton, ui.undoButton):
        button.click()
        slicer_app.process_events(100)
    assert not shown(ui.resultCollapsibleButton)
    assert not slicer.util.getNodes("*checkerboard*")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 3, "those of the views"


def test_outputs_can_be_named_left_unapplied_and_resampled(slicer_app, ready, pair):
    import SimpleITK as sitk

    parameters = ready.widget._parameterNode
    parameters.transformName, parameters.applyToMoving, parameters.resampledVolume = "T 1", False, True
    process = start(slicer_app, ready)
    image = sitk.ReadImage(str(process.file("--fixed")))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32) + 1, str(process.file("--output-volume")), True)
    finish(slicer_app, ready)
    assert parameters.resultTransform.GetName() == "T 1"
    assert pair[1].GetParentTransformNode() is None
    made = slicer.util.getNode("scan B resampled")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(made), slicer.util.arrayFromVolume(pair[0]) + 1)
    assert made.GetDisplayNode() is not None


def test_settings_become_arguments(slicer_app, ready, pair):
    parameters, ui = ready.widget._parameterNode, ready.ui
    ui.presetBox.setCurrentIndex(2)
    ui.startBox.setCurrentIndex(1)
    ui.maxTranslationBox.value = 40
    ui.maxRotationBox.value = 25
    ui.engineBox.setCurrentIndex([ui.engineBox.itemText(i) for i in range(ui.engineBox.count)].index("simpleitk"))
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetSize(120, 100, 90)
    parameters.roi = roi
    process = start(slicer_app, ready)
    text = " ".join(process.arguments)
    assert "--start given --engine simpleitk --max-translation 40.0 --max-rotation 25.0" in text
    assert parameters.preset == json.loads(process.file("--preset").read_text())["name"] == "ct-mr-bone-rigid"
    import SimpleITK as sitk

    mask = sitk.ReadImage(str(process.file("--fixed-mask")))
    marked_mm3 = sitk.GetArrayFromImage(mask).sum() * np.prod(mask.GetSpacing())
    assert marked_mm3 == pytest.approx(120 * 100 * 90, rel=0.2)
    ready.ui.registerButton.click()


def test_a_changed_parameter_is_checked_kept_and_used(slicer_app, ready):
    ui, parameters = ready.ui, ready.widget._parameterNode
    table = ui.parametersTable
    rows = {table.item(row, 0).text(): row for row in range(table.rowCount)}
    assert all(table.item(row, 2).text() for row in rows.values()), "every parameter has a meaning"
    row = rows["MaximumNumberOfIterations"]
    table.item(row, 1).setText("a lot")
    assert "must be a positive whole number" in ui.messageLabel.text
    assert not ui.registerButton.enabled
    table.item(row, 1).setText("70")
    assert ui.registerButton.enabled
    process = start(slicer_app, ready)
    preset = json.loads(process.file("--preset").read_text())
    assert preset["engines"]["elastix"][0]["MaximumNumberOfIterations"] == 70
    assert preset["name"] == "rigid, changed"
    ready.ui.registerButton.click()
    ui.resetParametersButton.click()
    assert table.item(row, 1).text() == "500"
    assert json.loads(parameters.changedParameters) == {"rigid": {}}


def test_an_engine_is_installed_only_when_asked_for(slicer_app, ready, monkeypatch):
    from MultimodalRegistrationLib.application import engine_packages
    from MultimodalRegistrationLib.errors import EngineNotInstalledError

    installed = []

    def install(name, *, wheels_folder, on_line, should_stop):
        installed.append(wheels_folder)
        on_line("Collecting")
        assert ready.ui.registerButton.text == "Cancel"
        assert not should_stop()
        if wheels_folder is None:
            raise EngineNotInstalledError("elastix", "no network", "Connect.")

    need = engine_packages.Need("elastix", ("itk-elastix",), 300, 1600)
    monkeypatch.setattr(engine_packages, "missing", lambda name: need)
    monkeypatch.setattr(engine_packages, "install", install)
    slicer_app.messages.answers.append(False)
    ready.ui.registerButton.click()
    assert "300 MB" in slicer_app.messages.shown[-1].text
    assert "was not installed" in ready.ui.messageLabel.text
    assert installed == []
    slicer_app.messages.answers += [True, False]
    ready.ui.registerButton.click()
    assert "no network" in ready.ui.messageLabel.text
    slicer_app.dialog_answers.append("/wheels")
    process = start(slicer_app, ready)
    assert installed == [None, None, Path("/wheels")]
    assert process.arguments
    ready.ui.registerButton.click()


def test_a_broken_preset_of_the_user_is_told(slicer_app, monkeypatch, tmp_path):
    monkeypatch.setenv("MULTIMODAL_REGISTRATION_HOME", str(tmp_path))
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "mine.json").write_text("{}")
    module = slicer_app.open_module(FOLDER, "MultimodalRegistration")
    assert "mine.json: not a valid preset" in module.ui.messageLabel.text
    assert module.ui.presetBox.count == 5


# What happens meanwhile


def test_cancel_at_any_time_leaves_the_scene_alone(slicer_app, ready):
    before = scene_state()
    ready.ui.registerButton.click()
    ready.ui.registerButton.click()
    assert FakeProcess.made == [], "cancelled while the volumes were written"
    assert folders(slicer_app) == []
    process = start(slicer_app, ready)
    ready.ui.registerButton.click()
    assert ready.ui.registerButton.text == "Register"
    assert "Cancelled" in ready.ui.messageLabel.text
    assert process.calls == ["close_input"]
    process.tell(event="progress", stage="late", fraction=0.7)
    slicer_app.wait_for(lambda: process.calls == ["close_input", "kill"])
    assert scene_state() == before
    assert folders(slicer_app) == []


@pytest.mark.parametrize("which", [0, 1])
def test_a_volume_removed_meanwhile(slicer_app, ready, pair, which):
    start(slicer_app, ready)
    slicer.mrmlScene.RemoveNode(pair[which])
    before = set(scene_state())
    finish(slicer_app, ready)
    name = ("scan A", "scan B")[which]
    assert f"{name}: the volume was removed while the registration ran" in ready.ui.messageLabel.text
    assert set(scene_state()) == before
    assert folders(slicer_app) == []


def test_a_volume_to_carry_along_removed_meanwhile(slicer_app, ready, pair):
    other = add_scan("scan C", seed=3)
    ready.widget._parameterNode.carried = [other]
    start(slicer_app, ready)
    slicer.mrmlScene.RemoveNode(other)
    finish(slicer_app, ready)
    assert "not carried along: scan C" in ready.ui.messageLabel.text
    assert pair[1].GetParentTransformNode() is not None


def test_a_volume_moved_meanwhile_is_not_moved_again(slicer_app, ready, pair):
    start(slicer_app, ready)
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "elsewhere")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 30)
    parent.SetMatrixTransformToParent(matrix)
    pair[1].SetAndObserveTransformNodeID(parent.GetID())
    finish(slicer_app, ready)
    assert pair[1].GetParentTransformNode() is parent
    assert "scan B was moved while" in ready.ui.messageLabel.text


def test_the_scene_closed_meanwhile(slicer_app, ready):
    process = start(slicer_app, ready)
    slicer.mrmlScene.Clear()
    assert not ready.widget.panel.running
    process.end(4)
    slicer_app.process_events(50)
    assert folders(slicer_app) == []
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 0
    assert "Load two volumes" in ready.ui.messageLabel.text


def test_the_scene_closed_with_a_result_shown(slicer_app, ready):
    start(slicer_app, ready)
    finish(slicer_app, ready)
    slicer.mrmlScene.Clear()
    assert not shown(ready.ui.resultCollapsibleButton)


def test_the_module_reloaded_meanwhile(slicer_app, ready):
    process = start(slicer_app, ready)
    ready.reload()
    assert process.calls[0] == "close_input"
    assert folders(slicer_app) == []
    assert ready.ui.registerButton.text == "Register"
    assert ready.ui.registerButton.enabled


def test_the_application_quits_meanwhile(slicer_app, ready):
    process = start(slicer_app, ready)
    ready.close()
    assert process.calls[:2] == ["close_input", "wait"]
    assert folders(slicer_app) == []


def test_another_module_opened_meanwhile(slicer_app, ready, pair):
    start(slicer_app, ready)
    ready.exit()
    finish(slicer_app, ready)
    assert pair[1].GetParentTransformNode().GetName() == "scan B to scan A"
    ready.enter()
    assert shown(ready.ui.resultCollapsibleButton)


def test_a_second_run_is_refused(slicer_app, ready):
    start(slicer_app, ready)
    ready.widget.panel.start()
    assert "A registration is running" in ready.ui.messageLabel.text
    assert len(FakeProcess.made) == 1
    finish(slicer_app, ready)


def test_an_error_names_the_node(slicer_app, ready):
    process = start(slicer_app, ready)
    subject = str(process.file("--fixed"))
    process.tell(event="error", subject=subject, found="3 voxels are NaN", remedy="Replace them.", exit_code=2)
    process.end(2)
    assert ready.ui.messageLabel.text == "scan A: 3 voxels are NaN. Replace them."
    assert not ready.widget.panel.running
    process = start(slicer_app, ready)
    FakeProcess.made[-1].end(-11)
    slicer_app.wait_for(lambda: not ready.widget.panel.running)
    assert "ended unexpectedly (code -11)" in ready.ui.messageLabel.text
    assert folders(slicer_app) == []


def test_a_program_that_does_not_start(slicer_app, ready, monkeypatch):
    from MultimodalRegistrationLib.panels.common import background_job

    monkeypatch.setattr(background_job, "child_program", lambda: "/no/such/program")
    ready.widget.panel.make_process = background_job.QtProcess
    ready.ui.registerButton.click()
    slicer_app.wait_for(lambda: not ready.widget.panel.running)
    assert "could not be started" in ready.ui.messageLabel.text
    assert folders(slicer_app) == []


# Which volumes


def test_odd_volumes(slicer_app, opened):
    FakeProcess.made.clear()
    opened.widget.panel.make_process = FakeProcess
    voxels = np.random.default_rng(3).normal(size=(20, 21, 22)).astype(np.float32)
    voxel_grid = grid((22, 21, 20), (8.0, 8.0, 8.0), (0, 0, 0))
    long_name = "a very long name " * 40
    nodes = [add_voxels(name, voxels, voxel_grid) for name in (long_name, long_name, "x")]
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    parameters = opened.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = nodes[:2]
    start(slicer_app, opened)
    finish(slicer_app, opened)
    assert nodes[1].GetParentTransformNode() is parameters.resultTransform
    parameters.movingVolume = empty
    opened.ui.registerButton.click()
    assert opened.ui.messageLabel.text == "empty: the volume holds no voxels. Load its data first."
    labels = add_voxels("labels", (voxels > 0).astype(np.uint8), voxel_grid, "vtkMRMLLabelMapVolumeNode")
    parameters.movingVolume = labels
    opened.ui.registerButton.click()
    assert opened.ui.messageLabel.text.startswith("labels: this is a label map")
    assert folders(slicer_app) == []


def test_volumes_under_linear_and_other_parents_are_written_where_they_lie(slicer_app, ready, pair):
    from MultimodalRegistrationLib.io.volumes import read_volume
    from MultimodalRegistrationLib.mrml.volumes import volume_from_node

    linear = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "linear")
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(MOVING_TO_FIXED_RAS.ravel())
    linear.SetMatrixTransformToParent(matrix)
    pair[0].SetAndObserveTransformNodeID(linear.GetID())
    warp = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        place = 80.0 * np.array(corner) - 40
        points[0].InsertNextPoint(place)
        points[1].InsertNextPoint(place * 1.1 + [0, 0, 0.1 * place[0] * place[1] / 40])
    warp.SetSourceLandmarks(points[0])
    warp.SetTargetLandmarks(points[1])
    warp.SetBasisToR()
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    other.SetAndObserveTransformToParent(warp)
    pair[1].SetAndObserveTransformNodeID(other.GetID())
    process = start(slicer_app, ready)
    for option, node in (("--fixed", pair[0]), ("--moving", pair[1])):
        written, expected = read_volume(process.file(option)), volume_from_node(node)
        np.testing.assert_allclose(written.grid.ijk_to_lps, expected.grid.ijk_to_lps, atol=1e-9)
        np.testing.assert_allclose(written.voxels, expected.voxels, atol=1e-3)
    ready.ui.registerButton.click()


def test_masks_of_segments_and_label_maps(slicer_app, ready, pair):
    import SimpleITK as sitk

    fixed, _ = pair
    voxels = slicer.util.arrayFromVolume(fixed)
    labels = np.zeros(voxels.shape, dtype=np.uint8)
    labels[10:30, 10:25, 8:20] = 1
    matrix = vtk.vtkMatrix4x4()
    fixed.GetIJKToRASMatrix(matrix)
    label_map = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "marked")
    label_map.Copy(fixed)
    label_map.SetName("marked")
    slicer.util.updateVolumeFromArray(label_map, labels)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segments")
    segmentation.CreateDefaultDisplayNodes()
    slicer_app.logics["Segmentations"].ImportLabelmapToSegmentationNode(label_map, segmentation)
    parameters = ready.widget._parameterNode
    parameters.fixedMask = segmentation
    parameters.movingMask = label_map
    process = start(slicer_app, ready)
    for option in ("--fixed-mask", "--moving-mask"):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(process.file(option)))), labels)
    finish(slicer_app, ready)
    content = json.loads(parameters.resultTransform.GetAttribute("MultimodalRegistration.Settings"))
    assert content["inputs"]["fixed_mask"] == "segments"


# The scene


def test_settings_and_result_come_back_with_the_scene(slicer_app, ready, pair, tmp_path):
    parameters = ready.widget._parameterNode
    parameters.preset, parameters.start, parameters.maxRotation = "affine", "moments", 33.0
    parameters.transformName, parameters.resampledVolume, parameters.carried = "T", False, [pair[0]]
    table = ready.ui.parametersTable
    rows = {table.item(row, 0).text(): row for row in range(table.rowCount)}
    changed = next(row for name, row in rows.items() if name.endswith("NumberOfHistogramBins"))
    table.item(changed, 1).setText("20")
    start(slicer_app, ready)
    finish(slicer_app, ready)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    assert ready.ui.maxRotationBox.value == 0
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    slicer_app.process_events(20)
    parameters = ready.widget._parameterNode
    assert (parameters.preset, parameters.start, parameters.maxRotation) == ("affine", "moments", 33.0)
    assert parameters.fixedVolume.GetName() == "scan A"
    assert [node.GetName() for node in parameters.carried] == ["scan A"]
    assert ready.ui.startBox.currentText == "Centres of mass aligned"
    assert ready.ui.transformNameEdit.text == "T"
    assert table.item(changed, 1).text() == "20"
    assert shown(ready.ui.resultCollapsibleButton)
    assert "UNCERTAIN" in ready.ui.verdictLabel.text
    assert not ready.ui.undoButton.enabled
    assert "loaded with the scene" in ready.ui.undoButton.toolTip


def test_scripts_register_in_one_line(slicer_app, opened, pair):
    from MultimodalRegistrationLib.errors import InputError

    logic = slicer.util.getModuleLogic("MultimodalRegistration")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(InputError, match="empty: the volume holds no voxels"):
        logic.register(pair[0], empty)
    node = logic.register(*pair, engine="simpleitk", start="given", verdict=False)
    assert pair[1].GetParentTransformNode() is node
    assert logic.verdict(node) is None
    expected = np.eye(4)
    expected[:3, 3] = [1, -2, 0]
    np.testing.assert_allclose(matrix_of(node), expected, atol=1.5)


QA_MODULE = """
from slicer.ScriptedLoadableModule import *

class MultimodalRegistrationQA(ScriptedLoadableModule):
    pass

class MultimodalRegistrationQAWidget(ScriptedLoadableModuleWidget):
    def setInputs(self, fixedNode, movingNode, transformNode):
        self.inputs = fixedNode, movingNode, transformNode
"""


def test_the_result_is_handed_to_the_assessment(slicer_app, ready, pair, tmp_path):
    start(slicer_app, ready)
    finish(slicer_app, ready)
    assert not ready.ui.qaButton.enabled
    assert "not installed" in ready.ui.qaButton.toolTip
    (tmp_path / "MultimodalRegistrationQA.py").write_text(QA_MODULE)
    slicer_app.open_main_window()
    assessment = slicer_app.open_module(tmp_path, "MultimodalRegistrationQA")
    assessment.exit()
    ready.exit()
    ready.enter()
    ready.ui.qaButton.click()
    assert assessment.widget.inputs == (*pair, ready.widget._parameterNode.resultTransform)


def test_other_modules_hand_over_their_results(ready, pair):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "from landmarks")
    slicer.util.getModuleWidget("MultimodalRegistration").setInputs(*pair[::-1], initialTransform=transform)
    assert ready.ui.fixedSelector.currentNode() is pair[1]
    assert ready.ui.movingSelector.currentNode() is pair[0]
    assert ready.ui.initialTransformSelector.currentNode() is transform


# With the real command


def test_cancel_of_a_real_run_is_immediate(slicer_app, opened, pair):
    parameters = opened.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = pair
    before = scene_state()
    opened.ui.registerButton.click()
    slicer_app.wait_for(lambda: "poses" in opened.ui.stageLabel.text, 60)
    children = psutil.Process().children(recursive=True)
    assert children
    began = time.monotonic()
    opened.ui.registerButton.click()
    answered = time.monotonic() - began
    slicer_app.wait_for(lambda: not any(child.is_running() for child in children), 10)
    print(f"answered after {answered * 1000:.0f} ms, processes gone after {time.monotonic() - began:.1f} s")
    slicer_app.process_events(50)
    assert answered < 1.0
    assert opened.ui.registerButton.text == "Register"
    assert scene_state() == before
    assert folders(slicer_app) == []


@pytest.mark.parametrize("stage", ["Writing", "poses"])
def test_quitting_ends_a_real_run(slicer_app, opened, pair, stage):
    parameters = opened.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = pair
    opened.ui.registerButton.click()
    slicer_app.wait_for(lambda: bool(psutil.Process().children()) and stage in opened.ui.stageLabel.text, 60)
    children = psutil.Process().children(recursive=True)
    began, computed = time.monotonic(), time.thread_time()
    opened.close()
    print(f"{stage}: closed after {time.monotonic() - began:.2f} s, {time.thread_time() - computed:.2f} s computed")
    # Half a second of waiting, and the rest of the panel; other programs may have the processors.
    assert time.monotonic() - began < 1.5
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert folders(slicer_app) == []


def test_handing_over_large_volumes_does_not_block(slicer_app, opened):
    from StandIn.blocks import BlockMeter

    FakeProcess.made.clear()
    opened.widget.panel.make_process = FakeProcess
    voxels = np.random.default_rng(1).integers(-1000, 2000, size=(160, 400, 400), dtype=np.int16)
    voxel_grid = grid((400, 400, 160), (0.6, 0.6, 1.2), (0, 0, 0))
    parameters = opened.widget._parameterNode
    parameters.fixedVolume = add_voxels("large", voxels, voxel_grid)
    parameters.movingVolume = add_voxels("large too", voxels, voxel_grid)
    slicer_app.process_events(20)
    with BlockMeter() as meter:
        start(slicer_app, opened)
    assert_lively(meter)
    opened.ui.registerButton.click()


@pytest.mark.slow
def test_three_clicks_to_a_verified_registration(slicer_app):
    from MultimodalRegistrationLib.mrml.phantom_case import add_phantom_case, phantom_error_mm
    from StandIn.blocks import BlockMeter

    slicer_app.open_slice_views()
    phantom = add_phantom_case(slicer.mrmlScene)
    fixed, moving = phantom.ct, phantom.t1
    module = slicer_app.open_module(FOLDER, "MultimodalRegistration")
    clicks = 0
    slicer_app.screenshot(module.parent, SCREENSHOTS / "registration-before.png")
    for selector, node in ((module.ui.fixedSelector, fixed), (module.ui.movingSelector, moving)):
        selector.setCurrentNode(node)
        clicks += 1
    with BlockMeter() as meter:
        module.ui.registerButton.click()
        clicks += 1
        slicer_app.wait_for(lambda: "poses" in module.ui.stageLabel.text and module.ui.progressBar.value > 150, 60)
    slicer_app.screenshot(module.parent, SCREENSHOTS / "registration-during.png")
    with BlockMeter() as rest:
        slicer_app.wait_for(lambda: not module.widget.panel.running, 300)
    slicer_app.screenshot(module.parent, SCREENSHOTS / "registration-after.png")
    assert clicks <= 3
    assert "VERIFIED" in module.ui.verdictLabel.text
    assert phantom_error_mm(module.widget._parameterNode.resultTransform) < 2.0
    assert moving.GetParentTransformNode() is module.widget._parameterNode.resultTransform
    assert_lively(meter, rest)
