"""Points that the images refine, in the panel of FiducialPrealign: shown first, then taken, and taken back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

if not os.environ.get("CI"):
    pytest.importorskip("PySide6.QtWidgets", reason="the panel needs Qt")
    pytest.importorskip("slicer", reason="the panel needs MRML")
import slicer
from conftest import CT_POSE, PROJECT, SCREENSHOTS, rigid
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import target_points_lps
from panel_helpers import FakeProcess, add_voxels, assert_lively, grid
from seen_state import assert_given_back, snapshot
from test_panel_prealign import add_list, add_transform, world_points

FOLDER = PROJECT / "FiducialPrealign"
PARENT_RAS = rigid([1, -0.2, 0.6], 41, [-15, 33, 8])
SD_MM = 4.0


@pytest.fixture
def module(slicer_app):
    FakeProcess.made.clear()
    return slicer_app.open_module(FOLDER, "FiducialPrealign")


@pytest.fixture
def scene(module, slicer_app, head_ct, head_mr, truth_ct_to_mr_lps):
    """The phantom with points; the moving side lies under a rotated parent. Gives their true places in the world."""
    fixed_lps = target_points_lps(CT_POSE)[:8]
    partners = apply_matrix(PARENT_RAS, flip_points_lps_ras(apply_matrix(truth_ct_to_mr_lps, fixed_lps)))
    rough = partners + np.random.default_rng(5).normal(0, SD_MM, partners.shape)
    parameters = module.widget._parameterNode
    parameters.fixedVolume = add_voxels("CT", head_ct.voxels, head_ct.grid)
    parameters.movingVolume = add_voxels("MR", head_mr.voxels, head_mr.grid)
    parameters.movingVolume.SetAndObserveTransformNodeID(add_transform(PARENT_RAS).GetID())
    parameters.fixedPoints = add_list("CT points", flip_points_lps_ras(fixed_lps))
    parameters.movingPoints = add_list("MR points", rough, parent_ras=PARENT_RAS)
    slicer_app.process_events(400)
    return parameters, partners


@pytest.fixture
def faked(module, scene):
    module.widget.panel._refine.make_process = FakeProcess
    return scene[0]


def start(slicer_app, module):
    before = len(FakeProcess.made)
    module.ui.refineButton.click()
    slicer_app.wait_for(lambda: len(FakeProcess.made) > before, 60)
    return FakeProcess.made[-1]


def finish(slicer_app, module, process, moves_mm, left_alone=""):
    """End with all points moved along R, or left alone."""
    points = module.widget.panel._points.appraising.live.pairs.moving_lps
    refined = [
        {
            "number": number,
            "label": str(number + 1),
            "before_lps": point.tolist(),
            "after_lps": (point - ([0, 0, 0] if left_alone else [moves_mm, 0, 0])).tolist(),
            "left_alone": left_alone,
        }
        for number, point in enumerate(points)
    ]
    process.file("--json").write_text(json.dumps({"refined": refined}))
    process.end(0)
    slicer_app.wait_for(lambda: not module.widget.panel._refine.running)


def nodes():
    scene = slicer.mrmlScene
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def folders(slicer_app):
    return list(Path(slicer_app.app.temporaryPath).glob("multimodal-registration-*"))


def test_points_are_refined_shown_taken_and_taken_back(module, scene, slicer_app):
    from StandIn.blocks import BlockMeter

    parameters, partners = scene
    before, ui = nodes(), module.ui
    rough = world_points(parameters.movingPoints)
    assert ui.refineButton.enabled, ui.refineButton.toolTip
    with BlockMeter() as meter:
        ui.refineButton.click()
        assert ui.refineButton.text == "Cancel"
        slicer_app.wait_for(lambda: not module.widget.panel._refine.running, 60)
    assert_lively(meter)
    assert "8 of 8 points would move" in ui.refineLabel.text
    assert "independently" in ui.refineLabel.text
    np.testing.assert_array_equal(world_points(parameters.movingPoints), rough)
    (preview,) = (slicer.mrmlScene.GetNodeByID(one) for one in nodes() - before if "Display" not in one)
    assert np.linalg.norm(world_points(preview) - partners, axis=1).max() < 1.0
    slicer_app.screenshot(module.parent, SCREENSHOTS / "FiducialPrealign-refine.png")
    ui.takeRefinedButton.click()
    assert nodes() == before
    assert np.linalg.norm(world_points(parameters.movingPoints) - partners, axis=1).max() < 1.0
    assert ui.leaveRefinedButton.text == "Undo"
    ui.leaveRefinedButton.click()
    np.testing.assert_allclose(world_points(parameters.movingPoints), rough, atol=1e-9)
    assert not ui.leaveRefinedButton.visible
    assert nodes() == before
    assert folders(slicer_app) == []


def test_refined_points_can_be_discarded(module, faked, slicer_app):
    before, rough = nodes(), world_points(faked.movingPoints)
    finish(slicer_app, module, start(slicer_app, module), 3.0)
    assert "by 3.0 to 3.0 mm" in module.ui.refineLabel.text
    module.ui.leaveRefinedButton.click()
    assert nodes() == before
    np.testing.assert_array_equal(world_points(faked.movingPoints), rough)
    assert not module.ui.takeRefinedButton.visible


def test_points_that_are_left_alone_are_named(module, faked, slicer_app):
    before = nodes()
    finish(slicer_app, module, start(slicer_app, module), 0.0, left_alone="within 12 mm of it 'CT' shows nothing")
    assert "'nasion' stays: within 12 mm of it 'CT' shows nothing." in module.ui.refineLabel.text
    assert not module.ui.takeRefinedButton.visible
    assert nodes() == before


def test_a_point_that_was_moved_meanwhile_stays(module, faked, slicer_app):
    process = start(slicer_app, module)
    finish(slicer_app, module, process, 3.0)
    faked.movingPoints.SetNthControlPointPosition(2, 1.0, 2.0, 3.0)
    module.ui.takeRefinedButton.click()
    assert "Points moved: 7." in module.ui.refineLabel.text
    np.testing.assert_allclose(faked.movingPoints.GetNthControlPointPosition(2), (1, 2, 3))


def test_the_chosen_row_alone_is_refined(module, faked, slicer_app):
    module.ui.refineScopeBox.setCurrentIndex(1)
    assert not module.ui.refineButton.enabled
    assert "Click a pair" in module.ui.refineButton.toolTip
    module.ui.pairTable.setCurrentCell(3, 1)
    slicer_app.process_events(50)
    assert module.ui.refineButton.enabled, module.ui.refineButton.toolTip
    process = start(slicer_app, module)
    assert process.asked("only") == ["4"]
    module.ui.refineButton.click()
    assert module.ui.refineLabel.text == "Cancelled; the scene is as it was."


def test_the_volume_that_is_missing_is_named(module, faked, slicer_app):
    faked.movingVolume = None
    slicer_app.process_events(400)
    assert not module.ui.refineButton.enabled
    assert module.ui.refineButton.toolTip == "Choose a moving volume: the one that is put onto CT."


def test_another_model_says_why_not(module, faked, slicer_app):
    faked.model = type(faked.model).AFFINE
    slicer_app.process_events(400)
    assert not module.ui.refineButton.enabled
    assert "one rigid body" in module.ui.refineButton.toolTip


def test_a_removed_volume_ends_the_run(module, faked, slicer_app):
    start(slicer_app, module)
    slicer.mrmlScene.RemoveNode(faked.movingVolume)
    slicer_app.wait_for(lambda: not module.widget.panel._refine.running)
    assert "MR" in module.ui.refineLabel.text
    assert "no point was moved" in module.ui.refineLabel.text
    slicer_app.wait_for(lambda: folders(slicer_app) == [])


@pytest.mark.parametrize("end", ["discard", "undo", "leave", "close"])
def test_nothing_is_left_of_refined_points(slicer_app, module, faked, end):
    slicer_app.open_slice_views()
    module.exit()
    left = snapshot()
    module.enter()
    slicer_app.process_events(400)
    before = snapshot() if end in ("discard", "undo") else left
    finish(slicer_app, module, start(slicer_app, module), 3.0)
    assert snapshot()["nodes"] != before["nodes"]
    ui = module.ui
    if end == "undo":
        ui.takeRefinedButton.click()
    if end in ("discard", "undo"):
        ui.leaveRefinedButton.click()
    else:
        {"leave": module.exit, "close": module.close}[end]()
    slicer_app.process_events(400)
    assert_given_back(snapshot(), before)
    assert end == "close" or not ui.takeRefinedButton.visible
    assert folders(slicer_app) == []


def test_nothing_is_left_of_refined_points_in_a_closed_scene(module, faked, slicer_app):
    finish(slicer_app, module, start(slicer_app, module), 3.0)
    slicer.mrmlScene.Clear(0)
    slicer_app.process_events(50)
    assert not [one for one in nodes() if "MarkupsFiducial" in one]
    assert folders(slicer_app) == []


def test_the_window_lives_with_large_volumes(module, faked, slicer_app):
    from StandIn.blocks import BlockMeter

    block = np.random.default_rng(1).integers(0, 1000, (20, 64, 64), dtype=np.int16)
    large = grid((512, 512, 400), (0.6, 0.6, 0.8), (0, 0, 0))
    for side in ("fixedVolume", "movingVolume"):
        setattr(faked, side, add_voxels(f"large {side}", np.tile(block, (20, 8, 8)), large))
    slicer_app.process_events(400)
    with BlockMeter() as meter:
        process = start(slicer_app, module)
        finish(slicer_app, module, process, 3.0)
        module.ui.takeRefinedButton.click()
    assert_lively(meter)
