"""Two rows of views: each volume in its own planes, linked through the fit, placed in turns, and all given back."""

from __future__ import annotations

import os

import numpy as np
import pytest

if not os.environ.get("CI"):
    pytest.importorskip("PySide6.QtWidgets", reason="the panel needs Qt")
    pytest.importorskip("slicer", reason="the panel needs MRML")
import slicer
import vtk
from conftest import PROJECT, rigid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.mrml.views import planes_cross_at
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix
from panel_helpers import assert_lively
from seen_state import assert_views_as_before, snapshot
from StandIn.blocks import BlockMeter
from test_panel_prealign import (
    FIXED_PARENT_RAS,
    MOVING_PARENT_RAS,
    POSE_RAS,
    add_list,
    add_volume,
    to_world,
    world_points,
)

SIDES = ("fixed", "moving")
OBLIQUE_RAS = rigid([0.3, 1, -0.2], 35, [60, -40, 90])
INVERSE_RAS = np.linalg.inv(POSE_RAS)


def row(side):
    """Slice widgets of a row."""
    layout = slicer.app.layoutManager()
    names = (f"{side.capitalize()}Landmarks{axis}" for axis in ("Axial", "Sagittal", "Coronal"))
    return [layout.sliceWidget(name) for name in names]


def planes(side):
    return [widget.mrmlSliceNode() for widget in row(side)]


def place(side):
    """Where the planes of a row cross."""
    return np.array(planes_cross_at(planes(side)))


def centers(side):
    """World coordinates in the middle of each view."""
    return np.array([(matrix_from_vtk(node.GetSliceToRAS()) @ [*node.GetXYZOrigin(), 1])[:3] for node in planes(side)])


def to_moving(point):
    return apply_matrix(INVERSE_RAS, np.array([point]))[0]


def axes(volume):
    """Unit vectors along the voxels of a volume in the world, row by row."""
    own = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(own)
    directions = (to_world(volume) @ matrix_from_vtk(own))[:3, :3]
    return (directions / np.linalg.norm(directions, axis=0)).T


def layout_number():
    return slicer.app.layoutManager().layout


@pytest.fixture
def points():
    """Moving and fixed points in the world that fit exactly."""
    moving = np.random.default_rng(3).uniform(-70, 70, (5, 3)) + np.array([10, -40, 90])
    return moving, apply_matrix(POSE_RAS, moving)


@pytest.fixture
def panel(slicer_app):
    """Both volumes oblique and under parents; two empty lists, one of them shown in the red view only."""
    slicer_app.open_slice_views()
    module = slicer_app.open_module(PROJECT / "FiducialPrealign", "FiducialPrealign")
    parameters = module.widget._parameterNode
    for side, parent in (("fixed", FIXED_PARENT_RAS), ("moving", MOVING_PARENT_RAS)):
        volume = add_volume(f"{side} scan", parent)
        volume.CreateDefaultDisplayNodes()
        own = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(own)
        volume.SetIJKToRASMatrix(vtk_from_matrix(OBLIQUE_RAS @ matrix_from_vtk(own)))
        setattr(parameters, f"{side}Volume", volume)
        setattr(parameters, f"{side}Points", add_list(f"{side} points", np.empty((0, 3))))
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    parameters.movingPoints.GetDisplayNode().SetViewNodeIDs([red.GetID()])
    slicer_app.process_events(20)
    return module


def show_rows(slicer_app, panel):
    panel.ui.rowsButton.click()
    slicer_app.process_events(20)


def lists(panel):
    parameters = panel.widget._parameterNode
    return parameters.fixedPoints, parameters.movingPoints


def put_pairs(slicer_app, panel, points, count):
    for node, where in zip(lists(panel), (points[1], points[0]), strict=True):
        for point in where[:count]:
            node.AddControlPoint(*map(float, point))
    slicer_app.process_events(500)


def test_the_button_needs_both_volumes_and_views(slicer_app, panel):
    button, parameters = panel.ui.rowsButton, panel.widget._parameterNode
    assert button.enabled
    parameters.movingVolume = None
    assert not button.enabled
    assert "moving volume" in button.toolTip


def test_without_a_layout_the_button_says_so(slicer_app):
    module = slicer_app.open_module(PROJECT / "FiducialPrealign", "FiducialPrealign")
    assert not module.ui.rowsButton.enabled
    assert "no slice views" in module.ui.rowsButton.toolTip


def test_each_row_shows_its_volume_in_its_own_planes_with_one_zoom(panel):
    panel.ui.rowsButton.click()
    parameters = panel.widget._parameterNode
    widths = []
    for side in SIDES:
        volume = getattr(parameters, f"{side}Volume")
        normals = [matrix_from_vtk(node.GetSliceToRAS())[:3, 2] for node in planes(side)]
        np.testing.assert_allclose(np.sort(np.abs(normals @ axes(volume).T).max(axis=1)), 1, atol=1e-6)
        bounds = np.empty(6)
        volume.GetRASBounds(bounds)
        np.testing.assert_allclose(place(side), (bounds[::2] + bounds[1::2]) / 2, atol=10)
        for widget in row(side):
            assert widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
            assert widget.mrmlSliceNode().IsMappedInLayout()
            across, down, _ = widget.mrmlSliceNode().GetFieldOfView()
            assert across / down == pytest.approx(400 / 300)
            widths.append(across)
    assert widths == pytest.approx([widths[0]] * 6)
    groups = [{node.GetViewGroup() for node in planes(side)} for side in SIDES]
    assert len(groups[0]) == len(groups[1]) == 1
    assert groups[0] != groups[1]


def test_the_volumes_are_fitted_to_the_views_that_the_layout_makes_smaller(slicer_app, panel):
    panel.ui.rowsButton.click()
    for side in SIDES:
        for widget in row(side):
            widget.sliceLogic().ResizeSliceNode(200, 500)
    slicer_app.process_events(20)
    for side in SIDES:
        volume = getattr(panel.widget._parameterNode, f"{side}Volume")
        size = np.array(volume.GetSpacing()) * volume.GetImageData().GetDimensions()
        for node in planes(side):
            across, down, _ = node.GetFieldOfView()
            assert across / down == pytest.approx(200 / 500)
            # The plane may be any of the volume's: the second largest side is seen whole in each of them.
            assert across >= np.sort(size)[1]


def test_the_rows_start_at_the_same_place(slicer_app, panel, points):
    put_pairs(slicer_app, panel, points, 4)
    show_rows(slicer_app, panel)
    np.testing.assert_allclose(centers("moving"), [to_moving(place("fixed"))] * 3, atol=1e-6)


def test_zoom_is_shared_but_not_while_a_view_gets_another_size(slicer_app, panel):
    show_rows(slicer_app, panel)
    planes("moving")[1].SetFieldOfView(120, 90, 1)
    for side in SIDES:
        assert [node.GetFieldOfView()[0] for node in planes(side)] == pytest.approx([120] * 3)
    resized = planes("fixed")[0]
    modifying = resized.StartModify()
    resized.SetDimensions(600, 300, 1)
    resized.SetFieldOfView(180, 90, 1)
    resized.EndModify(modifying)
    assert planes("moving")[0].GetFieldOfView()[0] == pytest.approx(120)


def test_rows_are_independent_before_three_pairs_and_linked_after(slicer_app, panel, points):
    show_rows(slicer_app, panel)
    put_pairs(slicer_app, panel, points, 2)
    before = centers("moving")
    planes("fixed")[0].SetSliceOffset(planes("fixed")[0].GetSliceOffset() + 12)
    np.testing.assert_array_equal(centers("moving"), before)
    for node, where in zip(lists(panel), (points[1], points[0]), strict=True):
        node.AddControlPoint(*map(float, where[2]))
    slicer_app.process_events(500)
    # Nothing jumps while points are placed.
    np.testing.assert_array_equal(centers("moving"), before)
    for node in planes("fixed"):
        node.SetSliceOffset(node.GetSliceOffset() + 7)
    np.testing.assert_allclose(centers("moving"), [to_moving(place("fixed"))] * 3, atol=1e-6)
    np.testing.assert_allclose(place("moving"), to_moving(place("fixed")), atol=1e-6)
    kept = centers("fixed")
    goal = place("moving") + np.array([5, -8, 3])
    slicer.vtkMRMLSliceNode.JumpAllSlices(
        slicer.mrmlScene, *goal, slicer.vtkMRMLSliceNode.OffsetJumpSlice, planes("moving")[0].GetViewGroup()
    )
    np.testing.assert_allclose(place("moving"), goal, atol=1e-6)
    np.testing.assert_allclose(centers("fixed"), [apply_matrix(POSE_RAS, goal[None])[0]] * 3, atol=1e-6)
    assert np.abs(centers("fixed") - kept).max() > 1


def test_after_apply_the_link_follows_where_the_moving_volume_lies(slicer_app, panel, points):
    put_pairs(slicer_app, panel, points, 4)
    panel.ui.applyButton.click()
    show_rows(slicer_app, panel)
    planes("fixed")[2].SetSliceOffset(planes("fixed")[2].GetSliceOffset() + 9)
    np.testing.assert_allclose(place("moving"), place("fixed"), atol=1e-6)


@pytest.mark.parametrize("model", ["AFFINE", "THIN_PLATE_SPLINE"])
def test_other_models_link_both_ways(slicer_app, panel, points, model):
    put_pairs(slicer_app, panel, points, 5)
    parameters = panel.widget._parameterNode
    parameters.model = type(parameters.model)[model]
    show_rows(slicer_app, panel)
    for node in planes("moving"):
        node.JumpSliceByCentering(*points[0][1])
    np.testing.assert_allclose(place("fixed"), points[1][1], atol=1e-2)


def test_each_list_is_shown_in_its_row_only(slicer_app, panel):
    panel.ui.rowsButton.click()
    for side, node in zip(SIDES, lists(panel), strict=True):
        assert list(node.GetDisplayNode().GetViewNodeIDs()) == [plane.GetID() for plane in planes(side)]
    other = add_list("others", np.empty((0, 3)))
    first = lists(panel)[0]
    panel.widget._parameterNode.fixedPoints = other
    slicer_app.process_events(50)
    assert not first.GetDisplayNode().GetViewNodeIDs()
    assert list(other.GetDisplayNode().GetViewNodeIDs()) == [plane.GetID() for plane in planes("fixed")]


def test_placing_takes_turns(slicer_app, panel, points):
    panel.ui.rowsButton.click()
    ui, (fixed, moving) = panel.ui, lists(panel)

    def armed():
        slicer_app.process_events(20)
        return [ui.fixedPlaceWidget.placeModeEnabled, ui.movingPlaceWidget.placeModeEnabled]

    fixed.AddControlPoint(*map(float, points[1][0]))
    assert armed() == [False, False], "a script adds points, nobody places them"
    ui.fixedPlaceWidget.setPlaceModeEnabled(True)
    moving.AddControlPoint(*map(float, points[0][0]))
    assert armed() == [True, False]
    for number in (1, 2):
        fixed.AddControlPoint(*map(float, points[1][number]))
        assert armed() == [False, True]
        assert slicer.modules.markups.logic().GetActiveListID() == moving.GetID()
        moving.AddControlPoint(*map(float, points[0][number]))
        assert armed() == [True, False]
    ui.rowsButton.click()
    fixed.AddControlPoint(*map(float, points[1][3]))
    assert armed() == [True, False], "without the rows nothing is armed"


def test_a_click_in_the_table_centres_each_row_on_its_own_point(slicer_app, panel, points):
    put_pairs(slicer_app, panel, points, 4)
    show_rows(slicer_app, panel)
    lists(panel)[1].SetNthControlPointPositionWorld(2, *map(float, points[0][2] + [3, 0, 0]))
    slicer_app.process_events(500)
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    before = matrix_from_vtk(red.GetSliceToRAS())
    panel.ui.pairTable.cellClicked(2, 1)
    for side, node in zip(SIDES, lists(panel), strict=True):
        np.testing.assert_allclose(centers(side), [world_points(node)[2]] * 3, atol=1e-6)
    np.testing.assert_array_equal(matrix_from_vtk(red.GetSliceToRAS()), before)


@pytest.mark.parametrize("end", ["button", "leave", "close", "layout", "volume", "apply"])
def test_everything_is_given_back(slicer_app, panel, points, end):
    put_pairs(slicer_app, panel, points, 4)
    before = snapshot()
    panel.ui.rowsButton.click()
    assert snapshot() != before
    slicer_app.process_events(20)
    parameters = panel.widget._parameterNode
    if end == "button":
        panel.ui.rowsButton.click()
    elif end == "leave":
        panel.exit()
    elif end == "close":
        panel.close()
    elif end == "layout":
        slicer.app.layoutManager().setLayout(before["layout"])
    elif end == "volume":
        slicer.mrmlScene.RemoveNode(parameters.movingVolume)
    else:
        panel.ui.applyButton.click()
        assert panel.ui.viewsWidget.visible
        assert layout_number() == before["layout"]
        panel.exit()
    slicer_app.process_events(50)
    after = snapshot()
    if end == "volume":
        before = {key: value for key, value in before.items() if key in after}
    assert_views_as_before(after, before)
    if end not in ("volume", "apply"):
        assert after["nodes"] == before["nodes"]
    for side in SIDES:
        for widget in row(side):
            assert widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() is None
            assert not widget.mrmlSliceNode().IsMappedInLayout()
            assert not widget.mrmlSliceNode().GetSaveWithScene()
    if end != "close":
        assert not panel.ui.rowsButton.checked


def test_the_rows_take_the_place_of_the_comparison(slicer_app, panel, points):
    put_pairs(slicer_app, panel, points, 4)
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    panel.ui.applyButton.click()
    assert red.GetForegroundVolumeID() is not None
    panel.ui.rowsButton.click()
    assert red.GetForegroundVolumeID() is None
    assert not panel.ui.viewsWidget.visible


def test_a_scene_is_closed_while_the_rows_are_on(slicer_app, panel, points):
    put_pairs(slicer_app, panel, points, 4)
    before = layout_number()
    panel.ui.rowsButton.click()
    slicer.mrmlScene.Clear()
    slicer_app.process_events(50)
    assert layout_number() == before
    assert not panel.ui.rowsButton.checked
    assert not panel.ui.rowsButton.enabled
    assert all(not node.IsMappedInLayout() for side in SIDES for node in planes(side))
    assert slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().IsMappedInLayout()


def test_a_list_is_removed_while_the_rows_are_on(slicer_app, panel, points):
    put_pairs(slicer_app, panel, points, 4)
    show_rows(slicer_app, panel)
    slicer.mrmlScene.RemoveNode(lists(panel)[0])
    slicer_app.process_events(400)
    assert panel.ui.rowsButton.checked
    before = centers("moving")
    planes("fixed")[0].SetSliceOffset(planes("fixed")[0].GetSliceOffset() + 7)
    np.testing.assert_array_equal(centers("moving"), before)


def test_points_of_a_scene_that_was_saved_with_the_rows_are_seen_again(slicer_app, panel, points, tmp_path):
    put_pairs(slicer_app, panel, points, 4)
    before = layout_number()
    panel.ui.rowsButton.click()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    assert panel.ui.rowsButton.checked
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    slicer_app.process_events(50)
    assert layout_number() == before
    assert not panel.ui.rowsButton.checked
    assert lists(panel)[0].GetNumberOfControlPoints() == 4
    assert all(not node.GetDisplayNode().GetViewNodeIDs() for node in lists(panel))


def test_nothing_blocks_the_window(slicer_app, panel, points):
    put_pairs(slicer_app, panel, points, 5)
    with BlockMeter() as meter:
        slicer_app.process_events(30)
        panel.ui.rowsButton.click()
        slicer_app.process_events(30)
        for _ in range(10):
            planes("fixed")[0].SetSliceOffset(planes("fixed")[0].GetSliceOffset() + 2)
            slicer_app.process_events(10)
        panel.ui.rowsButton.click()
        slicer_app.process_events(30)
    assert_lively(meter)
