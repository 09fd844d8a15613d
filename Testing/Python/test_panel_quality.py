"""The quality panel in the stand-in for Slicer: known answers on the phantom, and nothing left behind."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
from conftest import CT_POSE, MR_POSE, PROJECT, SCREENSHOTS, centered_grid, rigid, rotation
from MultimodalRegistrationLib.core.frames import flip_matrix_lps_ras, flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.mrml.landmarks import add_landmark_node
from MultimodalRegistrationLib.mrml.quality_nodes import CONTENT_ATTRIBUTE, RUN_ATTRIBUTE
from MultimodalRegistrationLib.mrml.volumes import add_volume_node
from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix
from panel_helpers import assert_lively

FOLDER = PROJECT / "RegistrationQA"
CT_GRID = centered_grid(
    [42, 48, 26], [4.4, 4.4, 9.0], rotation([1, 0.3, -0.2], 12) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
MR_GRID = centered_grid([35, 32, 40], [5.2, 6.8, 5.0], rotation([-0.2, 1, 0.5], 81), [-25, 18, 66])
ERRORS_RAS = np.random.default_rng(4).normal(0, 0.5, (12, 3))
TRUTH_RAS = flip_matrix_lps_ras(CT_POSE @ np.linalg.inv(MR_POSE))
OFF_RAS = rigid([0, 0, 1], 0, [0, 3.0, 4.0]) @ TRUTH_RAS


@pytest.fixture(scope="module")
def heads():
    return make_head("CT", CT_GRID, CT_POSE, seed=1), make_head("T1", MR_GRID, MR_POSE, seed=2)


class Opened:
    """The panel with the phantom: its known pose, and one that is 5 mm off."""

    def __init__(self, app, heads, **names):
        self.app = app
        scene = slicer.mrmlScene
        self.fixed, self.moving = (
            add_volume_node(scene, volume, name=names.get(role, role))
            for role, volume in zip(("CT", "MR"), heads, strict=True)
        )
        points = target_points_lps(CT_POSE)[:12]
        labels = [f"P{n}" for n in range(12)]
        beside = points + flip_points_lps_ras(ERRORS_RAS)
        on_moving = apply_matrix(MR_POSE @ np.linalg.inv(CT_POSE), beside)
        self.targets = tuple(
            add_landmark_node(scene, LandmarkList.of_points("", where, labels), name=name)
            for where, name in ((points, "targets CT"), (on_moving, "targets MR"))
        )
        self.right, self.off = self.add_transform(TRUTH_RAS, "right"), self.add_transform(OFF_RAS, "5 mm off")
        self.points_ras = flip_points_lps_ras(points)
        self.module = app.open_module(FOLDER, "MultimodalRegistrationQA")
        self.ui = self.module.ui

    @property
    def parameters(self):
        return self.module.widget._parameterNode

    @property
    def panel(self):
        return self.module.widget.panel

    def add_transform(self, matrix_ras, name):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name)
        node.SetMatrixTransformToParent(vtk_from_matrix(matrix_ras))
        return node

    def fill_in(self):
        self.ui.fixedSelector.setCurrentNode(self.fixed)
        self.ui.movingSelector.setCurrentNode(self.moving)
        self.ui.fixedTargetsSelector.setCurrentNode(self.targets[0])
        self.ui.movingTargetsSelector.setCurrentNode(self.targets[1])
        self.tick("right", "5 mm off")

    def tick(self, *names):
        import qt

        self.app.process_events(20)
        rows = {self.ui.transformList.item(n).text(): n for n in range(self.ui.transformList.count)}
        for name in names:
            self.ui.transformList.item(rows[name]).setCheckState(qt.Qt.Checked)

    def measure(self):
        assert self.ui.measureButton.enabled, self.ui.missingLabel.text
        self.ui.measureButton.click()
        self.app.wait_for(lambda: not self.panel.running, 120)
        assert self.ui.messageLabel.text == ""

    def content(self):
        return json.loads(self.parameters.resultTable.GetAttribute(CONTENT_ATTRIBUTE))


@pytest.fixture
def opened(slicer_app, heads):
    slicer_app.open_slice_views()
    return Opened(slicer_app, heads)


def ids():
    return {slicer.mrmlScene.GetNthNode(n).GetID() for n in range(slicer.mrmlScene.GetNumberOfNodes())}


def cells(table):
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def test_known_answers_and_verdict_first(opened, tmp_path):
    opened.fill_in()
    opened.measure()
    ui, content = opened.ui, opened.content()
    opened.app.screenshot(opened.module.parent, SCREENSHOTS / "qa-after.png")
    assert ui.verdictLabel.text.startswith("GOOD")
    errors = np.linalg.norm(ERRORS_RAS, axis=1)
    table = cells(ui.methodTable)
    assert [row[:2] for row in table] == [["before", ""], ["1. right", "good"], ["2. 5 mm off", "bad"]]
    assert table[1][2] == f"{errors.mean():.2f}"
    worst = cells(ui.targetTable)[0]
    assert worst[:2] == [f"P{errors.argmax()}", f"{errors.max():.2f}"]
    np.testing.assert_allclose([float(text) for text in worst[2:]], ERRORS_RAS[errors.argmax()], atol=0.006)
    assert content["inputs"]["transform"] == ["right", "5 mm off"]


def views():
    layout = slicer.app.layoutManager()
    return [layout.sliceWidget(name).mrmlSliceCompositeNode() for name in layout.sliceViewNames()]


def foreground():
    return slicer.mrmlScene.GetNodeByID(views()[0].GetForegroundVolumeID())


def to_world(node):
    import vtk
    from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk

    own, above = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(own)
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(node.GetParentTransformNode(), None, above)
    return matrix_from_vtk(above) @ matrix_from_vtk(own)


def test_views_show_before_and_after_and_leave_nothing(opened):
    opened.fill_in()
    before = ids()
    opened.measure()
    ui, own = opened.ui, to_world(opened.moving)
    assert views()[0].GetBackgroundVolumeID() == opened.fixed.GetID()
    assert views()[0].GetLinkedControl()
    np.testing.assert_allclose(to_world(foreground()), TRUTH_RAS @ own, atol=1e-9)
    ui.beforeButton._qt.pressed.emit()
    np.testing.assert_allclose(to_world(foreground()), own, atol=1e-9)
    assert "before" in ui.shownLabel.text
    ui.beforeButton._qt.released.emit()
    np.testing.assert_allclose(to_world(foreground()), TRUTH_RAS @ own, atol=1e-9)
    ui.methodTable.setCurrentCell(2, 0)
    np.testing.assert_allclose(to_world(foreground()), OFF_RAS @ own, atol=1e-9)
    assert opened.moving.GetParentTransformNode() is None, "the scene's own volume stays where it was"
    ui.fadeSlider.value = 0.2
    assert views()[1].GetForegroundOpacity() == pytest.approx(0.2)
    ui.flickerBox.click()
    opened.app.wait_for(lambda: views()[0].GetForegroundOpacity() == 1.0, 3)
    opened.app.wait_for(lambda: views()[0].GetForegroundOpacity() == 0.0, 3)
    ui.flickerBox.click()
    assert views()[0].GetForegroundOpacity() == pytest.approx(0.2)
    ui.checkerboardButton.click()
    opened.app.wait_for(lambda: "checkerboard" in foreground().GetName(), 10)
    ui.checkerboardButton.click()
    assert "checkerboard" not in foreground().GetName()
    ui.mapBox.setCurrentIndex(2)
    assert foreground().GetAttribute(RUN_ATTRIBUTE) is not None
    ui.mapBox.setCurrentIndex(0)
    np.testing.assert_allclose(to_world(foreground()), OFF_RAS @ own, atol=1e-9)
    ui.removeButton.click()
    assert {one for one in ids() - before if "Storage" not in one} == set()
    assert views()[0].GetBackgroundVolumeID() != opened.fixed.GetID()
    assert not ui.resultWidget.visible


def test_checkerboard_off_logs_no_error_in_quality(opened):
    opened.module.widget.setInputs(opened.fixed, opened.moving, opened.right)
    assert "checkerboard" not in foreground().GetName()
    opened.ui.checkerboardButton.click()
    opened.app.wait_for(lambda: "checkerboard" in foreground().GetName(), 10)
    opened.ui.checkerboardButton.click()
    assert not slicer.util.getNodes("*checkerboard*")
    assert opened.app.slot_errors == [], "a node was removed twice"


def test_quality_turns_and_fits_the_views_to_the_fixed_volume(opened):
    from test_panel_views import assert_arranged, widgets

    for widget in widgets():
        widget.mrmlSliceCompositeNode().SetBackgroundVolumeID(opened.moving.GetID())
        widget.mrmlSliceNode().RotateToVolumePlane(opened.moving)
        widget.mrmlSliceNode().SetFieldOfView(20, 15, 1)
    opened.module.widget.setInputs(opened.fixed, opened.moving, opened.right)
    assert_arranged(opened.fixed)


def test_the_moving_segmentation_is_not_seen_at_its_old_place(opened):
    from test_mrml_quality import add_segmentation

    parts = [add_segmentation(slicer.mrmlScene, MR_GRID, MR_POSE, name) for name in ("parts MR", "others MR")]
    for node in parts:
        node.CreateDefaultDisplayNodes()
    opened.module.widget.setInputs(opened.fixed, opened.moving, opened.right)
    np.testing.assert_allclose(to_world(foreground()), TRUTH_RAS @ to_world(opened.moving), atol=1e-9)

    def seen():
        return [bool(node.GetDisplayNode().GetVisibility()) for node in parts]

    assert seen() == [True, True], "of no volume that the panel knows of"
    opened.ui.movingSegmentationSelector.setCurrentNode(parts[0])
    assert seen() == [False, True]
    opened.ui.movingSegmentationSelector.setCurrentNode(parts[1])
    assert seen() == [True, False]
    opened.module.exit()
    assert seen() == [True, True]
    opened.module.enter()
    assert seen() == [True, False]


def test_a_measured_result_has_its_log_and_its_maps_have_a_colour_scale(opened):
    opened.fill_in()
    opened.measure()
    lines = opened.ui.logText.plainText.splitlines()
    assert lines[0] == "0:00 Writing the volumes"
    assert any("Measuring" in line for line in lines)
    for index in range(1, opened.ui.mapBox.count):
        opened.ui.mapBox.setCurrentIndex(index)
        (legend,) = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
        assert legend.GetDisplayableNode() is foreground()
        assert legend.GetTitleText() == "", "a name would lie across the picture"
        assert legend.GetVisibility()
    opened.ui.mapBox.setCurrentIndex(0)
    assert not slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")


def test_two_volumes_loaded_while_quality_is_open_are_chosen(slicer_app, heads):
    module = slicer_app.open_module(FOLDER, "MultimodalRegistrationQA")
    pair = tuple(add_volume_node(slicer.mrmlScene, one, name=name) for one, name in zip(heads, "ab", strict=True))
    slicer_app.process_events(20)
    parameters = module.widget._parameterNode
    assert (parameters.fixedVolume, parameters.movingVolume) == pair


def folders(app):
    from pathlib import Path

    return [path.name for path in Path(slicer.app.temporaryPath).glob("multimodal-registration-*")]


def wait_until_gone(app):
    """A run that was cancelled leaves its folder once its process has ended, if need be killed."""
    app.wait_for(lambda: not folders(app), 30)


def test_cancel_leaves_the_scene_as_it_was(opened):
    opened.fill_in()
    before = ids()
    for stage in ("Writing", "Reading", "Measuring"):
        opened.ui.measureButton.click()
        assert opened.ui.measureButton.text == "Cancel"
        opened.app.wait_for(lambda: opened.ui.stageLabel.text.startswith(stage), 30)  # noqa: B023
        opened.ui.measureButton.click()
        assert not opened.panel.running
        assert ids() == before
        assert "as it was" in opened.ui.messageLabel.text
        assert opened.ui.measureButton.enabled
        wait_until_gone(opened.app)


@pytest.mark.parametrize("step", [1, 4, 9])
def test_cancel_while_the_result_is_added(opened, step, monkeypatch):
    from MultimodalRegistrationLib.mrml.quality import QualityJob

    opened.fill_in()
    before = ids()
    added = []
    steps = QualityJob.add

    def slowly(job):
        for share in (generator := steps(job)):
            added.append(share)
            if len(added) == step:
                opened.ui.measureButton.click()
            yield share
        return generator

    monkeypatch.setattr(QualityJob, "add", slowly)
    opened.ui.measureButton.click()
    opened.app.wait_for(lambda: len(added) >= step, 60)
    opened.app.process_events(200)
    assert not opened.panel.running
    assert ids() == before
    wait_until_gone(opened.app)


def test_a_removed_volume_ends_the_measuring_at_once(opened):
    opened.fill_in()
    opened.ui.measureButton.click()
    opened.app.process_events(500)
    assert opened.panel.running
    before = ids() - {opened.moving.GetID(), opened.moving.GetDisplayNodeID()}
    slicer.mrmlScene.RemoveNode(opened.moving)
    opened.app.process_events(50)
    assert not opened.panel.running, "it goes on after all"
    assert "MR" in opened.ui.messageLabel.text
    assert "removed" in opened.ui.messageLabel.text
    assert ids() - {one for one in ids() if "Display" in one} <= before
    wait_until_gone(opened.app)


@pytest.mark.parametrize("what", ["scene", "reload", "close"])
def test_scene_or_module_goes_while_it_is_measured(opened, what):
    opened.fill_in()
    opened.ui.measureButton.click()
    opened.app.process_events(1500)
    if what == "scene":
        slicer.mrmlScene.Clear()
        assert not opened.panel.running
        assert opened.parameters.fixedVolume is None
    elif what == "reload":
        opened.module.reload()
        assert opened.parameters.fixedVolume is opened.fixed
    else:
        opened.module.close()
    wait_until_gone(opened.app)


def test_results_and_settings_come_back_with_the_scene(opened, tmp_path):
    opened.fill_in()
    opened.ui.toleranceBox.value = 1.5
    opened.ui.reviewerEdit.text = "A. Reader"
    opened.measure()
    opened.ui.approveButton.click()
    content = opened.content()
    assert content["settings"]["tolerance_name"] == "your own"
    shown = cells(opened.ui.methodTable), cells(opened.ui.targetTable), opened.ui.reasonsLabel.text
    saved = tmp_path / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(saved))
    slicer.mrmlScene.Clear()
    assert not opened.ui.resultWidget.visible
    slicer.util.loadScene(str(saved))
    opened.app.process_events(50)
    assert (cells(opened.ui.methodTable), cells(opened.ui.targetTable), opened.ui.reasonsLabel.text) == shown
    assert opened.parameters.tolerance == 1.5
    assert [node.GetName() for node in opened.parameters.transforms] == ["right", "5 mm off"]
    assert opened.content()["mark"]["mark"] == "approved"
    assert "APPROVED by A. Reader" in opened.ui.markLabel.text
    assert not opened.ui.openButton.enabled, "the report was not saved"
    names = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode")}
    assert not [name for name in names if "before" in name and "MR:" not in name], "copies for the views are not saved"
    opened.ui.methodTable.setCurrentCell(1, 0)
    opened.ui.removeButton.click()
    assert opened.parameters.resultTable is None


def test_report_is_saved_opened_and_marked(opened, tmp_path):
    from MultimodalRegistrationLib.assess.report.marks import read_mark

    opened.fill_in()
    (tmp_path / "reports").mkdir()
    opened.ui.folderEdit.currentPath = str(tmp_path / "reports")
    for name in ("Quality_of_MR_to_CT", "Quality_of_MR_to_CT_2"):
        opened.measure()
        page = tmp_path / "reports" / name / "report.html"
        opened.app.wait_for(lambda: opened.ui.reportLabel.text.endswith(page.parent.name), 5)  # noqa: B023
        assert {"quality.json", "methods.csv", "targets.csv"} <= {file.name for file in page.parent.iterdir()}
    assert folders(opened.app) == []
    assert "transform-2.h5" not in page.read_text(encoding="utf-8")
    opened.ui.openButton.click()
    assert opened.app.opened_urls == [f"file://{str(page).replace(' ', '%20')}"] or opened.app.opened_urls == [
        f"file://{page}"
    ]
    assert not opened.ui.rejectButton.enabled
    opened.ui.reviewerEdit.text = "B. Reader"
    opened.ui.commentEdit.text = "left temporal lobe <off>"
    opened.ui.rejectButton.click()
    assert read_mark(page)["mark"] == "rejected"
    assert opened.content()["mark"] == read_mark(page)
    assert opened.ui.resultBox.count == 2
    opened.ui.resultBox.setCurrentIndex(0)
    assert opened.content()["mark"] is None
    assert "Nobody" in opened.ui.markLabel.text


def test_a_transform_that_is_gone_is_told(opened):
    opened.fill_in()
    opened.measure()
    slicer.mrmlScene.RemoveNode(opened.off)
    shown = to_world(foreground())
    opened.ui.methodTable.setCurrentCell(2, 0)
    assert "5 mm off is not in the scene" in opened.ui.messageLabel.text
    np.testing.assert_array_equal(to_world(foreground()), shown)
    slicer.mrmlScene.RemoveNode(opened.fixed)
    opened.ui.fadeSlider.value = 0.3
    opened.ui.removeButton.click()


def test_click_centres_the_views_on_the_target(opened):
    opened.fill_in()
    opened.measure()
    row = [cell[0] for cell in cells(opened.ui.targetTable)].index("P7")
    opened.ui.targetTable.setCurrentCell(row, 0)
    layout = slicer.app.layoutManager()
    for name in layout.sliceViewNames():
        to_ras = layout.sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
        center = np.array([to_ras.GetElement(i, 3) for i in range(3)])
        normal = np.array([to_ras.GetElement(i, 2) for i in range(3)])
        assert abs(normal @ (center - opened.points_ras[7])) < 1e-6


def test_same_and_huge_names_under_parents_without_a_window(slicer_app, heads):
    huge = "T1 " + "x" * 300 + "/<b>&"
    opened = Opened(slicer_app, heads, CT="scan", MR=huge)
    twin = opened.add_transform(OFF_RAS, "right")
    opened.moving.SetAndObserveTransformNodeID(opened.right.GetID())
    opened.fill_in()
    opened.parameters.transforms = [opened.right, twin]
    opened.measure()
    content = opened.content()
    assert content["inputs"]["transform"] == [f"right ({node.GetID()})" for node in (opened.right, twin)]
    assert content["verdict"]["method"] == f"right ({opened.right.GetID()})"
    assert not opened.ui.viewsCollapsibleButton.visible
    assert not opened.ui.plotButton.enabled
    assert opened.moving.GetParentTransformNode() is opened.right
    opened.ui.targetTable.setCurrentCell(1, 0)


def test_what_is_missing_is_said(slicer_app, heads):
    opened = Opened(slicer_app, heads)
    ui = opened.ui
    assert "Tick" in ui.missingLabel.text
    opened.fill_in()
    assert not ui.missingLabel.visible
    ui.movingTargetsSelector.setCurrentNode(None)
    assert "targets CT has no partner" in ui.missingLabel.text
    ui.fixedTargetsSelector.setCurrentNode(None)
    ui.movingSelector.setCurrentNode(opened.fixed)
    assert "CT is chosen as both" in ui.missingLabel.text
    ui.movingSelector.setCurrentNode(opened.moving)
    slicer.mrmlScene.RemoveNode(opened.right)
    slicer.mrmlScene.RemoveNode(opened.off)
    slicer_app.process_events(20)
    assert "Tick" in ui.missingLabel.text
    assert ui.transformList.item(0).text().startswith("There is no transform")


def test_what_is_missing_of_what_is_loaded_is_said(slicer_app, heads):
    module = slicer_app.open_module(FOLDER, "MultimodalRegistrationQA")
    label = module.ui.missingLabel
    assert label.text == "Load two volumes, then choose the fixed and the moving one."
    volumes = [add_volume_node(slicer.mrmlScene, heads[0], name="CT")]
    colour = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "RGB")
    slicer_app.process_events(20)
    assert label.text.startswith(
        '"RGB" cannot be registered: this is a vector or colour volume. Make a scalar copy of it'
    )
    slicer.mrmlScene.RemoveNode(colour)
    volumes += [add_volume_node(slicer.mrmlScene, heads[1], name=name) for name in ("MR", "MR 2")]
    slicer_app.process_events(20)
    assert label.text.startswith("Choose a fixed volume: the one that stays. Then choose a moving volume")
    module.ui.fixedSelector.setCurrentNode(volumes[0])
    assert label.text == "Choose a moving volume: the one that is put onto CT."


def test_a_registration_is_chosen_when_the_module_opens(slicer_app, heads):
    fixed, moving = (
        add_volume_node(slicer.mrmlScene, volume, name=name) for volume, name in zip(heads, "ab", strict=True)
    )
    result = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "result")
    result.SetNodeReferenceID(result.GetFixedNodeReferenceRole(), fixed.GetID())
    result.SetNodeReferenceID(result.GetMovingNodeReferenceRole(), moving.GetID())
    module = slicer_app.open_module(FOLDER, "MultimodalRegistrationQA")
    parameters = module.widget._parameterNode
    assert (parameters.fixedVolume, parameters.movingVolume) == (fixed, moving)
    assert list(parameters.transforms) == [result]
    assert module.ui.measureButton.enabled


def test_a_transform_made_of_points_is_no_registration_of_volumes(slicer_app, heads):
    """Its fixed and moving nodes are lists of points; the two volumes are chosen instead."""
    pair = tuple(add_volume_node(slicer.mrmlScene, one, name=name) for one, name in zip(heads, "ab", strict=True))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "a to b")
    for role in (node.GetFixedNodeReferenceRole(), node.GetMovingNodeReferenceRole()):
        points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
        node.SetNodeReferenceID(role, points.GetID())
    module = slicer_app.open_module(FOLDER, "MultimodalRegistrationQA")
    parameters = module.widget._parameterNode
    assert (parameters.fixedVolume, parameters.movingVolume) == pair
    module.close()


def test_a_volume_without_voxels_does_not_stop_the_panel(slicer_app, heads):
    slicer_app.open_slice_views()
    fixed = add_volume_node(slicer.mrmlScene, heads[0], name="a")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    empty.CreateDefaultDisplayNodes()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "transform")
    module = slicer_app.open_module(FOLDER, "MultimodalRegistrationQA")
    parameters = module.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume, parameters.transforms = fixed, empty, [transform]
    module.exit()
    module.enter()
    assert (parameters.fixedVolume, parameters.movingVolume) == (fixed, empty)
    module.close()


def test_logic_in_one_line(slicer_app, heads, tmp_path):
    opened = Opened(slicer_app, heads)
    logic = slicer.util.getModuleLogic("MultimodalRegistrationQA")
    report = tmp_path / "r.html"
    nodes = logic.assess(
        opened.fixed, opened.moving, [opened.right, opened.off], *opened.targets, reportFile=str(report)
    )
    assert logic.verdict(nodes.tables["methods"])["word"] == "good"
    assert report.stat().st_size > 10_000


def test_the_window_lives_while_it_is_measured(opened):
    from StandIn.blocks import BlockMeter

    opened.fill_in()
    opened.ui.measureButton.click()
    with BlockMeter() as meter:
        opened.app.wait_for(lambda: not opened.panel.running, 120)
    assert_lively(meter)


def test_pictures_of_the_empty_panel_and_of_a_run(slicer_app, heads):
    module = slicer_app.open_module(FOLDER, "MultimodalRegistrationQA")
    slicer_app.process_events(50)
    slicer_app.screenshot(module.parent, SCREENSHOTS / "qa-empty.png")
    module.close()
    opened = Opened(slicer_app, heads)
    opened.fill_in()
    opened.ui.measureButton.click()
    opened.app.wait_for(lambda: opened.ui.stageLabel.text.startswith("Measuring"), 30)
    slicer_app.screenshot(opened.module.parent, SCREENSHOTS / "qa-during.png")
    opened.ui.measureButton.click()
    wait_until_gone(opened.app)


def test_structures_reference_region_and_what_another_panel_hands_on(slicer_app, heads):
    from test_mrml_quality import add_segmentation

    opened = Opened(slicer_app, heads)
    opened.module.exit()
    slicer.mrmlScene.Clear()
    scene = slicer.mrmlScene
    fixed, moving = (
        add_volume_node(scene, volume, name=name) for volume, name in zip(heads, ("CT", "MR"), strict=True)
    )
    parts = [
        add_segmentation(scene, grid, pose, name)
        for grid, pose, name in ((CT_GRID, CT_POSE, "parts CT"), (MR_GRID, MR_POSE, "parts MR"))
    ]
    slicer_app.open_slice_views()
    for node in parts:
        node.CreateDefaultDisplayNodes()
    off = opened.add_transform(OFF_RAS, "5 mm off")
    opened.module.widget.setInputs(fixed, moving, off)
    opened.module.enter()
    ui = opened.ui
    assert ui.measureButton.enabled
    assert views()[0].GetBackgroundVolumeID() == fixed.GetID(), "what another panel hands on is seen at once"
    assert foreground().GetImageData() is moving.GetImageData()
    ui.fixedSegmentationSelector.setCurrentNode(parts[0])
    assert "parts CT has no partner" in ui.missingLabel.text
    ui.movingSegmentationSelector.setCurrentNode(parts[1])
    ui.regionSelector.setCurrentNode(parts[0])
    ui.referenceSelector.setCurrentNode(opened.add_transform(TRUTH_RAS, "screws"))
    opened.measure()
    assert ui.verdictLabel.text.startswith("BAD")
    assert parts[0].GetDisplayNode().GetVisibility()
    assert not parts[1].GetDisplayNode().GetVisibility(), "it lies where the moving volume is not shown"
    table = cells(ui.methodTable)
    assert [row[0] for row in table] == ["before", "1. 5 mm off", "reference (screws)"]
    assert [row[0] for row in cells(ui.structureTable)] == ["left part", "right part"]
    reference = opened.content()["methods"][0]["from_reference_mm"]
    assert reference["mean"] == pytest.approx(5, abs=1e-6)
    assert not ui.targetTable.visible
    assert not ui.glyphBox.visible
    ui.methodTable.setCurrentCell(2, 0)
    assert float(cells(ui.structureTable)[0][1]) > 0.9
    slicer_app.screenshot(opened.module.parent, SCREENSHOTS / "qa-structures.png")
    opened.module.exit()
    assert parts[1].GetDisplayNode().GetVisibility()
