"""Runs of the registration panel: cancelled, overtaken by changes of the scene, and with the real command."""

from __future__ import annotations

import signal
import sys
import time

import numpy as np
import psutil
import pytest
import slicer
import vtk
from conftest import PROJECT, SCREENSHOTS
from MultimodalRegistrationLib.core.errors import ExitCode, FieldName, InputError
from panel_helpers import (
    FakeProcess,
    add_scan,
    add_voxels,
    assert_lively,
    grid,
    scene_state,
)
from registration_panel import FOLDER, finish, folders, shown, start

pytest.importorskip("PySide6.QtWidgets")
pytest_plugins = ["registration_panel"]


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
def test_a_removed_volume_ends_the_run_at_once(slicer_app, ready, pair, which):
    start(slicer_app, ready)
    before = set(scene_state()) - {pair[which].GetID()}
    slicer.mrmlScene.RemoveNode(pair[which])
    # At once, and not after all the work.
    slicer_app.wait_for(lambda: not ready.widget.panel.running)
    slicer_app.process_events(20)
    name = ("scan A", "scan B")[which]
    assert f"{name}: the volume was removed while the registration ran" in ready.ui.messageLabel.text
    assert set(scene_state()) == before
    slicer_app.wait_for(lambda: folders(slicer_app) == [])


def test_a_volume_to_carry_along_removed_meanwhile(slicer_app, ready, pair):
    other = add_scan("scan C", seed=3)
    ready.widget._parameterNode.carried = [other]
    start(slicer_app, ready)
    slicer.mrmlScene.RemoveNode(other)
    finish(slicer_app, ready)
    assert "not carried along: scan C" in ready.ui.messageLabel.text
    assert pair[1].GetParentTransformNode() is not None


@pytest.mark.parametrize("which", [0, 1])
def test_nothing_is_moved_where_a_volume_was_moved_meanwhile(slicer_app, ready, pair, which):
    """The result holds for where both lay."""
    start(slicer_app, ready)
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "elsewhere")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 30)
    parent.SetMatrixTransformToParent(matrix)
    pair[which].SetAndObserveTransformNodeID(parent.GetID())
    finish(slicer_app, ready)
    assert pair[which].GetParentTransformNode() is parent
    assert pair[1 - which].GetParentTransformNode() is None
    assert f"{('scan A', 'scan B')[which]} was moved while" in ready.ui.messageLabel.text


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


class StubbornProcess(FakeProcess):
    """Does not end before it is killed."""

    granted_ms: list[int] = []  # noqa: RUF012

    def wait(self, milliseconds):
        if "kill" in self.calls:
            return super().wait(milliseconds)
        self.granted_ms.append(milliseconds)
        time.sleep(milliseconds / 1000)
        return False

    def kill(self):
        self.calls.append("kill")


def test_quitting_waits_for_every_run_that_was_cancelled(slicer_app, ready):
    processes = []
    for _ in range(3):
        processes.append(start(slicer_app, ready))
        ready.ui.registerButton.click()
    ready.close()
    assert all(process.calls[-1] in ("wait", "kill") for process in processes)
    assert folders(slicer_app) == []


def test_quitting_gives_all_runs_half_a_second_together_and_waits_for_the_killed(slicer_app, ready):
    StubbornProcess.granted_ms.clear()
    ready.widget.panel.make_process = StubbornProcess
    processes = [start(slicer_app, ready)]
    ready.ui.registerButton.click()
    processes.append(start(slicer_app, ready))
    ready.close()
    assert sum(StubbornProcess.granted_ms) <= 500
    for process in processes:
        assert "kill" in process.calls
        assert process.calls[-1] == "wait"
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
    assert "Wait for what is running" in ready.ui.messageLabel.text
    assert len(FakeProcess.made) == 1
    finish(slicer_app, ready)


def test_an_error_names_the_control_of_a_field(slicer_app, ready):
    process = start(slicer_app, ready)
    process.tell_error(InputError(FieldName("max_rotation_deg", "max_translation_mm"), "given together", "Leave one."))
    text = "the largest rotation and the largest translation: given together. Leave one."
    assert ready.ui.messageLabel.text == text


@pytest.mark.story("U23")
def test_an_error_names_the_node(slicer_app, ready):
    process = start(slicer_app, ready)
    subject = str(process.file("--fixed"))
    process.tell_error(InputError(subject, "3 voxels are NaN", "Replace them."))
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


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
def test_a_signal_is_no_exit_code_of_the_command(slicer_app, opened, pair):
    """Qt gives the number of the signal, here that of a failed verdict."""
    parameters = opened.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = pair
    opened.ui.registerButton.click()
    slicer_app.wait_for(lambda: "poses" in opened.ui.stageLabel.text, 60)
    assert signal.SIGABRT == ExitCode.FAILED
    for child in psutil.Process().children():
        child.send_signal(signal.SIGABRT)
    slicer_app.wait_for(lambda: not opened.widget.panel.running, 10)
    assert "its process ended unexpectedly (code -6)" in opened.ui.messageLabel.text
    assert folders(slicer_app) == []


@pytest.mark.slow
def test_a_failed_result_of_a_real_run_is_shown(slicer_app, opened, pair):
    """The user of the panel decides, so that the transform is there, and the volume that was asked for."""
    values = np.random.default_rng(3).normal(100, 20, (44, 40, 36))
    noise = add_voxels("noise", values, grid((36, 40, 44), (6.0, 6.0, 6.0), [0, 0, 0]))
    parameters = opened.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = pair[0], noise
    parameters.resampledVolume = True
    opened.ui.registerButton.click()
    slicer_app.wait_for(lambda: not opened.widget.panel.running, 120)
    slicer_app.process_events(20)
    assert "FAILED" in opened.ui.verdictLabel.text, opened.ui.messageLabel.text
    assert opened.widget.logic.result(parameters.resultTransform).verdict["word"] == "failed"
    assert slicer.util.getNode("noise resampled") is not None
    assert "keep-failed" not in opened.ui.logText.toPlainText()


@pytest.mark.parametrize("stage", ["Writing", "poses"])
def test_quitting_ends_a_real_run(slicer_app, opened, pair, stage, monkeypatch):
    from MultimodalRegistrationLib.panels.common.background_job import BackgroundJob

    killed, kill = [], BackgroundJob.kill

    def kill_at_last(job):
        killed.append(time.monotonic())
        kill(job)

    monkeypatch.setattr(BackgroundJob, "kill", kill_at_last)
    parameters = opened.widget._parameterNode
    parameters.fixedVolume, parameters.movingVolume = pair
    opened.ui.registerButton.click()
    slicer_app.wait_for(lambda: bool(psutil.Process().children()) and stage in opened.ui.stageLabel.text, 60)
    children = psutil.Process().children(recursive=True)
    began, computed = time.monotonic(), time.thread_time()
    opened.close()
    print(f"{stage}: closed after {time.monotonic() - began:.2f} s, {time.thread_time() - computed:.2f} s computed")
    # Half a second of waiting, and the rest of the panel; how soon a killed process is gone is up to the system.
    assert killed[0] - began < 1.5
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


@pytest.mark.story("U1", "U22")
@pytest.mark.slow
def test_three_clicks_to_a_verified_registration(slicer_app):
    from MultimodalRegistrationLib.mrml.phantom_case import add_phantom_case, phantom_error_mm
    from StandIn.blocks import BlockMeter

    slicer_app.open_slice_views()
    # As installed: the whole extension.
    slicer_app.open_module(PROJECT / "RegistrationQA", "MultimodalRegistrationQA").exit()
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
    assert module.ui.qaButton.enabled
    assert phantom_error_mm(module.widget._parameterNode.resultTransform) < 2.0
    assert moving.GetParentTransformNode() is module.widget._parameterNode.resultTransform
    assert_lively(meter, rest)
