"""The panel of FiducialPrealign: known answers, findings in the right rows, live update, scenes, pictures."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

if not os.environ.get("CI"):
    pytest.importorskip("PySide6.QtWidgets", reason="the panel needs Qt")
    pytest.importorskip("slicer", reason="the panel needs MRML")
import slicer
import vtk
from conftest import PROJECT, SCREENSHOTS, rigid
from MultimodalRegistrationLib.core.linear import apply_matrix

FOLDER = PROJECT / "FiducialPrealign"
LISTS = ("Fixed", "Moving")
LABELS = ("nasion", "left ear", "right ear", "vertex", "inion", "left mastoid", "right mastoid", "chin")
POSE_RAS = rigid([0.3, 1, -0.5], 130, [40, -220, 75])
FIXED_PARENT_RAS = rigid([1, -0.2, 0.6], 41, [-15, 33, 8])
MOVING_PARENT_RAS = rigid([0.1, 0.8, -1], -67, [120, 5, -44])
X_AXIS = np.array([1.0, 0, 0])
USE, FIXED, MOVING, OWN_FIT, LEFT_OUT, FOUND = range(6)


def vtk_matrix(matrix):
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=float).ravel())
    return result


def add_transform(matrix, name="parent"):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    node.SetMatrixTransformToParent(vtk_matrix(matrix))
    return node


def add_list(name, points, labels=LABELS, parent_ras=None):
    """A list whose points lie at ``points`` in the world."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    if parent_ras is not None:
        points = apply_matrix(np.linalg.inv(parent_ras), points)
        node.SetAndObserveTransformNodeID(add_transform(parent_ras, f"{name} parent").GetID())
    for point, label in zip(points, labels, strict=False):
        node.AddControlPoint(*map(float, point), label)
    return node


def add_volume(name, parent_ras=None):
    image = vtk.vtkImageData()
    image.SetDimensions(20, 24, 16)
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(image)
    node.SetSpacing(6, 5, 9)
    node.SetOrigin(-60, -60, -70)
    if parent_ras is not None:
        node.SetAndObserveTransformNodeID(add_transform(parent_ras, f"{name} parent").GetID())
    return node


def to_world(node):
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(node.GetParentTransformNode(), None, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def world_points(node):
    return np.array([node.GetNthControlPointPositionWorld(i) for i in range(node.GetNumberOfControlPoints())])


@pytest.fixture
def panel(slicer_app):
    return slicer_app.open_module(FOLDER, "FiducialPrealign")


@pytest.fixture
def points():
    """Moving and fixed points in the world, 0.8 mm of noise on each axis."""
    random = np.random.default_rng(3)
    moving = random.uniform(-70, 70, (8, 3)) + np.array([10, -40, 90])
    return moving, apply_matrix(POSE_RAS, moving) + random.normal(0, 0.8, moving.shape)


def fill(panel, moving, fixed, **parents):
    parameters = panel.widget._parameterNode
    parameters.fixedPoints = add_list("CT points", fixed, parent_ras=parents.get("fixed_parent"))
    parameters.movingPoints = add_list("MR points", moving, parent_ras=parents.get("moving_parent"))
    return parameters


def column(panel, number):
    table = panel.ui.pairTable
    return [table.item(row, number).text() for row in range(table.rowCount)]


def test_default_names_are_told_apart_in_the_table(slicer_app):
    opened = slicer_app.open_module(FOLDER, "FiducialPrealign")
    lists = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", f"{side} points") for side in LISTS]
    for node in lists:
        for place in range(4):
            node.AddControlPoint(10.0 * place, place**2, 3.0)
    opened.ui.fixedPointsSelector.setCurrentNode(lists[0])
    opened.ui.movingPointsSelector.setCurrentNode(lists[1])
    slicer_app.process_events(400)
    table = opened.ui.pairTable
    for column, side in ((1, "Fixed"), (2, "Moving")):
        assert [table.item(row, column).text() for row in range(4)] == ["1", "2", "3", "4"]
        assert table.item(0, column).toolTip() == f"{side} points-1"


def test_an_empty_column_of_findings_leaves_its_room_to_the_names(slicer_app, panel, points):
    """The names need most, until there is something to say."""
    fill(panel, *points)
    slicer_app.process_events(400)
    table = panel.ui.pairTable
    table._qt.resize(420, 300)
    slicer_app.process_events(20)
    assert column(panel, FOUND) == [""] * len(LABELS)
    for names in (FIXED, MOVING):
        assert table.columnWidth(names) > table.columnWidth(FOUND)
        widest = max(table._qt.fontMetrics().horizontalAdvance(label) for label in LABELS)
        assert table.columnWidth(names) > widest, "nothing is elided"


def test_apply_is_in_sight_at_1600_x_1100(slicer_app, panel, points):
    """Slicer leaves a panel 720 pixels there, between its own help and the data probe."""
    from PySide6.QtCore import QPoint

    parameters = fill(panel, *points)
    parameters.fixedVolume, parameters.movingVolume = add_volume("CT"), add_volume("MR")
    slicer_app.process_events(400)
    whole, button = panel.parent._qt, panel.ui.applyButton._qt
    whole.resize(480, whole.sizeHint().height())
    whole.show()
    slicer_app.process_events(20)
    assert button.mapTo(whole, QPoint(0, button.height())).y() <= 720


UNTICKED = {
    "FiducialPrealign": ("FiducialPrealign", "carriedLabel", "carried", "Also"),
    "Also register": ("MultimodalRegistration", "furtherSelectorLabel", "furtherVolumes", "Also register"),
    "Carry along": ("MultimodalRegistration", "carriedSelectorLabel", "carried", "Carry along"),
}


@pytest.mark.parametrize("which", UNTICKED)
def test_an_unticked_volume_does_not_look_chosen(slicer_app, which):
    """The list shows the first node, ticked or not: its label says how many are."""
    name, label, parameter, words = UNTICKED[which]
    opened = slicer_app.open_module(PROJECT / name, name)
    scans = [add_volume(f"scan {letter}") for letter in "ABC"]
    slicer_app.process_events(20)
    assert getattr(opened.ui, label).text == f"{words} (none ticked):"
    setattr(opened.widget._parameterNode, parameter, scans[2:])
    assert getattr(opened.ui, label).text == f"{words} (1 ticked):"
    setattr(opened.widget._parameterNode, parameter, [])
    assert getattr(opened.ui, label).text == f"{words} (none ticked):"


OUTPUTS = {"FiducialPrealign": "outputSelector", "MultimodalRegistration": "outputTransformSelector"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_has_a_selector_with_create_rename_and_delete(slicer_app, name):
    opened = slicer_app.open_module(PROJECT / name, name)
    selector, parameters = getattr(opened.ui, OUTPUTS[name]), opened.widget._parameterNode
    assert (selector.addEnabled, selector.renameEnabled, selector.removeEnabled) == (True, True, True)
    assert selector.noneEnabled, "a new one by default"
    made = selector.addNode()
    assert made.IsA("vtkMRMLTransformNode")
    assert parameters.outputTransform is made
    slicer.mrmlScene.RemoveNode(made)
    assert parameters.outputTransform is None


def test_the_localisation_error_says_automatic_where_it_is(slicer_app):
    opened = slicer_app.open_module(FOLDER, "FiducialPrealign")
    box = opened.ui.localisationErrorBox
    assert (box.value, box.text) == (0.0, "automatic")
    opened.widget._parameterNode.localisationError = 1.5
    assert box.text == "1.50 mm"


def test_an_empty_panel_says_what_to_do(slicer_app, panel):
    ui = panel.ui
    assert ui.headlineLabel.text == ""
    assert not ui.applyButton.enabled
    assert ui.applyButton.text == "Create or choose a list of points for each side."
    assert "press Place" in ui.findingsLabel.text
    for button in (ui.hardenButton, ui.invertButton, ui.registerButton, ui.alignShapesButton):
        assert not button.enabled
        assert button.toolTip
    slicer_app.process_events(50)
    slicer_app.screenshot(panel.parent, SCREENSHOTS / "FiducialPrealign-empty.png")


@pytest.mark.story("U24")
def test_a_known_pose_is_found_under_parents_and_found_again(slicer_app, panel, points):
    moving = points[0]
    fixed = apply_matrix(POSE_RAS, moving)
    parameters = fill(panel, moving, fixed, fixed_parent=FIXED_PARENT_RAS, moving_parent=MOVING_PARENT_RAS)
    parameters.movingVolume = volume = add_volume("MR", MOVING_PARENT_RAS)
    extra = add_list("MR extra", moving[:2])
    panel.ui.carriedSelector.setCheckState(extra, 2)
    assert list(parameters.carried) == [extra]
    before = to_world(volume)
    assert panel.ui.applyButton.enabled
    for _ in range(2):
        panel.ui.applyButton.click()
        node = parameters.outputTransform
        matrix = slicer.util.arrayFromTransformMatrix(node)
        np.testing.assert_allclose(matrix, POSE_RAS, atol=1e-8)
        np.testing.assert_allclose(to_world(volume), POSE_RAS @ before, atol=1e-8)
        np.testing.assert_allclose(world_points(parameters.movingPoints), fixed, atol=1e-8)
        np.testing.assert_allclose(world_points(extra), fixed[:2], atol=1e-8)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 6
    assert panel.ui.messageLabel.text.startswith("Written to MR points to CT points, which now moves MR, MR points")

    panel.ui.invertButton.click()
    inverse = slicer.util.getNode("MR points to CT points inverse")
    np.testing.assert_allclose(slicer.util.arrayFromTransformMatrix(inverse), np.linalg.inv(POSE_RAS), atol=1e-8)
    panel.ui.hardenButton.click()
    assert volume.GetParentTransformNode() is None
    assert parameters.outputTransform is None
    np.testing.assert_allclose(world_points(parameters.movingPoints), fixed, atol=1e-6)
    assert not panel.ui.hardenButton.enabled


def test_another_fit_replaces_the_first_in_place(panel, points):
    parameters = fill(panel, *points)
    panel.ui.applyButton.click()
    node = parameters.outputTransform
    rigid_matrix = slicer.util.arrayFromTransformMatrix(node)
    for name, linear in (("THIN_PLATE_SPLINE", False), ("AFFINE", True), ("RIGID", True)):
        parameters.model = type(parameters.model)[name]
        panel.ui.applyButton.click()
        assert parameters.outputTransform is node
        assert bool(node.IsLinear()) == linear
        if name == "THIN_PLATE_SPLINE":
            np.testing.assert_allclose(world_points(parameters.movingPoints), points[1], atol=1e-3)
    np.testing.assert_allclose(slicer.util.arrayFromTransformMatrix(node), rigid_matrix, atol=1e-9)


@pytest.mark.story("U9")
def test_errors_of_every_pair_and_the_evidence_for_each_model(slicer_app, panel, points):
    parameters = fill(panel, *points)
    own, left_out = (np.array(column(panel, number), dtype=float) for number in (OWN_FIT, LEFT_OUT))
    assert (left_out > own).all()
    assert 0.3 < np.sqrt((own**2).mean()) < 2.5
    evidence = panel.ui.evidenceTable
    assert [evidence.item(row, 3).text() for row in range(5)] == ["", "recommended", "", "", ""]
    assert evidence.item(1, 0).font().bold()
    assert "Says nothing about the error elsewhere" in panel.ui.ownFitLabel.text
    assert panel.ui.targetErrorLabel.text.startswith("not measured")
    parameters.fixedVolume = add_volume("CT")
    assert 'mm at the worst place in "CT", below ' in panel.ui.expectedLabel.text
    assert panel.ui.headlineLabel.text == " ".join(
        panel.widget.panel._points.appraising.appraisal.result.headline.words
    )
    assert panel.ui.expectedLabel.text[:-1] in panel.ui.headlineLabel.text
    slicer_app.process_events(50)
    slicer_app.screenshot(panel.parent, SCREENSHOTS / "FiducialPrealign-filled.png")

    parameters.movingPoints = add_list("MR scaled", points[0] * 0.8)
    parameters.model = type(parameters.model).RECOMMENDED
    assert evidence.item(2, 3).text() == "recommended"
    assert evidence.item(2, 0).font().bold()
    assert "similarity" in panel.ui.applyButton.toolTip


@pytest.mark.story("U8")
def test_findings_stand_beside_the_pairs_that_they_are_about(slicer_app, panel, points):
    moving, fixed = points
    moving[[1, 2]] = moving[[2, 1]]
    parameters = fill(panel, moving, fixed)
    parameters.movingPoints.UnsetNthControlPointPosition(6)
    parameters.fixedPoints.SetNthControlPointSelected(7, False)
    slicer_app.process_events(500)
    assert column(panel, FOUND) == [*("", "exchanged", "exchanged", "", "", "", "not in MR points", "not used")]
    assert "'left ear' and 'right ear' have exchanged partners" in panel.ui.findingsLabel.text
    assert "Exchange the two points in one of the lists." in panel.ui.findingsLabel.text
    assert not panel.ui.applyButton.enabled
    assert "exchanged partners" in panel.ui.applyButton.toolTip
    slicer_app.process_events(50)
    slicer_app.screenshot(panel.parent, SCREENSHOTS / "FiducialPrealign-findings.png")


def test_the_point_under_the_mouse_is_no_row_yet(slicer_app, panel, points):
    parameters = fill(panel, *points)
    parameters.fixedPoints.AddControlPoint(1, 2, 3, "next")
    parameters.fixedPoints.SetNthControlPointPosition(8, 1, 2, 3, parameters.fixedPoints.PositionPreview)
    slicer_app.process_events(400)
    assert column(panel, FIXED) == list(LABELS)
    assert panel.ui.applyButton.enabled
    parameters.fixedPoints.SetNthControlPointPosition(8, 1, 2, 3)
    slicer_app.process_events(400)
    assert column(panel, FOUND)[8] == "no partner"


@pytest.mark.story("U8")
def test_an_exchange_is_put_right_by_a_click(panel, points):
    moving, fixed = points
    parameters = fill(panel, moving[[0, 2, 1, *range(3, 8)]], fixed, moving_parent=MOVING_PARENT_RAS)
    assert "<a href='1,2'>Exchange them in MR points</a>" in panel.ui.findingsLabel.text
    panel.ui.findingsLabel.linkActivated("1,2")
    np.testing.assert_allclose(world_points(parameters.movingPoints), moving, atol=1e-9)
    assert panel.ui.findingsLabel.text == "Nothing stands out in these pairs."
    assert panel.ui.applyButton.enabled


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m * np.array([-1, 1, 1]), "Only a mirror image fits"),
        (lambda m: m * np.array([0, 0, 1]), "on a line"),
        (lambda m: m + np.outer(np.arange(8) == 5, [0, 25, 0]), "does not fit with the others"),
    ],
)
def test_what_is_wrong_with_a_set_is_said(panel, points, change, said):
    moving = change(points[0])
    fill(panel, moving, apply_matrix(POSE_RAS, points[0]) if "line" not in said else apply_matrix(POSE_RAS, moving))
    assert said in panel.ui.findingsLabel.text


def test_a_mirrored_set_is_fitted_when_it_is_allowed(panel, points):
    fill(panel, points[0] * np.array([-1, 1, 1]), points[1])
    assert not panel.ui.applyButton.enabled
    panel.ui.mirrorAllowedBox.click()
    assert panel.ui.applyButton.enabled
    panel.ui.applyButton.click()
    matrix = slicer.util.arrayFromTransformMatrix(panel.widget._parameterNode.outputTransform)
    assert np.linalg.det(matrix[:3, :3]) < 0


def test_a_pair_is_left_out_by_its_tick_and_taken_back(panel, points):
    moving, fixed = points
    fixed[4] += [0, 30, 0]
    parameters = fill(panel, moving, fixed)
    before = panel.ui.ownFitLabel.text
    import qt

    panel.ui.pairTable.item(4, USE).setCheckState(qt.Qt.Unchecked)
    assert not parameters.fixedPoints.GetNthControlPointSelected(4)
    assert not parameters.movingPoints.GetNthControlPointSelected(4)
    assert column(panel, FOUND)[4] == "not used"
    assert "(7 pairs)" in panel.ui.ownFitLabel.text
    panel.ui.pairTable.item(4, USE).setCheckState(qt.Qt.Checked)
    assert panel.ui.ownFitLabel.text == before
    assert column(panel, FOUND)[4] == "does not fit"


def test_the_errors_follow_the_mouse(slicer_app, panel, points):
    parameters = fill(panel, *points)
    markups, events = parameters.movingPoints, slicer.vtkMRMLMarkupsNode
    before, left_out = column(panel, OWN_FIT), column(panel, LEFT_OUT)
    markups.InvokeEvent(events.PointStartInteractionEvent)
    for step in range(30):
        markups.SetNthControlPointPosition(3, *(points[0][3] + step * X_AXIS))
    slicer_app.process_events(100)
    assert float(column(panel, OWN_FIT)[3]) > 15
    assert set(column(panel, LEFT_OUT)) == {"…"}
    slicer_app.process_events(500)
    assert set(column(panel, LEFT_OUT)) == {"…"}, "a point that is held was judged"
    markups.SetNthControlPointPosition(3, *points[0][3])
    markups.InvokeEvent(events.PointEndInteractionEvent)
    slicer_app.wait_for(lambda: column(panel, LEFT_OUT) == left_out, 3)
    assert column(panel, OWN_FIT) == before


def test_a_move_of_the_mouse_takes_less_than_50_ms(panel):
    moving = np.random.default_rng(5).uniform(-70, 70, (10, 3))
    labels = [str(number) for number in range(10)]
    parameters = panel.widget._parameterNode
    parameters.fixedPoints = add_list("CT", apply_matrix(POSE_RAS, moving), labels)
    parameters.movingPoints = add_list("MR", moving, labels)
    times = []
    for step in range(20):
        parameters.movingPoints.SetNthControlPointPosition(3, *(moving[3] + step * X_AXIS))
        start = time.perf_counter()
        panel.widget.panel._points._follow()
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.05


@pytest.mark.story("U9")
def test_targets_tell_the_error_that_the_fit_does_not_know(slicer_app, panel, points):
    moving, fixed = points[0], apply_matrix(POSE_RAS, points[0])
    parameters = fill(panel, moving, fixed)
    targets = np.array([[0.0, 0, 0], [30, -50, 20], [-20, 10, 140]])
    parameters.fixedTargets = add_list("CT targets", apply_matrix(POSE_RAS, targets) + np.array([0, 3, 4]), "abc")
    assert "no partner" in panel.ui.targetErrorLabel.text
    parameters.movingTargets = add_list("MR targets", targets, "abc", parent_ras=MOVING_PARENT_RAS)
    table = panel.ui.targetTable
    assert [table.item(row, 2).text() for row in range(3)] == ["5.00"] * 3
    assert panel.ui.targetErrorLabel.text.startswith("5.00 mm RMS, at most 5.00 (3 targets)")
    assert panel.ui.ownFitLabel.text.startswith("0.00 mm RMS")
    # Landmarks that fit exactly suggest no error, and the targets say otherwise.
    assert panel.ui.headlineLabel.text.startswith("Error at 3 independent targets: 5.00 mm (RMS; largest 5.00 mm at ")
    assert "<b>Look:</b> Error at 3 independent targets: 5.00 mm" in panel.ui.findingsLabel.text
    assert panel.ui.recommendationLabel.text.startswith("Settle first why the error at the targets (RMS in mm: ")
    assert panel.ui.evidenceTable.item(1, 3).text() == "recommended"
    parameters.movingVolume = add_volume("MR")
    panel.ui.applyButton.click()
    assert [table.item(row, 2).text() for row in range(3)] == ["5.00"] * 3
    parameters.fixedPoints = add_list("CT points", points[1])
    panel.ui.applyButton.click()
    panel.ui.targetsCollapsibleButton.collapsed = False
    slicer_app.process_events(500)
    slicer_app.screenshot(panel.parent, SCREENSHOTS / "FiducialPrealign-targets.png")
    parameters.fixedTargets = parameters.fixedPoints
    parameters.movingTargets = parameters.movingPoints
    assert "all targets are landmarks of the fit" in panel.ui.targetErrorLabel.text
    assert panel.ui.applyButton.enabled


@pytest.mark.parametrize("pairing", ["LABEL", "AUTO"])
def test_pairs_of_lists_in_different_orders(panel, points, pairing):
    moving, fixed = points
    order = [3, 1, 0, 7, 5, 4, 6, 2]
    parameters = panel.widget._parameterNode
    parameters.fixedPoints = add_list("CT points", fixed)
    parameters.movingPoints = add_list("MR points", moving[order], [LABELS[i] for i in order])
    assert "labels in another order" in panel.ui.findingsLabel.text
    parameters.pairing = type(parameters.pairing)[pairing]
    assert column(panel, FIXED) == column(panel, MOVING) == list(LABELS)
    parameters.fixedPoints.RemoveNthControlPoint(0)
    panel.widget.panel._points._judge()
    assert column(panel, MOVING)[-1] == "nasion"
    assert column(panel, FOUND)[-1] == "no partner"
    panel.ui.applyButton.click()
    matrix = slicer.util.arrayFromTransformMatrix(parameters.outputTransform)
    np.testing.assert_allclose(matrix[:3, :3], POSE_RAS[:3, :3], atol=0.03)


def test_lists_that_cannot_be_paired_are_shown_with_the_reason(panel, points):
    moving, fixed = points
    parameters = fill(panel, moving, fixed[:6])
    assert "6 and 8 landmarks" in panel.ui.applyButton.toolTip
    assert not panel.ui.applyButton.enabled
    assert column(panel, FOUND)[6:] == ["no partner"] * 2
    parameters.movingPoints = parameters.fixedPoints
    assert "CT points is chosen on both sides" in panel.ui.applyButton.toolTip
    assert panel.ui.pairTable.rowCount == 0


def test_an_output_that_cannot_take_the_result_is_named(panel, points):
    parameters = fill(panel, *points)
    parameters.outputTransform = above = add_transform(np.eye(4), "T")
    parameters.fixedPoints.SetAndObserveTransformNodeID(above.GetID())
    panel.ui.applyButton.click()
    assert "CT points" in panel.ui.messageLabel.text
    assert "Choose another output transform" in panel.ui.messageLabel.text
    np.testing.assert_array_equal(slicer.util.arrayFromTransformMatrix(above), np.eye(4))


def test_a_click_shows_the_point_in_all_views(slicer_app, panel, points):
    slicer_app.open_slice_views()
    parameters = fill(panel, *points, moving_parent=MOVING_PARENT_RAS)
    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    for clicked, expected in ((FIXED, points[1][2]), (MOVING, points[0][2])):
        panel.ui.pairTable.cellClicked(2, clicked)
        for view in views:
            center = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
            np.testing.assert_allclose(center, expected, atol=1e-6)
    assert len(views) == 3
    parameters.movingPoints.UnsetNthControlPointPosition(2)
    panel.ui.pairTable.cellClicked(2, MOVING)


def test_apply_shows_both_volumes_and_leaving_gives_the_views_back(slicer_app, panel, points):
    slicer_app.open_slice_views()
    parameters = fill(panel, *points)
    parameters.fixedVolume, parameters.movingVolume = add_volume("CT", FIXED_PARENT_RAS), add_volume("MR")
    layers = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    plane = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    layers.SetBackgroundVolumeID(parameters.movingVolume.GetID())
    before = slicer.util.arrayFromVTKMatrix(plane.GetSliceToRAS())
    assert not panel.ui.viewsWidget.visible
    panel.ui.applyButton.click()
    assert panel.ui.viewsWidget.visible
    assert layers.GetBackgroundVolumeID() == parameters.fixedVolume.GetID()
    moved = slicer.mrmlScene.GetNodeByID(layers.GetForegroundVolumeID())
    np.testing.assert_allclose(to_world(moved), to_world(parameters.movingVolume), atol=1e-9)
    normal = slicer.util.arrayFromVTKMatrix(plane.GetSliceToRAS())[:3, 2]
    assert np.abs(normal @ FIXED_PARENT_RAS[:3, :3]).max() == pytest.approx(1, abs=1e-6), "in a plane of the fixed one"
    panel.exit()
    assert layers.GetBackgroundVolumeID() == parameters.movingVolume.GetID()
    assert layers.GetForegroundVolumeID() is None
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(plane.GetSliceToRAS()), before, atol=1e-9)


def test_everything_comes_back_with_the_scene(slicer_app, panel, points, tmp_path):
    parameters = fill(panel, *points)
    parameters.fixedVolume, parameters.movingVolume = add_volume("CT"), add_volume("MR")
    parameters.model = type(parameters.model).SIMILARITY
    parameters.pairing = type(parameters.pairing).LABEL
    parameters.localisationError, parameters.stiffness, parameters.mirrorAllowed = 1.5, 2.0, True
    parameters.carried = [parameters.movingVolume]
    panel.ui.applyButton.click()
    shown = panel.ui.ownFitLabel.text
    saved = tmp_path / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(saved))
    slicer.mrmlScene.Clear()
    assert panel.widget._parameterNode.fixedPoints is None
    assert panel.ui.pairTable.rowCount == 0
    slicer.util.loadScene(str(saved))
    read = panel.widget._parameterNode
    assert [read.fixedPoints.GetName(), read.movingVolume.GetName()] == ["CT points", "MR"]
    assert (read.model.name, read.pairing.name) == ("SIMILARITY", "LABEL")
    assert (read.localisationError, read.stiffness, read.mirrorAllowed) == (1.5, 2.0, True)
    assert [node.GetName() for node in read.carried] == ["MR"]
    assert panel.ui.ownFitLabel.text == shown
    assert column(panel, FIXED) == list(LABELS)
    moved = world_points(read.movingPoints)
    panel.ui.applyButton.click()
    np.testing.assert_allclose(world_points(read.movingPoints), moved, atol=1e-5)


def observers(node):
    events = slicer.vtkMRMLMarkupsNode
    return [
        event for event in (events.PointModifiedEvent, events.PointStartInteractionEvent) if node.HasObserver(event)
    ]


def test_nothing_is_left_behind(slicer_app, panel, points):
    def nodes():
        return {node.GetID() for node in slicer.util.getNodes("*", useLists=True).values() for node in node}

    parameters = fill(panel, *points)
    fixed, moving = parameters.fixedPoints, parameters.movingPoints
    before = nodes()
    moving.SetNthControlPointPosition(0, 1, 2, 3)
    slicer_app.process_events(400)
    assert nodes() == before
    assert observers(fixed)
    moving.SetNthControlPointPosition(0, 4, 5, 6)
    panel.exit()
    slicer_app.process_events(400)
    assert not observers(fixed)
    assert not observers(moving)
    panel.enter()
    assert observers(fixed)
    panel.reload()
    assert panel.widget._parameterNode.fixedPoints is fixed
    assert column(panel, FIXED) == list(LABELS)
    panel.close()
    assert not observers(fixed)


def test_a_deleted_list_leaves_the_panel(slicer_app, panel, points):
    parameters = fill(panel, *points)
    parameters.movingPoints.SetNthControlPointPosition(0, 4, 5, 6)
    slicer.mrmlScene.RemoveNode(parameters.movingPoints)
    slicer_app.process_events(400)
    assert not panel.ui.applyButton.enabled
    # Like any combo box, the selector goes to the entry before the one that went.
    assert "Choose one list for each" in panel.ui.applyButton.toolTip
    parameters.movingPoints = None
    assert panel.ui.applyButton.text == "Create or choose the list of moving points."
    parameters.movingPoints = add_list("again", points[0])
    assert panel.ui.applyButton.enabled
    while parameters.movingPoints.GetNumberOfControlPoints():
        parameters.movingPoints.RemoveNthControlPoint(0)
    slicer_app.process_events(400)
    assert panel.ui.applyButton.text == "Place points in again."
    slicer.mrmlScene.Clear()
    slicer_app.process_events(400)
    assert panel.ui.pairTable.rowCount == 0


def test_same_and_huge_names(panel, points):
    moving, fixed = points
    parameters = panel.widget._parameterNode
    parameters.fixedPoints = add_list("x" * 3000, fixed, ["P"] * 8)
    parameters.movingPoints = add_list("x" * 3000, moving[[0, 2, 1, 3, 4, 5, 6, 7]], ["P" * 500] * 8)
    assert column(panel, FOUND)[:4] == ["", "exchanged", "exchanged", ""]
    assert len(panel.ui.findingsLabel.text) < 1000
    assert max(len(text) for text in column(panel, MOVING)) < 50
    parameters.fixedTargets = parameters.fixedPoints
    parameters.movingPoints.RemoveAllControlPoints()
    panel.widget.panel._points._judge()
    labels = (panel.ui.targetErrorLabel, panel.ui.findingsLabel, panel.ui.applyButton)
    assert max(len(word) for label in labels for word in label.text.split()) < 60


def test_too_many_points_are_not_matched_while_slicer_waits(panel):
    points = np.random.default_rng(8).uniform(-70, 70, (41, 3))
    labels = [str(number) for number in range(41)]
    parameters = panel.widget._parameterNode
    parameters.fixedPoints, parameters.movingPoints = add_list("CT", points, labels), add_list("MR", points, labels)
    parameters.pairing = type(parameters.pairing).AUTO
    assert "41 points are too many" in panel.ui.findingsLabel.text
    assert not panel.ui.applyButton.enabled


def test_the_way_on_says_which_volume_is_missing(slicer_app, panel):
    slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration").exit()
    button = panel.ui.registerButton
    colour = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "RGB")
    panel.widget._parameterNode.fixedVolume = add_volume("CT")
    slicer_app.process_events(20)
    assert button.toolTip.startswith('"RGB" cannot be registered: this is a vector or colour volume.')
    slicer.mrmlScene.RemoveNode(colour)
    add_volume("MR")
    slicer_app.process_events(20)
    assert button.toolTip == "Choose a moving volume: the one that is put onto CT."


def test_registration_goes_on_from_here(slicer_app, panel, points):
    parameters = fill(panel, *points)
    panel.exit()
    other = slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration")
    other.exit()
    panel.enter()
    assert panel.ui.registerButton.toolTip == "Load two volumes, then choose the fixed and the moving one."
    parameters = panel.widget._parameterNode
    loaded = add_volume("CT"), add_volume("MR")
    slicer_app.process_events(20)
    assert panel.ui.registerButton.toolTip.startswith("Choose a fixed volume: the one that stays. Then choose a moving")
    parameters.fixedVolume, parameters.movingVolume = loaded
    panel.ui.registerButton.click()
    given = other.logic.getParameterNode()
    assert (given.fixedVolume.GetName(), given.movingVolume.GetName()) == ("CT", "MR")
    assert (given.fixedLandmarks, given.movingLandmarks) == (parameters.fixedPoints, parameters.movingPoints)
    assert given.initialTransform is None
    # An affine start is handed over as a transform, unless the volume lies under it already.
    parameters.model, parameters.applyToMoving = type(parameters.model).AFFINE, False
    panel.ui.applyButton.click()
    panel.ui.registerButton.click()
    given = other.logic.getParameterNode()
    assert given.fixedLandmarks is None
    assert given.initialTransform is parameters.outputTransform
    parameters.applyToMoving = True
    panel.ui.applyButton.click()
    slicer_app.open_main_window()
    panel.ui.registerButton.click()
    assert other.logic.getParameterNode().initialTransform is None
    assert (panel.parent.isEntered, other.parent.isEntered) == (False, True)
    assert other.ui.movingSelector.currentNode().GetName() == "MR"


def test_the_logic_in_one_line(panel, points):
    from FiducialPrealign import FiducialPrealignLogic

    fixed, moving = add_list("CT", points[1]), add_list("MR", points[0])
    node = FiducialPrealignLogic().prealign(fixed, moving, model="rigid")
    np.testing.assert_allclose(slicer.util.arrayFromTransformMatrix(node)[:3, :3], POSE_RAS[:3, :3], atol=0.03)
