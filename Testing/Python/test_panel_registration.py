"""The registration panel, in the stand-in for Slicer: choices, results, scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import slicer
from MultimodalRegistrationLib.io.markups import read_roi
from MultimodalRegistrationLib.io.segmentations import read_segmentation
from MultimodalRegistrationLib.mrml.transforms import SETTINGS_ATTRIBUTE
from MultimodalRegistrationLib.mrml.volumes import slabs_of_node
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix
from MultimodalRegistrationLib.polyrigid.structure import structures_of
from panel_helpers import (
    MOVING_TO_FIXED_RAS,
    add_scan,
    add_voxels,
    scene_content,
    scene_state,
)
from registration_panel import FOLDER, finish, folders, matrix_of, shown, start

pytest.importorskip("PySide6.QtWidgets")
pytest_plugins = ["registration_panel"]


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


@pytest.mark.story("U21")
def test_it_says_what_is_missing_of_what_is_loaded(slicer_app, opened):
    """Not to load what is there: to choose it, or what it is that cannot be chosen."""
    ui = opened.ui
    colour = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "RGB")
    slicer_app.process_events(20)
    why = (
        '"RGB" cannot be registered: this is a vector or colour volume. Make a scalar copy of it with the button in '
        "the module Registration Preprocess, or with the module Vector to Scalar Volume."
    )
    assert ui.messageLabel.text == why
    a = add_scan("scan A")
    slicer_app.process_events(20)
    assert ui.messageLabel.text == why, "there is still one volume too few"
    ui.fixedSelector.setCurrentNode(a)
    assert ui.messageLabel.text == why
    slicer.mrmlScene.RemoveNode(colour)
    slicer_app.process_events(20)
    assert ui.messageLabel.text == "Load another volume, then choose the fixed and the moving one."
    others = [add_scan(f"scan {name}", seed=2) for name in "BC"]
    slicer_app.process_events(20)
    assert ui.messageLabel.text == "Choose a moving volume: the one that is put onto scan A."
    ui.movingSelector.setCurrentNode(others[0])
    ui.fixedSelector.setCurrentNode(None)
    assert ui.messageLabel.text == "Choose a fixed volume: the one that stays."
    ui.movingSelector.setCurrentNode(None)
    assert ui.messageLabel.text == (
        "Choose a fixed volume: the one that stays. Then choose a moving volume, which is put onto it."
    )


def test_two_volumes_of_a_scene_are_chosen(ready, pair):
    parameters = ready.widget._parameterNode
    assert (parameters.fixedVolume, parameters.movingVolume) == pair
    assert ready.ui.registerButton.enabled


def test_two_volumes_loaded_while_the_panel_is_open_are_chosen(slicer_app, opened):
    pair = add_scan("scan A", "T1", seed=1), add_scan("scan B", "CT", seed=2)
    slicer_app.process_events(20)
    parameters = opened.widget._parameterNode
    assert (parameters.fixedVolume, parameters.movingVolume) == pair
    parameters.fixedVolume = parameters.movingVolume = None
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "other")
    slicer_app.process_events(20)
    assert parameters.fixedVolume is None, "what the user takes out stays out"


@pytest.mark.parametrize("missing", ["volume", "bad parameter"])
@pytest.mark.parametrize("stale", ["cancelled", "not installed", "bad parameter"])
def test_what_is_missing_wins_over_a_stale_message(slicer_app, ready, pair, stale, missing, monkeypatch):
    ui, table = ready.ui, ready.ui.parametersTable
    row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == "MaximumNumberOfIterations")
    if stale == "cancelled":
        start(slicer_app, ready)
        ui.registerButton.click()
        assert ui.messageLabel.text == "Cancelled; the scene is as it was."
    elif stale == "not installed":
        from MultimodalRegistrationLib.application import engine_packages

        need = engine_packages.Need("elastix", ("itk-elastix",), 300, 1600)
        with monkeypatch.context() as patched:
            patched.setattr(engine_packages, "missing", lambda name: need)
            slicer_app.messages.answers.append(False)
            ui.registerButton.click()
        assert "elastix was not installed" in ui.messageLabel.text
    else:
        table.item(row, 1).setText("a lot")
        assert "must be a positive whole number" in ui.messageLabel.text
        table.item(row, 1).setText("70")
        assert not shown(ui.messageLabel)
    said = ui.messageLabel.text
    if missing == "volume":
        ui.fixedSelector.setCurrentNode(None)
        assert "fixed volume" in ui.messageLabel.text
    else:
        table.item(row, 1).setText("many")
        assert "must be a positive whole number" in ui.messageLabel.text
    assert ui.messageLabel.text == ui.registerButton.toolTip != said
    assert not ui.registerButton.enabled
    ui.fixedSelector.setCurrentNode(pair[0])
    table.item(row, 1).setText("80")
    assert not shown(ui.messageLabel)
    assert ui.registerButton.enabled


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
    assert ready.ui.logText.plainText.splitlines()[-3:] == ["0:00 Looking at scan A", "iteration 1", "not an event"]
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
    assert ready.logic.result(node).verdict["word"] == "uncertain"


@pytest.mark.parametrize("judged", [True, False])
def test_what_the_run_did_at_its_landmarks_is_shown_once(slicer_app, ready, judged):
    words = (
        "At the landmarks the error rose from 1.9 mm (their own fit) to 2.2 mm: within their expected error of 2.5 mm."
    )
    start(slicer_app, ready)
    verdict = {"word": "verified", "against": [], "facts": [words], "estimated_error_mm": 2}
    finish(slicer_app, ready, verdict=verdict if judged else None, landmarks={"words": words})
    assert ready.ui.evidenceLabel.text.count(words) == 1


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


@pytest.mark.story("U22")
def test_fade_and_checkerboard_show_both_volumes_and_leave_nothing(slicer_app, ready, pair):
    slicer_app.open_slice_views()
    fixed, moving = pair
    start(slicer_app, ready)
    finish(slicer_app, ready)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert moving.GetDisplayNode().GetWindowLevelMax() > 1000, "the volumes had no display nodes"
    shown = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID())
    assert composite.GetBackgroundVolumeID() == fixed.GetID()
    assert shown.GetImageData() is moving.GetImageData()
    np.testing.assert_allclose(matrix_of(shown.GetParentTransformNode()), matrix_of(moving.GetParentTransformNode()))
    ready.ui.fadeSlider.value = 0.25
    assert composite.GetForegroundOpacity() == 0.25
    before = set(scene_state())
    ready.ui.checkerboardButton.click()
    slicer_app.wait_for(lambda: composite.GetForegroundVolumeID() != shown.GetID())
    board = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID())
    assert board.GetHideFromEditors()
    assert not board.GetSaveWithScene()
    voxels, original = slicer.util.arrayFromVolume(board), slicer.util.arrayFromVolume(moving)
    hidden = voxels != original
    assert 0.4 < hidden.mean() < 0.6
    assert voxels[hidden].max() < board.GetDisplayNode().GetLowerThreshold() <= original.min()
    ready.ui.checkerboardButton.click()
    assert composite.GetForegroundVolumeID() == shown.GetID()
    assert set(scene_state()) == before
    ready.ui.undoButton.click()
    assert composite.GetForegroundVolumeID() is None
    assert moving.GetDisplayNode() is None


def test_checkerboard_off_logs_no_error(slicer_app, ready, pair):
    slicer_app.open_slice_views()
    start(slicer_app, ready)
    finish(slicer_app, ready)
    ready.ui.checkerboardButton.click()
    slicer_app.wait_for(lambda: slicer.util.getNodes("*checkerboard*"))
    ready.ui.checkerboardButton.click()
    assert not slicer.util.getNodes("*checkerboard*")
    assert slicer_app.slot_errors == [], "a node was removed twice"
    log = Path(slicer.app.currentLogFile())
    assert not log.exists() or "ERROR" not in log.read_text()


@pytest.mark.parametrize("which", ["fixed", "moving", "result"])
def test_nodes_removed_while_a_result_is_shown(slicer_app, ready, pair, which):
    slicer_app.open_slice_views()
    start(slicer_app, ready)
    finish(slicer_app, ready)
    ui = ready.ui
    ui.checkerboardButton.click()
    slicer_app.process_events(300)
    node = {"fixed": pair[0], "moving": pair[1], "result": ready.widget._parameterNode.resultTransform}[which]
    slicer.mrmlScene.RemoveNode(node)
    slicer_app.process_events(20)
    assert shown(ui.resultCollapsibleButton) == (which != "result")
    for button in (ui.checkerboardButton, ui.checkerboardButton, ui.hardenButton, ui.invertButton, ui.undoButton):
        button.click()
        slicer_app.process_events(100)
    assert not shown(ui.resultCollapsibleButton)
    assert not slicer.util.getNodes("*checkerboard*")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 3, "those of the views"


def test_outputs_can_be_left_unapplied_and_resampled(slicer_app, ready, pair):
    import SimpleITK as sitk

    parameters = ready.widget._parameterNode
    parameters.applyToMoving, parameters.resampledVolume = False, True
    process = start(slicer_app, ready)
    image = sitk.ReadImage(str(process.file("--fixed")))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32) + 1, str(process.file("--output-volume")), True)
    finish(slicer_app, ready)
    assert pair[1].GetParentTransformNode() is None
    made = slicer.util.getNode("scan B resampled")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(made), slicer.util.arrayFromVolume(pair[0]) + 1)
    assert made.GetDisplayNode() is not None


def test_an_output_transform_that_is_created_takes_the_result(slicer_app, ready, pair):
    selector, parameters = ready.ui.outputTransformSelector, ready.widget._parameterNode
    output = selector.addNode()
    assert output.GetName() == "Registration"
    assert parameters.outputTransform is output
    before = scene_content()
    start(slicer_app, ready)
    finish(slicer_app, ready)
    assert parameters.resultTransform is output
    assert pair[1].GetParentTransformNode() is output
    np.testing.assert_allclose(matrix_of(output), MOVING_TO_FIXED_RAS, atol=1e-9)
    assert parameters.outputTransform is None, "the next run leaves this result alone"
    ready.ui.undoButton.click()
    assert scene_content() == before
    np.testing.assert_array_equal(matrix_of(output), np.eye(4))
    assert output.GetNodeReferenceID(output.GetFixedNodeReferenceRole()) is None


def test_undo_gives_a_chosen_transform_back_what_it_held(slicer_app, ready, pair):
    """Whatever that was: also an earlier result, which the panel shows again."""
    start(slicer_app, ready)
    finish(slicer_app, ready)
    parameters = ready.widget._parameterNode
    earlier = parameters.resultTransform
    pair[1].SetAndObserveTransformNodeID(None)
    held = vtk_from_matrix(np.diag([1.0, -1.0, -1.0, 1.0]) + np.eye(4, k=3) * 7)
    earlier.SetMatrixTransformToParent(held)
    settings = earlier.GetAttribute(SETTINGS_ATTRIBUTE)
    parameters.outputTransform = earlier
    start(slicer_app, ready)
    finish(slicer_app, ready, verdict=None)
    assert parameters.resultTransform is earlier
    assert earlier.GetAttribute(SETTINGS_ATTRIBUTE) != settings
    np.testing.assert_allclose(matrix_of(earlier), MOVING_TO_FIXED_RAS, atol=1e-9)
    ready.ui.undoButton.click()
    np.testing.assert_array_equal(matrix_of(earlier), matrix_from_vtk(held))
    assert earlier.GetAttribute(SETTINGS_ATTRIBUTE) == settings
    assert pair[1].GetParentTransformNode() is None
    assert earlier.GetNodeReferenceID(earlier.GetMovingNodeReferenceRole()) == pair[1].GetID()


@pytest.mark.parametrize("which", ["moving volume", "further volume", "carried volume"])
def test_an_output_transform_above_a_volume_is_refused(slicer_app, ready, pair, which):
    """It would move with the result, whether it is registered itself or not."""
    parameters = ready.widget._parameterNode
    output = parameters.outputTransform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "mine")
    node = pair[1] if which == "moving volume" else add_scan("scan C", seed=3)
    if which == "further volume":
        parameters.furtherVolumes = [node]
    elif which == "carried volume":
        parameters.carried = [node]
    node.SetAndObserveTransformNodeID(output.GetID())
    ready.ui.registerButton.click()
    assert not ready.widget.panel.running
    assert node.GetName() in ready.ui.messageLabel.text
    assert "'mine'" in ready.ui.messageLabel.text
    assert "Choose another output transform" in ready.ui.messageLabel.text


@pytest.mark.parametrize("what", ["removed", "above the moving volume", "under another transform"])
def test_an_output_transform_that_is_lost_while_it_runs_gives_a_new_one(slicer_app, ready, pair, what):
    parameters = ready.widget._parameterNode
    output = parameters.outputTransform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "mine")
    start(slicer_app, ready)
    if what == "removed":
        slicer.mrmlScene.RemoveNode(output)
    elif what == "above the moving volume":
        pair[1].SetAndObserveTransformNodeID(output.GetID())
    else:
        parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
        output.SetAndObserveTransformNodeID(parent.GetID())
    finish(slicer_app, ready)
    assert parameters.resultTransform.GetName() == "scan B to scan A"
    assert "The result is in a new transform" in ready.ui.messageLabel.text
    if what != "removed":
        np.testing.assert_array_equal(matrix_of(output), np.eye(4))


def test_settings_become_a_request(slicer_app, ready, pair):
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
    asked = [process.asked(name) for name in ("start", "engine", "max-translation", "max-rotation")]
    assert asked == ["given", "simpleitk", 40.0, 25.0]
    assert parameters.preset == process.asked("preset")["name"] == "ct-mr-bone-rigid"
    np.testing.assert_allclose(read_roi(process.file("--fixed-roi")).size_mm, [120, 100, 90])
    ready.ui.registerButton.click()


@pytest.mark.story("U5")
def test_a_second_stage_goes_on_from_the_first(slicer_app, ready):
    ui, parameters = ready.ui, ready.widget._parameterNode
    assert ui.thenBox.currentText == "Nothing more"
    assert start(slicer_app, ready).asked("then") == []
    ui.registerButton.click()
    ui.thenBox.setCurrentIndex([ui.thenBox.itemText(i) for i in range(ui.thenBox.count)].index("Deformation only"))
    assert parameters.then == "warp"
    process = start(slicer_app, ready)
    assert [stage["preset"]["name"] for stage in process.asked("then")] == ["warp"]
    assert process.asked("preset")["name"] == "rigid"
    ui.registerButton.click()
    parameters.then = ""
    assert ui.thenBox.currentText == "Nothing more"


@pytest.mark.story("U4")
def test_structures_are_registered_on_their_own(slicer_app, ready, pair):
    ui, parameters = ready.ui, ready.widget._parameterNode
    voxels = np.zeros(slicer.util.arrayFromVolume(pair[0]).shape, dtype=np.uint8)
    voxels[10:20, 10:20, 10:20], voxels[25:30, 10:20, 10:20] = 1, 2
    bones = add_voxels("bones", voxels, slabs_of_node(pair[0]).grid, kind="vtkMRMLLabelMapVolumeNode")
    ui.structuresSelector.setCurrentNode(bones)
    assert parameters.structures is bones
    assert ui.registerButton.toolTip == "Put what scan B shows of each structure of bones onto scan A"
    for name, value, words in (
        ("fixedMask", bones, "Leave out bones"),
        ("then", "warp", "have no second stage"),
        ("start", "center", "start where a search"),
        ("start", "given", "start where a search"),
        ("preset", "affine", "keep their size"),
    ):
        before = getattr(parameters, name)
        setattr(parameters, name, value)
        assert not ui.registerButton.enabled
        assert words in ui.messageLabel.text
        setattr(parameters, name, before)
    assert ui.registerButton.enabled
    parameters.maxRotation = 20.0
    output = parameters.outputTransform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "mine")
    process = start(slicer_app, ready)
    assert process.job["job"] == "structures"
    assert process.asked("max-rotation") == 20.0
    written = read_segmentation(process.file("--segmentation"))
    assert [(one.name, len(one.points_lps)) for one in structures_of(written)] == [("1", 1000), ("2", 500)]
    # Their transforms are added and nothing is moved, because these could not be combined; all can be undone.
    before = scene_content()
    results = process.file("--output-dir")
    results.mkdir()
    one = {
        "transform": {"type": "linear", "moving_to_fixed_ras": MOVING_TO_FIXED_RAS.tolist()},
        "verdict": {"word": "verified", "against": [], "facts": [], "estimated_error_mm": 1.0},
        "moved_from_start": {"mean_mm": 3.0, "rotation_deg": 4.0},
        "later_stages": [],
        "engine": "elastix",
        "preset": "rigid",
        "warnings": [],
    }
    other = {
        **one,
        "verdict": {**one["verdict"], "word": "failed", "against": ["It is off."], "estimated_error_mm": None},
    }
    content = {
        "inputs": dict.fromkeys(("fixed", "moving")),
        "structures": [
            {"name": name, "file": f"{name}.h5", "registration": each} for name, each in (("1", one), ("2", other))
        ],
        "combined": None,
        "not_combined": "The structures '1' and '2': they would overlap.",
        "warnings": [],
    }
    (results / "RESULT.json").write_text(json.dumps(content))
    assert process.asked("keep-failed")
    process.end(6)
    slicer_app.wait_for(lambda: not ready.widget.panel.running)
    slicer_app.process_events(20)
    assert parameters.resultTransform.GetName() == "scan B to scan A: 2"
    assert slicer.util.getNode("scan B to scan A: 1") is not None
    assert "FAILED" in ui.verdictLabel.text
    assert "they would overlap" in ui.messageLabel.text
    assert pair[1].GetParentTransformNode() is None
    np.testing.assert_array_equal(matrix_of(output), np.eye(4), "the transform of one structure is not that of all")
    ui.undoButton.click()
    assert scene_content() == before


@pytest.mark.story("U12")
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
    preset = process.asked("preset")
    assert preset["engines"]["elastix"][0]["MaximumNumberOfIterations"] == 70
    assert preset["name"] == "rigid, changed"
    ready.ui.registerButton.click()
    changed = json.loads(parameters.changedParameters)
    assert changed["rigid"]["elastix"][0]["MaximumNumberOfIterations"] == 70


def test_reset_leaves_no_changes_of_the_preset(ready):
    ui, parameters, table = ready.ui, ready.widget._parameterNode, ready.ui.parametersTable
    row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == "MaximumNumberOfIterations")
    table.item(row, 1).setText("70")
    assert json.loads(parameters.changedParameters) != {}
    ui.resetParametersButton.click()
    assert table.item(row, 1).text() == "[200, 200, 500]"
    assert json.loads(parameters.changedParameters) == {}, "not even an empty entry"
    assert not ui.resetParametersButton.enabled


def test_an_engine_is_installed_only_when_asked_for(slicer_app, ready, monkeypatch):
    from MultimodalRegistrationLib.application import engine_packages
    from MultimodalRegistrationLib.core.errors import EngineNotInstalledError

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
    assert module.ui.presetBox.count == 8


# The scene


def test_settings_and_result_come_back_with_the_scene(slicer_app, ready, pair, tmp_path):
    parameters = ready.widget._parameterNode
    parameters.preset, parameters.start, parameters.maxRotation = "affine", "moments", 33.0
    parameters.resampledVolume, parameters.carried = False, [pair[0]]
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
    assert table.item(changed, 1).text() == "20"
    assert shown(ready.ui.resultCollapsibleButton)
    assert "UNCERTAIN" in ready.ui.verdictLabel.text
    assert not ready.ui.undoButton.enabled
    assert "loaded with the scene" in ready.ui.undoButton.toolTip


def test_scripts_register_in_one_line(slicer_app, opened, pair):
    from MultimodalRegistrationLib.core.errors import InputError

    logic = slicer.util.getModuleLogic("MultimodalRegistration")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(InputError, match="empty: the volume holds no voxels"):
        logic.register(pair[0], empty)
    result = logic.register(*pair, engine="simpleitk", start="given", verdict=False)
    node = result.node
    assert pair[1].GetParentTransformNode() is node
    assert result.verdict is None
    assert logic.result(node).content == result.content
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
