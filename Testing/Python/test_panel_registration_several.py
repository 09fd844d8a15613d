"""The registration panel with several moving volumes, and with a lost transform, in the stand-in for Slicer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from conftest import SCREENSHOTS, centered_grid, rigid, rotation
from MultimodalRegistrationLib.core.errors import EngineError
from MultimodalRegistrationLib.core.frames import modelling_ras_from_resampling_lps
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.mrml.quality import record_of
from MultimodalRegistrationLib.mrml.spatial import spatial_transform_of_node
from MultimodalRegistrationLib.mrml.volumes import add_volume_node, slabs_of_node
from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix
from panel_helpers import FakeProcess, add_scan, assert_lively, scene_content
from registration_panel import finish, folders, matrix_of, opened, pair, ready, shown, start  # noqa: F401
from StandIn.blocks import BlockMeter

AWAY_RAS = rigid([0, 0.4, 1], 12, [15, -6, 9])


def verdict(word, error_mm=None, against=()):
    return {"verdict": {"word": word, "against": list(against), "facts": [], "estimated_error_mm": error_mm}}


@pytest.fixture
def three(ready, pair):  # noqa: F811
    """The panel with two further moving volumes ticked."""
    further = [add_scan(name, "CT", size=(30, 30, 30), seed=number) for number, name in enumerate(("late", "venous"))]
    for node in further:
        ready.ui.furtherSelector.setCheckState(node, 2)
    return [pair[1], *further]


def next_process(slicer_app, **changes):
    """End the run that goes on, and wait for the next one."""
    before = len(FakeProcess.made)
    FakeProcess.made[-1].finish(**changes)
    slicer_app.wait_for(lambda: len(FakeProcess.made) > before)
    return FakeProcess.made[-1]


def test_the_chosen_output_gets_the_result_of_the_first_volume(slicer_app, ready, three):  # noqa: F811
    parameters = ready.widget._parameterNode
    output = parameters.outputTransform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "mine")
    start(slicer_app, ready)
    next_process(slicer_app)
    next_process(slicer_app)
    finish(slicer_app, ready)
    parents = [node.GetParentTransformNode() for node in three]
    assert parents[0] is output
    assert [parent.GetName() for parent in parents] == ["mine", "late to scan A", "venous to scan A"]
    ready.ui.undoButton.click()
    assert output.GetScene() is slicer.mrmlScene
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformNode") == 1


@pytest.mark.story("U20")
def test_each_volume_gets_its_own_transform_and_the_worst_verdict_is_shown(slicer_app, ready, pair, three):  # noqa: F811
    ui, parameters = ready.ui, ready.widget._parameterNode
    assert parameters.furtherVolumes == three[1:]
    assert ui.registerButton.toolTip == "Put scan B, late, venous onto scan A, one after the other"
    before = scene_content()
    start(slicer_app, ready)
    assert "scan B (1 of 3)" in ui.stageLabel.text
    # What is chosen meanwhile is for the next time.
    parameters.furtherVolumes = []
    second = next_process(slicer_app, **verdict("verified", 0.7))
    assert ready.widget.panel.running
    assert "late (2 of 3)" in ui.stageLabel.text
    assert second.job["job"] == "register"
    sizes = [sitk.ReadImage(str(second.file(option))).GetSize() for option in ("--fixed", "--moving")]
    assert sizes == [(36, 40, 44), (30, 30, 30)]
    log = ui.logText.toPlainText().splitlines()
    assert [line for line in log if not line.startswith("0:")] == ["scan B (1 of 3)", "late (2 of 3)"]
    assert log[1] == "0:00 Writing the volumes"
    next_process(slicer_app, **verdict("failed", None, ["It is off."]))
    finish(slicer_app, ready, **verdict("uncertain", 2.25))
    names = ["scan B to scan A", "late to scan A", "venous to scan A"]
    assert [node.GetTransformNodeID() for node in three] == [slicer.util.getNode(name).GetID() for name in names]
    assert parameters.resultTransform.GetName() == "late to scan A"
    assert "FAILED" in ui.verdictLabel.text
    assert ui.messageLabel.text == (
        "scan B to scan A is verified, estimated error 0.7 mm.\nlate to scan A failed.\nvenous to scan A is uncertain, "
        "estimated error 2.2 mm.\nShown is late to scan A, which is trusted least."
    )
    ui.furtherCollapsibleButton.collapsed = False
    slicer_app.screenshot(ready.parent, SCREENSHOTS / "registration-several.png")
    # The others can be looked at; where the one that is shown is removed, another one is.
    assert [ui.resultsBox.itemText(n) for n in range(ui.resultsBox.count)] == names
    ui.resultsBox.setCurrentIndex(0)
    assert parameters.resultTransform.GetName() == "scan B to scan A"
    assert "VERIFIED" in ui.verdictLabel.text
    slicer.mrmlScene.RemoveNode(parameters.resultTransform)
    slicer_app.process_events(20)
    assert parameters.resultTransform.GetName() == "late to scan A"
    assert ui.undoButton.enabled
    ui.undoButton.click()
    assert not shown(ui.resultsBox)
    assert scene_content() == before
    assert folders(slicer_app) == []


def test_one_without_a_result_does_not_stop_the_others(slicer_app, ready, pair, three):  # noqa: F811
    ui = ready.ui
    start(slicer_app, ready)
    slicer.mrmlScene.RemoveNode(three[1])
    FakeProcess.made[-1].tell_error(EngineError("x", "too flat", "Look at it."))
    slicer_app.wait_for(lambda: len(FakeProcess.made) == 2)
    finish(slicer_app, ready, **verdict("verified", 0.5))
    assert "too flat" in ui.messageLabel.text
    assert "late: it was removed from the scene before its turn came" in ui.messageLabel.text
    assert "venous to scan A is verified" in ui.messageLabel.text
    assert "trusted least" not in ui.messageLabel.text
    assert "VERIFIED" in ui.verdictLabel.text
    assert three[0].GetParentTransformNode() is None
    assert three[2].GetParentTransformNode() is not None


def test_none_with_a_result(slicer_app, ready, pair, three):  # noqa: F811
    before = scene_content()
    start(slicer_app, ready)
    for count in (2, 3, 3):
        FakeProcess.made[-1].tell_error(EngineError("x", "too flat", "Look at it."))
        slicer_app.wait_for(lambda: len(FakeProcess.made) == count)  # noqa: B023
    slicer_app.wait_for(lambda: not ready.widget.panel.running)
    assert ready.ui.messageLabel.text.count("too flat") == 3
    assert ready.ui.resultCollapsibleButton.isHidden()
    assert scene_content() == before


def test_cancel_takes_back_what_was_added(slicer_app, ready, pair, three):  # noqa: F811
    before = scene_content()
    start(slicer_app, ready)
    next_process(slicer_app, **verdict("verified", 0.7))
    assert scene_content() != before
    ready.ui.registerButton.click()
    assert ready.ui.messageLabel.text == "Cancelled; the scene is as it was."
    assert scene_content() == before
    slicer_app.wait_for(lambda: folders(slicer_app) == [])


@pytest.mark.parametrize("how", ["scene", "module"])
def test_the_scene_or_the_module_goes_between_two_volumes(slicer_app, ready, pair, three, how):  # noqa: F811
    before = scene_content()
    start(slicer_app, ready)
    next_process(slicer_app, **verdict("verified", 0.7))
    if how == "scene":
        slicer.mrmlScene.Clear()
    else:
        ready.widget.cleanup()
        assert scene_content() == before
    assert not ready.widget.panel.running
    slicer_app.process_events(50)
    assert len(FakeProcess.made) == 2
    slicer_app.wait_for(lambda: folders(slicer_app) == [])


def test_what_is_carried_goes_with_the_first_and_nothing_is_moved_twice(slicer_app, ready, pair, three):  # noqa: F811
    parameters = ready.widget._parameterNode
    extra = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points of scan B")
    old = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bed")
    three[2].SetAndObserveTransformNodeID(old.GetID())
    parameters.carried = [extra, three[1]]
    parameters.resampledVolume = True
    before = scene_content()
    start(slicer_app, ready)
    for _ in range(2):
        resampled(FakeProcess.made[-1])
        next_process(slicer_app, **verdict("verified", 0.7))
    resampled(FakeProcess.made[-1])
    finish(slicer_app, ready, **verdict("verified", 0.8))
    names = [node.GetParentTransformNode().GetName() for node in (*three, extra)]
    assert names == ["scan B to scan A", "late to scan A", "venous to scan A after bed", "scan B to scan A"]
    assert slicer.util.getNode("late resampled").GetParentTransformNode() is None
    ready.ui.undoButton.click()
    assert scene_content() == before
    parameters.applyToMoving = False
    start(slicer_app, ready)
    for _ in range(2):
        resampled(FakeProcess.made[-1])
        next_process(slicer_app, **verdict("verified", 0.7))
    resampled(FakeProcess.made[-1])
    finish(slicer_app, ready, **verdict("verified", 0.8))
    assert three[0].GetParentTransformNode() is None
    assert three[2].GetParentTransformNode() is old


def resampled(process):
    image = sitk.Image([36, 40, 44], sitk.sitkFloat32)
    sitk.WriteImage(image, str(process.file("--output-volume")), True)


@pytest.mark.parametrize(("what", "words"), [("removed", "scan A: it was removed"), ("moved", "scan A: it was moved")])
def test_the_fixed_volume_goes_or_moves_between_two_volumes(slicer_app, ready, pair, three, what, words):  # noqa: F811
    start(slicer_app, ready)
    next_process(slicer_app, **verdict("verified", 0.7))
    if what == "removed":
        slicer.mrmlScene.RemoveNode(pair[0])
    else:
        pair[0].SetOrigin(1, 2, 3)
    finish(slicer_app, ready, **verdict("verified", 0.7))
    assert len(FakeProcess.made) == 2
    assert ready.ui.messageLabel.text.count(words) == 1
    assert "Not registered: venous" in ready.ui.messageLabel.text


def test_what_is_for_one_volume_alone_is_refused(ready, pair, three):  # noqa: F811
    parameters = ready.widget._parameterNode
    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "region")
    start_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "by hand")
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "clicked")
    parameters.fixedLandmarks = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "on the fixed one")
    for name, node, words in (
        ("movingLandmarks", points, "clicked is for scan B alone"),
        ("movingMask", mask, "region is for scan B alone"),
        ("structures", mask, "one moving volume at a time"),
        ("initialTransform", start_node, "by hand is for scan B alone"),
    ):
        setattr(parameters, name, node)
        assert not ready.ui.registerButton.enabled
        assert words in ready.ui.messageLabel.text
        setattr(parameters, name, None)
        parameters.fixedLandmarks = None
    parameters.fixedMask = mask
    assert ready.ui.registerButton.enabled
    # The volumes that are chosen above are not registered twice.
    parameters.furtherVolumes = list(pair)
    assert ready.ui.registerButton.toolTip == "Put scan B onto scan A"


@pytest.fixture
def lost(slicer_app, opened, head_ct):  # noqa: F811
    """A volume, its resampled copy, and the transform that was lost."""
    truth = rigid([0.4, 1, -0.3], 40, [-20, 12, 25])
    center = np.linalg.inv(truth) @ [*head_ct.grid.center_lps, 1]
    grid = centered_grid([60, 70, 50], [2.6, 2.5, 2.7], rotation([1, -1, 0.5], 8), center[:3] + np.array([8, -6, 5]))
    image = sitk.Resample(
        head_ct.image,
        grid.size,
        sitk_from_matrix(truth),
        sitk.sitkLinear,
        grid.origin_lps,
        grid.spacing_mm,
        grid.direction,
        -1024.0,
    )
    nodes = (
        add_volume_node(slicer.mrmlScene, head_ct, name="CT"),
        add_volume_node(slicer.mrmlScene, Volume(image, "copy"), name="copy"),
    )
    # Where it lies in the world counts, not where its file puts it.
    away = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bed")
    away.SetMatrixTransformToParent(vtk_from_matrix(AWAY_RAS))
    nodes[0].SetAndObserveTransformNodeID(away.GetID())
    opened.ui.originalSelector.setCurrentNode(nodes[0])
    opened.ui.resampledSelector.setCurrentNode(nodes[1])
    return nodes, modelling_ras_from_resampling_lps(truth) @ np.linalg.inv(AWAY_RAS)


@pytest.mark.story("U25")
def test_a_lost_transform_is_recovered(slicer_app, opened, lost):  # noqa: F811
    (original, resampled), truth_ras = lost
    ui = opened.ui
    assert ui.recoverButton.enabled, ui.recoverButton.toolTip
    ui.recoverButton.click()
    assert ui.registerButton.text == "Cancel"
    assert not ui.recoverButton.enabled
    with BlockMeter() as meter:
        slicer_app.wait_for(lambda: not opened.widget.panel.running, 120)
    assert_lively(meter)
    node = slicer.util.getNode("CT to copy (recovered)")
    corners = np.array([[x, y, z, 1] for x in (-80, 80) for y in (-80, 80) for z in (-60, 60)], dtype=float).T
    assert np.abs((matrix_of(node) - truth_ras) @ corners).max() < 0.2
    assert "a rigid transform; nothing was moved" in ui.messageLabel.text
    # To the assessment it is a transform like any other.
    spatial, _error = spatial_transform_of_node(node, slabs_of_node(resampled).grid)
    assert record_of(node, spatial, slabs_of_node(resampled).grid) == (None, ())
    assert original.GetParentTransformNode().GetName() == "bed"
    assert resampled.GetParentTransformNode() is None
    assert node.GetNodeReference(node.GetMovingNodeReferenceRole()) is original
    assert node.GetNodeReference(node.GetFixedNodeReferenceRole()) is resampled
    assert folders(slicer_app) == []
    ui.recoverCollapsibleButton.collapsed = False
    slicer_app.screenshot(opened.parent, SCREENSHOTS / "registration-recover.png")


def test_a_lost_transform_that_is_not_found_is_told(slicer_app, ready, pair):  # noqa: F811
    ui = ready.ui
    assert ui.recoverButton.toolTip == "Choose the volume as it was before it was resampled."
    ui.originalSelector.setCurrentNode(pair[0])
    ui.resampledSelector.setCurrentNode(pair[0])
    assert "is chosen as both volumes" in ui.recoverButton.toolTip
    ui.resampledSelector.setCurrentNode(pair[1])
    before = scene_content()
    ui.recoverButton.click()
    slicer_app.wait_for(lambda: FakeProcess.made)
    process = FakeProcess.made[-1]
    assert process.arguments[:3] == ["--events", "transform", "recover"]
    ui.registerButton.click()
    assert scene_content() == before
    ui.recoverButton.click()
    slicer_app.wait_for(lambda: len(FakeProcess.made) == 2)
    process = FakeProcess.made[-1]
    content = {
        "transform": {"matrix_lps": np.eye(4).tolist()},
        "motion": "affine",
        "explained": False,
        "rms_residual": 30.0,
        "intensity_sd": 60.0,
    }
    process.file("--json").write_text(json.dumps(content))
    process.end(0)
    slicer_app.wait_for(lambda: not ready.widget.panel.running)
    assert "do not trust it: what it leaves unexplained is 50% of the spread" in ui.messageLabel.text
    slicer.mrmlScene.Clear()
    assert not ui.recoverButton.enabled
