"""The moving volume adjusted by hand: live agreement, registering from there, keeping it, and taking it all back."""

from __future__ import annotations

import os

import numpy as np
import pytest

if not os.environ.get("CI"):
    pytest.importorskip("PySide6.QtWidgets", reason="the panel needs Qt")
    pytest.importorskip("slicer", reason="the panel needs MRML")
import slicer
from conftest import SCREENSHOTS, rigid
from MultimodalRegistrationLib.core.frames import flip_matrix_lps_ras
from MultimodalRegistrationLib.io.transforms import read_linear_transform
from MultimodalRegistrationLib.mrml.scene_nodes import add_display_node
from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix
from panel_helpers import FakeProcess, add_voxels, assert_lively, grid, scene_content
from registration_panel import FOLDER, matrix_of, shown
from seen_state import snapshot

PARENT_RAS = rigid([1, -0.2, 0.6], 41, [-15, 33, 8])


@pytest.fixture
def volumes(slicer_app, head_ct, head_mr):
    """The phantom; the moving volume lies under a rotated parent."""
    fixed, moving = add_voxels("CT", head_ct.voxels, head_ct.grid), add_voxels("MR", head_mr.voxels, head_mr.grid)
    for node in (fixed, moving):
        add_display_node(node)
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "table")
    parent.SetMatrixTransformToParent(vtk_from_matrix(PARENT_RAS))
    moving.SetAndObserveTransformNodeID(parent.GetID())
    return fixed, moving


@pytest.fixture
def truth_ras(truth_ct_to_mr_lps):
    """What moves the moving volume, where it lies in the world, onto the fixed one."""
    return flip_matrix_lps_ras(np.linalg.inv(truth_ct_to_mr_lps)) @ np.linalg.inv(PARENT_RAS)


@pytest.fixture
def module(slicer_app, volumes):
    FakeProcess.made.clear()
    slicer_app.open_slice_views()
    opened = slicer_app.open_module(FOLDER, "MultimodalRegistration")
    opened.widget.panel.make_process = FakeProcess
    slicer_app.process_events(50)
    return opened


def begin(slicer_app, module):
    module.ui.adjustButton.click()
    slicer_app.wait_for(lambda: "At the start" in module.ui.adjustLabel.text, 20)
    return slicer.mrmlScene.GetFirstNodeByName("MR to CT by hand")


def drag(slicer_app, node, matrix_ras):
    node.SetMatrixTransformToParent(vtk_from_matrix(matrix_ras))
    slicer_app.process_events(80)


def agreement(module):
    return float(module.ui.adjustLabel.text.partition("Agreement: ")[2].split()[0].rstrip("."))


def test_the_agreement_rises_on_the_way_to_the_truth(slicer_app, module, volumes, truth_ras):
    node = begin(slicer_app, module)
    values = []
    for off_mm in (30.0, 10.0, 0.0):
        off = np.eye(4)
        off[0, 3] = off_mm
        drag(slicer_app, node, off @ truth_ras)
        values.append(agreement(module))
    assert values[0] < values[1] < values[2]
    assert module.ui.agreementBar.value == 100
    module.ui.adjustCollapsibleButton.collapsed = False
    slicer_app.screenshot(module.parent, SCREENSHOTS / "registration-adjust.png")
    far = np.eye(4)
    far[2, 3] = 900.0
    drag(slicer_app, node, far)
    assert "too little overlap" in module.ui.adjustLabel.text
    assert module.ui.agreementBar.value == 0


def test_handles_turn_about_the_middle_of_the_moving_volume(slicer_app, module, volumes, head_mr):
    node = begin(slicer_app, module)
    middle = PARENT_RAS @ flip_matrix_lps_ras(np.eye(4)) @ [*head_mr.grid.center_lps * (-1, -1, 1), 1]
    np.testing.assert_allclose(node.GetCenterOfTransformation(), middle[:3], atol=1e-3)
    display = node.GetDisplayNode()
    assert display.GetEditorVisibility()
    assert display.GetEditorSliceIntersectionVisibility()
    assert not display.GetEditorScalingEnabled()


def test_a_registration_starts_from_there_within_bounds(slicer_app, module, volumes, truth_ras):
    node = begin(slicer_app, module)
    drag(slicer_app, node, truth_ras)
    module.ui.registerAdjustedButton.click()
    slicer_app.wait_for(lambda: FakeProcess.made)
    process = FakeProcess.made[-1]
    # The moving volume is written where it lies in the world.
    given = read_linear_transform(process.file("--initial-transform"))
    np.testing.assert_allclose(np.linalg.inv(given), flip_matrix_lps_ras(truth_ras), atol=1e-4)
    assert float(process.asked("max-translation")) == 30
    assert float(process.asked("max-rotation")) == 20
    assert not node.GetDisplayNode().GetEditorVisibility()
    assert not shown(module.ui.registerAdjustedButton)
    module.widget.panel.cancel()
    slicer_app.process_events(50)
    # For the next run, all is as the user chose it.
    parameters = module.widget._parameterNode
    assert parameters.initialTransform is None
    assert (parameters.maxTranslation, parameters.maxRotation) == (0, 0)


def test_tighter_bounds_of_the_user_stay(slicer_app, module, volumes):
    module.widget._parameterNode.maxTranslation = 12.0
    begin(slicer_app, module)
    module.ui.registerAdjustedButton.click()
    slicer_app.wait_for(lambda: FakeProcess.made)
    assert FakeProcess.made[-1].asked("max-translation") == 12
    assert module.widget._parameterNode.maxTranslation == 12.0
    module.widget.panel.cancel()


def test_a_pose_is_kept_and_taken_back(slicer_app, module, volumes, truth_ras):
    before, views = scene_content(), snapshot()
    node = begin(slicer_app, module)
    drag(slicer_app, node, truth_ras)
    module.ui.keepAdjustedButton.click()
    np.testing.assert_allclose(matrix_of(volumes[1].GetParentTransformNode()), truth_ras @ PARENT_RAS, atol=1e-9)
    assert "nothing has verified it" in module.ui.adjustLabel.text
    assert module.ui.cancelAdjustButton.text == "Undo"
    module.ui.cancelAdjustButton.click()
    assert scene_content() == before
    assert snapshot() == views
    assert not shown(module.ui.cancelAdjustButton)


def test_volumes_without_a_display_have_none_afterwards(slicer_app, module, volumes):
    for node in volumes:
        slicer.mrmlScene.RemoveNode(node.GetDisplayNode())
    views = snapshot()
    begin(slicer_app, module)
    module.ui.cancelAdjustButton.click()
    assert snapshot() == views


@pytest.mark.parametrize("how", ["cancel", "leave", "close", "other volume", "removed volume", "removed transform"])
def test_nothing_is_left_of_adjusting_by_hand(how, slicer_app, module, volumes):
    views = snapshot()
    node = begin(slicer_app, module)
    drag(slicer_app, node, rigid([0, 0, 1], 20, [5, 5, 5]))
    assert snapshot() != views
    if how == "cancel":
        module.ui.cancelAdjustButton.click()
    elif how == "leave":
        module.exit()
    elif how == "close":
        module.close()
    elif how == "other volume":
        module.widget._parameterNode.movingVolume = None
    elif how == "removed volume":
        slicer.mrmlScene.RemoveNode(volumes[1])
    else:
        slicer.mrmlScene.RemoveNode(node)
    slicer_app.process_events(100)
    assert how == "close" or not module.widget.panel._adjust.active
    assert slicer.mrmlScene.GetFirstNodeByName("MR to CT by hand") is None
    if how != "removed volume":
        assert snapshot() == views
    hidden = [one.GetName() for one in slicer.util.getNodesByClass("vtkMRMLVolumeNode") if one.GetHideFromEditors()]
    assert hidden == []


def test_closing_the_scene_ends_it(slicer_app, module, volumes):
    begin(slicer_app, module)
    slicer.mrmlScene.Clear(0)
    slicer_app.process_events(50)
    assert not module.widget.panel._adjust.active
    assert module.ui.adjustLabel.text == ""


def test_the_window_lives_with_large_volumes(slicer_app):
    from StandIn.blocks import BlockMeter

    slicer_app.open_slice_views()
    opened = slicer_app.open_module(FOLDER, "MultimodalRegistration")
    random = np.random.default_rng(1)
    block = random.integers(0, 1000, (20, 64, 64), dtype=np.int16)
    for name, seed in (("MR", 0), ("CT", 1)):
        voxels = np.tile(np.roll(block, seed), (20, 8, 8))
        add_display_node(add_voxels(name, voxels, grid((512, 512, 400), (0.6, 0.6, 0.8), (0, 0, seed))))
    slicer_app.process_events(50)
    opened.widget._parameterNode.fixedVolume = slicer.util.getNode("CT")
    opened.widget._parameterNode.movingVolume = slicer.util.getNode("MR")
    slicer_app.process_events(50)
    with BlockMeter() as meter:
        opened.ui.adjustButton.click()
        slicer_app.wait_for(lambda: "At the start" in opened.ui.adjustLabel.text, 60)
        node = slicer.mrmlScene.GetFirstNodeByName("MR to CT by hand")
        for step in range(5):
            drag(slicer_app, node, rigid([0, 0, 1], step, [step, 0, 0]))
    assert_lively(meter)
