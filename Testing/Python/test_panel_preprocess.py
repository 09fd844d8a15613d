"""The module RegistrationPreprocess as a user meets it: checked, cut, cancelled, closed and loaded again."""

from __future__ import annotations

import os

import numpy as np
import pytest
import slicer
from conftest import CT_POSE, MR_POSE, PROJECT, SCREENSHOTS, centered_grid, rigid, rotation

pytest.importorskip("PySide6.QtWidgets")

from MultimodalRegistrationLib.core.frames import (
    flip_ijk_to_space,
    flip_points_lps_ras,
    modelling_ras_from_resampling_lps,
)
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.mrml.prepared_nodes import ORIGINAL_ROLE, found_for
from panel_helpers import assert_lively
from StandIn.blocks import BlockMeter
from test_mrml import add_parent, add_volume, ijk_to_world_ras, vtk_matrix

FOLDER = PROJECT / "RegistrationPreprocess"
NAME = "RegistrationPreprocess"
CT_SMALL = centered_grid(
    [60, 68, 38], [3.1, 3.1, 6.2], rotation([1, 0.3, -0.2], 12) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
MR_SMALL = centered_grid([52, 48, 58], [3.6, 4.6, 3.5], rotation([-0.2, 1, 0.5], 81), [-25, 18, 66])
PARENT_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55])

# Set by a fixture: importing the panels takes Slicer's own packages, which the stand-in brings.
texts = BiasCorrection = Prealignment = None


@pytest.fixture(scope="session")
def small_head():
    return make_head("CT", CT_SMALL, CT_POSE, seed=1), make_head("T1", MR_SMALL, MR_POSE, seed=2)


@pytest.fixture(autouse=True)
def _panels(slicer_app):
    """The panels import Qt as Slicer gives it."""
    global texts, BiasCorrection, Prealignment
    from MultimodalRegistrationLib.panels.preprocess import choices
    from MultimodalRegistrationLib.panels.preprocess import texts as own_texts

    texts, BiasCorrection, Prealignment = own_texts, choices.BiasCorrection, choices.Prealignment


@pytest.fixture
def nodes(slicer_app, small_head, truth_ct_to_mr_lps):
    """CT below a parent, MR, and the transform that brings the MR onto the CT where it lies."""
    scene = slicer_app.scene
    ct, mr = (add_volume(scene, volume, name) for volume, name in zip(small_head, ("CT", "MR"), strict=True))
    add_parent(scene, ct, PARENT_RAS)
    start = scene.AddNewNodeByClass("vtkMRMLTransformNode", "start")
    start.SetMatrixTransformToParent(vtk_matrix(PARENT_RAS @ modelling_ras_from_resampling_lps(truth_ct_to_mr_lps)))
    return ct, mr, start


@pytest.fixture
def opened(slicer_app, nodes):
    module = slicer_app.open_module(FOLDER, NAME)
    parameters = module.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = nodes[:2]
    parameters.prealignment = type(parameters.prealignment).TRANSFORM
    parameters.initialTransform = nodes[2]
    return module


def contents(scene):
    """What the scene holds, but for the parameters of the module."""
    every = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    return sorted(node.GetID() for node in every if not node.IsA("vtkMRMLScriptedModuleNode"))


def voxels(node):
    return slicer.util.arrayFromVolume(node)


def leftovers(slicer_app):
    return [name for name in os.listdir(slicer_app.app.temporaryPath) if name.startswith("registration-preprocess")]


def finish(slicer_app, opened, timeout_s=60):
    slicer_app.wait_for(lambda: not opened.widget.panel.running, timeout_s)
    assert not leftovers(slicer_app)


def test_prepare_cuts_both_volumes_where_they_lie(slicer_app, opened, nodes):
    ct, mr, _ = nodes
    before = voxels(ct).copy(), ijk_to_world_ras(ct)
    opened.ui.applyButton.click()
    assert opened.ui.applyButton.text == "Cancel"
    finish(slicer_app, opened)
    assert not opened.ui.problemLabel.visible, opened.ui.problemLabel.text
    chosen = opened.widget._parameterNode
    for original, copy in ((ct, chosen.preparedFixed), (mr, chosen.preparedMoving)):
        assert copy.GetImageData().GetNumberOfPoints() < original.GetImageData().GetNumberOfPoints()
        assert copy.GetParentTransformNode() is None
        index_of = np.linalg.inv(ijk_to_world_ras(original)) @ ijk_to_world_ras(copy)
        first = index_of[:3, 3]
        np.testing.assert_allclose(first, np.round(first), atol=1e-4)
        np.testing.assert_allclose(index_of[:3, :3], np.eye(3), atol=1e-6)
        i, j, k = np.round(first).astype(int)
        depth, height, width = voxels(copy).shape
        np.testing.assert_array_equal(voxels(copy), voxels(original)[k : k + depth, j : j + height, i : i + width])
    assert chosen.roi.GetDisplayNode().GetVisibility()
    assert "cut from" in opened.ui.factsLabel.text
    assert not opened.ui.resultCollapsibleButton.isHidden()
    np.testing.assert_array_equal(voxels(ct), before[0])
    np.testing.assert_array_equal(ijk_to_world_ras(ct), before[1])


def test_the_panel_says_what_is_missing(slicer_app, small_head):
    module = slicer_app.open_module(FOLDER, NAME)
    ui, chosen = module.ui, module.widget._parameterNode
    slicer_app.screenshot(module.parent, SCREENSHOTS / "preprocess-empty.png")
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip.startswith("Load two volumes")
    long_name = "A" * 60 + " very long name of a volume " + "B" * 60
    ct = add_volume(slicer_app.scene, small_head[0], long_name)
    mr = add_volume(slicer_app.scene, small_head[1], "MR")
    chosen.fixedVolume = ct
    assert long_name in ui.applyButton.toolTip
    chosen.movingVolume = ct
    assert "both volumes" in ui.applyButton.toolTip
    chosen.movingVolume = mr
    assert ui.applyButton.enabled
    assert not ui.previewButton.enabled
    assert "bias" in ui.previewButton.toolTip
    chosen.prealignment = Prealignment.LANDMARKS
    assert "points" in ui.applyButton.toolTip
    assert not ui.fixedLandmarksSelector.isHidden()
    assert ui.initialTransformSelector.isHidden()
    chosen.prealignment = Prealignment.TRANSFORM
    assert not ui.findRegionButton.enabled
    assert "transform" in ui.findRegionButton.toolTip
    assert not ui.registerButton.enabled


def test_a_volume_that_has_a_remedy_can_be_chosen(slicer_app, small_head):
    """Here the way from a colour volume to a scalar one begins: it is one of those to choose."""
    ui = slicer_app.open_module(FOLDER, NAME).ui
    slicer_app.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "RGB")
    slicer_app.process_events(20)
    assert ui.applyButton.toolTip == "Load another volume, then choose the fixed and the moving one."
    add_volume(slicer_app.scene, small_head[0], "CT")
    slicer_app.process_events(20)
    assert ui.applyButton.toolTip.startswith("Choose a fixed volume: the one that stays. Then choose a moving volume")


@pytest.mark.story("U21")
def test_check_and_remedies_leave_the_volumes_alone(slicer_app, small_head):
    scene = slicer_app.scene
    colour = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    values = np.random.default_rng(1).integers(0, 255, (*CT_SMALL.size[::-1], 3)).astype(np.uint8)
    slicer.util.updateVolumeFromArray(colour, values)
    colour.SetIJKToRASMatrix(vtk_matrix(flip_ijk_to_space(CT_SMALL.ijk_to_lps)))
    parent = add_parent(scene, colour, PARENT_RAS)
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "structures")
    slicer.util.updateVolumeFromArray(labels, (values[..., 0] > 100).astype(np.uint8))
    module = slicer_app.open_module(FOLDER, NAME)
    chosen = module.widget._parameterNode
    chosen.fixedVolume, chosen.movingVolume = colour, labels
    shown = module.widget.panel._list
    assert [found.finding.code for found in shown.shown] == ["vector", "label-map"]
    slicer_app.screenshot(module.parent, SCREENSHOTS / "preprocess-findings.png")
    assert not module.ui.applyButton.enabled
    assert "errors" in module.ui.applyButton.toolTip
    next(button for button, found in shown.buttons if found.finding.code == "vector").click()
    made = chosen.fixedVolume
    assert made is not colour
    assert made.GetParentTransformNode() is parent
    np.testing.assert_allclose(ijk_to_world_ras(made), ijk_to_world_ras(colour), atol=1e-9)
    np.testing.assert_allclose(voxels(made), values @ [0.3, 0.59, 0.11], atol=0.51)
    np.testing.assert_array_equal(voxels(colour), values)
    next(button for button, found in shown.buttons if found.finding.code == "label-map").click()
    assert chosen.movingMask is labels
    assert chosen.movingVolume is None
    chosen.movingVolume = add_volume(scene, small_head[1], "MR")
    assert not shown.shown
    before = contents(scene)
    module.ui.checkButton.click()
    assert not module.ui.checkButton.enabled
    finish(slicer_app, module)
    assert contents(scene) == before
    assert not module.ui.problemLabel.visible, module.ui.problemLabel.text
    assert all("--" not in texts.finding_html(found) for found in shown.shown)


def test_a_region_is_found_edited_and_cut_to(slicer_app, opened, nodes):
    scene, (ct, _mr, start), chosen = slicer_app.scene, nodes, opened.widget._parameterNode
    slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration")
    opened.ui.findRegionButton.click()
    finish(slicer_app, opened)
    assert not opened.ui.problemLabel.visible, opened.ui.problemLabel.text
    roi = chosen.roi
    assert roi.GetDisplayNode().GetHandlesInteractive()
    assert chosen.initialTransform is start
    opened.ui.findRegionButton.click()
    finish(slicer_app, opened)
    assert chosen.roi is roi
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 1
    roi.SetSize(60.0, 50.0, 70.0)
    size_mm = sorted(roi.GetSize())
    chosen.biasCorrection = BiasCorrection.MOVING
    opened.ui.previewButton.click()
    slicer_app.wait_for(lambda: opened.ui.previewButton.enabled, 30)
    assert not opened.ui.previewLabel.isHidden()
    opened.ui.applyButton.click()
    finish(slicer_app, opened)
    assert not opened.ui.problemLabel.visible, opened.ui.problemLabel.text
    slicer_app.screenshot(opened.parent, SCREENSHOTS / "preprocess-after.png")
    assert sorted(roi.GetSize()) == size_mm
    copy = chosen.preparedFixed
    extent = np.sort(np.array(copy.GetImageData().GetDimensions()) * copy.GetSpacing())
    assert np.all(extent >= np.array(size_mm) - 1e-6)
    assert np.all(extent <= np.array(size_mm) + 2 * max(copy.GetSpacing()))
    assert chosen.movingBiasField is not None
    assert chosen.fixedBiasField is None
    # Another pair: what was found for this one is not used for it.
    chosen.fixedVolume = add_volume(scene, make_head("T2", CT_SMALL, CT_POSE, seed=4), "other")
    assert chosen.roi is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 1
    chosen.fixedVolume = ct
    opened.ui.removeButton.click()
    assert chosen.preparedFixed is None
    assert opened.ui.resultCollapsibleButton.isHidden()


def test_find_region_turns_and_fits_the_views_to_the_fixed_volume(slicer_app, opened, nodes):
    layout, (ct, mr, _start) = slicer_app.open_slice_views(), nodes
    views = [layout.sliceWidget(name) for name in layout.sliceViewNames()]
    for view in views:
        view.mrmlSliceCompositeNode().SetBackgroundVolumeID(mr.GetID())
        view.mrmlSliceNode().RotateToVolumePlane(mr)
        view.mrmlSliceNode().SetFieldOfView(20, 15, 1)
    opened.ui.findRegionButton.click()
    finish(slicer_app, opened)
    center, bounds = np.zeros(3), np.zeros(6)
    opened.widget._parameterNode.roi.GetCenterWorld(center)
    ct.GetRASBounds(bounds)
    axes = ijk_to_world_ras(ct)[:3, :3]
    for view in views:
        assert view.mrmlSliceCompositeNode().GetBackgroundVolumeID() == ct.GetID()
        plane = slicer.util.arrayFromVTKMatrix(view.mrmlSliceNode().GetSliceToRAS())
        along = np.abs(plane[:3, 2] @ (axes / np.linalg.norm(axes, axis=0)))
        assert along.max() == pytest.approx(1, abs=1e-6), "in a plane of the volume"
        off_mm = plane[:3, 2] @ (plane[:3, 3] - center)
        assert abs(off_mm) <= max(ct.GetSpacing()) / 2, "through the middle of the region"
        assert max(view.mrmlSliceNode().GetFieldOfView()[:2]) > 0.7 * (bounds[1::2] - bounds[::2]).min(), "all of it"


def test_a_run_of_preprocess_has_a_log(slicer_app, opened):
    opened.ui.findRegionButton.click()
    finish(slicer_app, opened)
    lines = opened.ui.logText.plainText.splitlines()
    assert lines[0] == "0:00 Writing the volumes"
    assert len(lines) > 1


def test_the_region_is_not_seen_over_a_registered_result(slicer_app, opened):
    """However the user goes there: by the button of the panel, or by the list of modules."""
    opened.ui.findRegionButton.click()
    finish(slicer_app, opened)
    roi = opened.widget._parameterNode.roi
    assert roi.GetDisplayNode().GetVisibility()
    slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration")
    slicer_app.open_main_window()
    slicer.util.selectModule(NAME)
    slicer.util.selectModule("MultimodalRegistration")
    assert not roi.GetDisplayNode().GetVisibility()
    slicer.util.selectModule(NAME)
    assert roi.GetDisplayNode().GetVisibility()


def test_a_volume_that_is_kept_whole_is_not_said_to_be_cut(slicer_app, small_head):
    """The same volume twice: what both show is all of it."""
    opened = slicer_app.open_module(FOLDER, NAME)
    parameters = opened.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = (
        add_volume(slicer_app.scene, small_head[0], name) for name in ("CT", "CT again")
    )
    parameters.prealignment = type(parameters.prealignment).TRANSFORM
    parameters.initialTransform = slicer_app.scene.AddNewNodeByClass("vtkMRMLTransformNode", "none")
    parameters.marginMm = 500
    opened.ui.applyButton.click()
    finish(slicer_app, opened)
    assert not opened.ui.problemLabel.visible, opened.ui.problemLabel.text
    size = " x ".join(map(str, CT_SMALL.size))
    assert opened.ui.factsLabel.text.count(f"kept whole, {size} voxels") == 2
    assert "cut from" not in opened.ui.factsLabel.text


@pytest.mark.parametrize("how", ["cancel", "close", "reload", "quit"])
def test_an_ended_run_leaves_nothing(slicer_app, opened, how):
    before = contents(slicer_app.scene)
    opened.ui.applyButton.click()
    slicer_app.wait_for(lambda: opened.ui.progressBar.value > 50, 30)
    assert opened.ui.applyButton.toolTip == "" or opened.ui.applyButton.enabled
    assert "Wait" in opened.ui.findRegionButton.toolTip
    if how == "cancel":
        opened.ui.applyButton.click()
        assert opened.ui.applyButton.text == "Prepare"
        assert "as it was" in opened.ui.problemLabel.text
        assert contents(slicer_app.scene) == before
    elif how == "close":
        slicer_app.scene.Clear(0)
        assert opened.widget._parameterNode.fixedVolume is None
        assert opened.ui.applyButton.text == "Prepare"
    elif how == "reload":
        opened.reload()
        assert contents(slicer_app.scene) == before
        assert opened.widget._parameterNode.fixedVolume is not None
    else:
        opened.close()
        slicer_app._opened.remove(opened)
    slicer_app.wait_for(lambda: not leftovers(slicer_app), 10)
    slicer_app.process_events(200)


def test_a_removed_volume_ends_the_run_at_once_and_is_named(slicer_app, opened, nodes):
    opened.ui.applyButton.click()
    slicer_app.wait_for(lambda: opened.ui.progressBar.value > 50, 30)
    slicer_app.scene.RemoveNode(nodes[1])
    before = contents(slicer_app.scene)
    slicer_app.process_events(50)
    assert not opened.widget.panel.running, "it goes on after all"
    finish(slicer_app, opened)
    assert "MR" in opened.ui.problemLabel.text
    assert "removed" in opened.ui.problemLabel.text
    assert contents(slicer_app.scene) == before
    assert "moving volume" in opened.ui.applyButton.toolTip


@pytest.mark.parametrize("task", ["findRegionButton", "applyButton"])
def test_what_was_found_for_a_volume_that_was_moved_meanwhile_is_not_used(slicer_app, opened, nodes, task):
    getattr(opened.ui, task).click()
    slicer_app.wait_for(lambda: opened.ui.progressBar.value > 50, 30)
    add_parent(slicer_app.scene, nodes[0], rigid([1, 0, 0], 10, [0, 50, 0]))
    before = contents(slicer_app.scene)
    finish(slicer_app, opened)
    assert "CT: it was moved" in opened.ui.problemLabel.text
    assert contents(slicer_app.scene) == before


def test_a_failure_names_the_node_and_adds_nothing(slicer_app, opened, nodes):
    nodes[2].SetMatrixTransformToParent(vtk_matrix(rigid([1, 0, 0], 0, [4000, 0, 0])))
    before = contents(slicer_app.scene)
    opened.ui.applyButton.click()
    finish(slicer_app, opened)
    assert "CT and MR: there is nothing that both show" in opened.ui.problemLabel.text
    assert contents(slicer_app.scene) == before
    chosen = opened.widget._parameterNode
    chosen.biasCorrection = BiasCorrection.FIXED
    opened.ui.previewButton.click()
    slicer_app.wait_for(lambda: opened.ui.previewButton.enabled, 30)
    assert "CT" in opened.ui.problemLabel.text
    assert opened.ui.previewLabel.isHidden()


def test_everything_comes_back_with_the_scene(slicer_app, opened, tmp_path):
    chosen = opened.widget._parameterNode
    chosen.marginMm, chosen.isotropic, chosen.isotropicMm = 17.0, True, 2.5
    chosen.biasCorrection, chosen.masks = BiasCorrection.MOVING, False
    opened.ui.applyButton.click()
    finish(slicer_app, opened)
    assert not opened.ui.problemLabel.visible, opened.ui.problemLabel.text
    facts, shape = list(chosen.facts), voxels(chosen.preparedFixed).shape
    assert chosen.preparedFixedMask is None
    np.testing.assert_allclose(chosen.preparedFixed.GetSpacing(), 2.5, atol=1e-9)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer_app.scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    again = opened.widget._parameterNode
    assert (again.marginMm, again.isotropic, again.isotropicMm) == (17.0, True, 2.5)
    assert again.biasCorrection == BiasCorrection.MOVING
    assert not again.masks
    assert again.fixedVolume.GetName() == "CT"
    assert again.preparedFixed.GetName() == "CT prepared"
    assert again.preparedFixed.GetNodeReference(ORIGINAL_ROLE) is again.fixedVolume
    assert list(again.facts) == facts
    assert voxels(again.preparedFixed).shape == shape
    assert found_for(again.roi, again.fixedVolume, again.movingVolume)
    assert opened.ui.marginSpinBox.value == 17.0


def test_long_names_do_not_widen_the_panel(slicer_app, small_head):
    labels = slicer_app.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "x" * 400)
    slicer.util.updateVolumeFromArray(labels, np.ones((5, 6, 7), np.uint8))
    module = slicer_app.open_module(FOLDER, NAME)
    module.widget._parameterNode.fixedVolume = labels
    assert module.ui.findingsWidget.minimumSizeHint.width() < 400
    assert module.widget.panel._list.shown[0].name == "x" * 400


def add_points(scene, name, points_ras):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for point in points_ras:
        node.AddControlPoint(*point)
    return node


def test_landmarks_or_a_search_bring_the_volumes_together(slicer_app, opened, nodes, truth_ct_to_mr_lps):
    ct, mr, start = nodes
    scene, chosen = slicer_app.scene, opened.widget._parameterNode
    to_ct_world = np.array([start.GetMatrixTransformToParent().GetElement(i, j) for i in range(4) for j in range(4)])
    on_mr_ras = flip_points_lps_ras(target_points_lps(MR_POSE))
    on_ct_ras = apply_matrix(to_ct_world.reshape(4, 4), on_mr_ras)
    chosen.fixedLandmarks = add_points(scene, "F", on_ct_ras[::9])
    chosen.movingLandmarks = add_points(scene, "M", on_mr_ras[::9])
    for method, limit_mm in ((Prealignment.LANDMARKS, 0.01), (Prealignment.SEARCH, 15.0)):
        chosen.prealignment, chosen.roi = method, None
        opened.ui.findRegionButton.click()
        finish(slicer_app, opened, 300)
        assert not opened.ui.problemLabel.visible, opened.ui.problemLabel.text
        assert chosen.prealignment == Prealignment.TRANSFORM
        found = slicer.util.arrayFromTransformMatrix(chosen.initialTransform)
        error_mm = np.linalg.norm(apply_matrix(found, on_mr_ras) - on_ct_ras, axis=1)
        print(method, error_mm.max())
        assert error_mm.max() < limit_mm
        assert found_for(chosen.initialTransform, ct, mr)


def test_a_region_around_labels(slicer_app, opened, nodes):
    ct, _mr, _start = nodes
    labels = slicer_app.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "tumour")
    marked = np.zeros(CT_SMALL.size[::-1], np.uint8)
    marked[15:22, 30:40, 20:38] = 3
    slicer.util.updateVolumeFromArray(labels, marked)
    labels.CopyOrientation(ct)
    labels.SetAndObserveTransformNodeID(ct.GetTransformNodeID())
    chosen = opened.widget._parameterNode
    chosen.regionParts, chosen.marginMm, chosen.masks = labels, 4.0, False
    opened.ui.findRegionButton.click()
    finish(slicer_app, opened)
    assert not opened.ui.problemLabel.visible, opened.ui.problemLabel.text
    wanted = (np.array([18, 10, 7]) - 1) * CT_SMALL.spacing_mm + 8
    np.testing.assert_allclose(np.sort(chosen.roi.GetSize()), np.sort(wanted), atol=1e-4)
    opened.ui.applyButton.click()
    finish(slicer_app, opened)
    assert voxels(chosen.preparedFixed).shape == (9, 12, 20)
    assert chosen.preparedFixedMask is None


def test_the_logic_in_one_line(slicer_app, nodes):
    module = slicer_app.open_module(FOLDER, NAME)
    ct, mr, start = nodes
    made = module.logic.preprocess(ct, mr, initial_transform_node=start, margin_mm=5)
    assert made.fixed.GetName() == "CT prepared"
    assert made.prealignment is start
    assert module.logic.check(ct, ct)[0].finding.severity == "error"


def test_the_result_is_handed_to_the_registration_and_taken_back(slicer_app, opened, nodes):
    ct, mr, start = nodes
    chosen = opened.widget._parameterNode
    assert not opened.ui.registerButton.enabled
    registration = slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration")
    slicer_app.open_main_window()
    with BlockMeter() as meter:
        opened.ui.applyButton.click()
        finish(slicer_app, opened)
    assert_lively(meter)
    opened.ui.registerButton.click()
    there = registration.logic.getParameterNode()
    assert there.fixedVolume is chosen.preparedFixed
    assert there.movingVolume is chosen.preparedMoving
    assert there.movingMask is chosen.preparedMovingMask
    assert there.initialTransform is start
    assert registration.parent.isEntered
    assert chosen.roi.GetDisplayNode().GetVisibility() == 0, "the region would lie over the result"
    opened.widget.enter()
    chosen = opened.widget._parameterNode
    assert chosen.roi.GetDisplayNode().GetVisibility() == 1
    opened.ui.removeButton.click()
    assert (there.fixedVolume, there.movingVolume) == (ct, mr)
    assert there.movingMask is None
    assert chosen.preparedMoving is None


def test_check_lists_what_is_wrong_with_the_voxels(slicer_app, small_head):
    scene = slicer_app.scene
    constant = add_volume(scene, small_head[1], "all <the same>")
    voxels(constant)[:] = 7
    constant.Modified()
    raw = add_volume(scene, small_head[0], "raw")
    slicer.util.updateVolumeFromArray(raw, np.clip(voxels(raw) + 1024, 0, 4000).astype(np.int16))
    module = slicer_app.open_module(FOLDER, NAME)
    chosen, shown = module.widget._parameterNode, module.widget.panel._list
    chosen.fixedVolume, chosen.movingVolume = constant, raw
    assert module.ui.applyButton.enabled
    module.ui.checkButton.click()
    finish(slicer_app, module)
    assert not module.ui.problemLabel.visible, module.ui.problemLabel.text
    found = {(each.role, each.finding.code): each.finding for each in shown.shown}
    assert shown.shown[0].finding.severity == "error"
    assert any(role == "fixed" and finding.severity == "error" for (role, _), finding in found.items())
    assert ("moving", "ct-without-rescale") in found
    slicer_app.screenshot(module.parent, SCREENSHOTS / "preprocess-check.png")
    assert "all &lt;the same&gt;" in texts.finding_html(shown.shown[0])
    assert "/" not in texts.finding_html(shown.shown[0]).replace("</", "")
    assert not module.ui.applyButton.enabled
    next(button for button, each in shown.buttons if each.finding.code == "ct-without-rescale").click()
    assert chosen.movingVolume.GetName() == "raw HU"
    assert voxels(chosen.movingVolume).min() < -900
    assert voxels(raw).min() >= 0


def fine_mr(scene, size=(200, 190, 150)):
    """An MR of 5.7 million voxels."""
    grid = centered_grid(list(size), [1.0, 1.1, 1.3], rotation([-0.2, 1, 0.5], 81), [-25, 18, 66])
    return add_volume(scene, make_head("T1", grid, MR_POSE, seed=2), "fine MR")


def test_the_window_lives_while_the_preview_is_made(slicer_app, opened):
    chosen = opened.widget._parameterNode
    chosen.biasCorrection, chosen.movingVolume = BiasCorrection.MOVING, fine_mr(slicer_app.scene)
    slicer_app.process_events(50)
    with BlockMeter() as meter:
        opened.ui.previewButton.click()
        assert not opened.ui.previewButton.enabled
        assert "being made" in opened.ui.previewButton.toolTip
        assert opened.ui.previewLabel.isHidden()
        slicer_app.wait_for(lambda: opened.ui.previewButton.enabled, 30)
    assert not opened.ui.previewLabel.isHidden()
    assert opened.ui.previewLabel.pixmap.width() > 300
    assert_lively(meter)


@pytest.mark.parametrize("what", ["other volume", "node removed", "scene", "reload", "quit"])
def test_what_goes_while_the_preview_is_made(slicer_app, opened, nodes, what):
    import threading

    chosen = opened.widget._parameterNode
    chosen.biasCorrection, chosen.movingVolume = BiasCorrection.MOVING, fine_mr(slicer_app.scene)
    before = contents(slicer_app.scene)
    others = threading.active_count()
    opened.ui.previewButton.click()
    slicer_app.wait_for(lambda: threading.active_count() > others, 10)
    if what == "other volume":
        chosen.movingVolume = nodes[1]
    elif what == "node removed":
        slicer_app.scene.RemoveNode(chosen.movingVolume)
        assert opened.ui.applyButton.toolTip
    elif what == "scene":
        slicer_app.scene.Clear(0)
    elif what == "reload":
        opened.reload()
    else:
        opened.close()
    slicer_app.wait_for(lambda: threading.active_count() <= others, 10)
    slicer_app.process_events(50)
    if what in ("other volume", "reload"):
        assert contents(slicer_app.scene) == before
        assert opened.ui.previewButton.enabled
    if what != "quit":
        assert opened.ui.previewLabel.isHidden()
