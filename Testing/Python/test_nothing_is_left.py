"""After undo, leaving and closing, the scene and the views are as before: a snapshot of each module says so."""

from __future__ import annotations

import os

import pytest

if not os.environ.get("CI"):
    pytest.importorskip("PySide6.QtWidgets", reason="the panels need Qt")
    pytest.importorskip("slicer", reason="the panels need MRML")
import slicer
from registration_panel import finish, pair, ready, start  # noqa: F401
from seen_state import assert_given_back, expect_moved, snapshot
from test_panel_preprocess import finish as finish_preprocess
from test_panel_preprocess import nodes, opened, small_head  # noqa: F401
from test_panel_quality import Opened as QualityOpened
from test_panel_quality import heads  # noqa: F401
from test_panel_rows import panel as rows_panel  # noqa: F401
from test_panel_rows import points as row_points  # noqa: F401
from test_panel_rows import put_pairs
from test_panel_views import seen  # noqa: F401

COMPARISONS = ("fadeSlider", "greyButton", "checkerboardButton", "colorButton", "edgesButton", "beforeButton")


def use(slicer_app, ui, name):
    """Show the volumes in one of the ways of the row, and wait for what is made in the background."""
    layers = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    own_labels = layers.GetLabelVolumeID()
    if name == "fadeSlider":
        ui.fadeSlider.value = 0.8
        assert layers.GetForegroundOpacity() == pytest.approx(0.8)
    elif name == "beforeButton":
        # It is still held when the user leaves.
        ui.beforeButton._qt.pressed.emit()
    elif not getattr(ui, name).checked:
        getattr(ui, name).click()
    if name == "checkerboardButton":
        slicer_app.wait_for(lambda: slicer.util.getNodes("*checkerboard*"))
    elif name == "edgesButton":
        slicer_app.wait_for(lambda: layers.GetLabelVolumeID() != own_labels)


def visible_ids(before):
    """Of the nodes that are new, those that the user sees in lists, and what displays and stores them."""
    found = set()
    for identifier in snapshot()["nodes"] - before["nodes"]:
        node = slicer.mrmlScene.GetNodeByID(identifier)
        if node.GetHideFromEditors() and not node.IsA("vtkMRMLDisplayNode") and not node.IsA("vtkMRMLStorageNode"):
            continue
        found.add(identifier)
    return found


@pytest.mark.parametrize("end", ["undo", "leave", "close"])
@pytest.mark.parametrize("way", COMPARISONS)
def test_registration_leaves_nothing(slicer_app, seen, way, end):  # noqa: F811
    layers = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    layers.SetLabelVolumeID(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels").GetID())
    layers.SetLabelOpacity(0.3)
    before = snapshot()
    start(slicer_app, seen)
    finish(slicer_app, seen)
    slicer_app.process_events(50)
    result = seen.widget._parameterNode.resultTransform.GetID()
    use(slicer_app, seen.ui, way)
    {"undo": seen.ui.undoButton.click, "leave": seen.exit, "close": seen.close}[end]()
    slicer_app.process_events(20)
    after = snapshot()
    if end != "undo":
        expect_moved(before, after, slicer.util.getNode("scan B"), result)
    assert_given_back(after, before, [] if end == "undo" else [result])


@pytest.mark.parametrize("end", ["leave", "close"])
@pytest.mark.parametrize("way", COMPARISONS)
def test_prealign_leaves_nothing_of_the_comparison(slicer_app, rows_panel, row_points, way, end):  # noqa: F811
    put_pairs(slicer_app, rows_panel, row_points, 4)
    rows_panel.widget._parameterNode.applyToMoving = False
    rows_panel.exit()
    before = snapshot()
    rows_panel.enter()
    slicer_app.process_events(50)
    rows_panel.ui.applyButton.click()
    result = rows_panel.widget._parameterNode.outputTransform.GetID()
    use(slicer_app, rows_panel.ui, way)
    {"leave": rows_panel.exit, "close": rows_panel.close}[end]()
    slicer_app.process_events(50)
    assert_given_back(snapshot(), before, [result])


@pytest.mark.parametrize("end", ["leave", "close"])
def test_prealign_leaves_nothing_of_two_rows_while_a_point_is_placed(
    slicer_app,
    rows_panel,  # noqa: F811
    row_points,  # noqa: F811
    end,
):
    put_pairs(slicer_app, rows_panel, row_points, 4)
    # Which list is placed next stays what the user chose.
    rows_panel.ui.fixedPlaceWidget.setPlaceModeEnabled(True)
    rows_panel.exit()
    before = snapshot()
    rows_panel.enter()
    slicer_app.process_events(50)
    rows_panel.ui.rowsButton.click()
    slicer_app.process_events(20)
    rows_panel.ui.fixedPlaceWidget.setPlaceModeEnabled(True)
    assert snapshot()["mouse"] != before["mouse"]
    {"leave": rows_panel.exit, "close": rows_panel.close}[end]()
    slicer_app.process_events(50)
    assert_given_back(snapshot(), before)


@pytest.mark.parametrize("end", ["remove", "leave", "close"])
def test_quality_leaves_nothing(slicer_app, heads, end):  # noqa: F811
    from test_mrml_quality import CT_GRID, CT_POSE, MR_GRID, MR_POSE, add_segmentation

    slicer_app.open_slice_views()
    quality = QualityOpened(slicer_app, heads)
    quality.fill_in()
    for role, grid, pose in (("fixed", CT_GRID, CT_POSE), ("moving", MR_GRID, MR_POSE)):
        node = add_segmentation(slicer.mrmlScene, grid, pose, f"parts {role}")
        node.CreateDefaultDisplayNodes()
        getattr(quality.ui, f"{role}SegmentationSelector").setCurrentNode(node)
    slicer_app.process_events(50)
    before = snapshot()
    quality.measure()
    results = visible_ids(before)
    for way in COMPARISONS:
        use(slicer_app, quality.ui, way)
    quality.ui.mapBox.setCurrentIndex(2)
    quality.ui.flickerBox.click()
    quality.ui.plotButton.click()
    assert snapshot()["layout"] != before["layout"]
    quality.ui.surfacesButton.click()
    slicer_app.wait_for(lambda: slicer.util.getNodes("*surface*"), 60)
    if end == "remove":
        quality.ui.removeButton.click()
    else:
        {"leave": quality.module.exit, "close": quality.module.close}[end]()
    slicer_app.process_events(100)
    after = snapshot()
    # Slicer adds the plot view with the first chart, and leaves it.
    kept = [one for one in after["nodes"] if "PlotView" in one]
    assert_given_back(after, before, [*kept, *([] if end == "remove" else results)])
    assert all(after[one] is None for one in kept if one in after)


@pytest.mark.parametrize(
    ("task", "end"),
    [
        *(("findRegionButton", end) for end in ("leave", "close")),
        *(("applyButton", end) for end in ("remove", "leave", "close")),
    ],
)
def test_preprocess_leaves_nothing(slicer_app, opened, nodes, task, end):  # noqa: F811
    slicer_app.open_slice_views()
    for node in nodes[:2]:
        node.CreateDefaultDisplayNodes()
    layers = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    layers.SetBackgroundVolumeID(nodes[1].GetID())
    before = snapshot()
    getattr(opened.ui, task).click()
    finish_preprocess(slicer_app, opened)
    results = visible_ids(before)
    roi = opened.widget._parameterNode.roi
    assert layers.GetBackgroundVolumeID() != nodes[1].GetID()
    if end == "remove":
        opened.ui.removeButton.click()
    else:
        {"leave": opened.exit, "close": opened.close}[end]()
    slicer_app.process_events(50)
    assert_given_back(snapshot(), before, results)
    assert bool(roi.GetDisplayNode().GetVisibility()) == (end == "remove"), "the region is seen while the panel is open"


def test_a_region_that_is_found_in_another_module_leaves_the_views_alone(slicer_app, opened, nodes):  # noqa: F811
    slicer_app.open_slice_views()
    before = snapshot()
    opened.ui.findRegionButton.click()
    parameters = opened.widget._parameterNode
    opened.exit()
    slicer_app.wait_for(lambda: not opened.widget.panel.running, 60)
    slicer_app.process_events(50)
    assert parameters.roi is not None
    assert not parameters.roi.GetDisplayNode().GetVisibility()
    assert_given_back(snapshot(), before, visible_ids(before))
    opened.enter()
    assert parameters.roi.GetDisplayNode().GetVisibility()
