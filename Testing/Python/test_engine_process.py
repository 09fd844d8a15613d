"""Child processes: cancelled at once, never hanging, nothing left behind, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import CT_GRID, MR_GRID, PROJECT
from MultimodalRegistrationLib.core.errors import Cancelled, EngineError, EngineNotInstalledError
from MultimodalRegistrationLib.engines import supervisor
from MultimodalRegistrationLib.engines.catalogue import ENGINES
from MultimodalRegistrationLib.engines.jobs import EngineJob, EngineVolume, load_job, save_job
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.engines.session import EngineSession

pytestmark = pytest.mark.slow
LONGEST_END_SECONDS = 2.0


def job_for(engine, head_ct, head_mr):
    return EngineJob(
        EngineVolume(head_ct.voxels, head_ct.grid),
        EngineVolume(head_mr.voxels, head_mr.grid),
        find_preset("rigid").engines[engine],
        seed=1,
    )


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """Other runs on the machine must not be taken for what these tests leave behind."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def wait_until(condition, seconds=LONGEST_END_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def gone(pids):
    """Whether the processes have ended; a zombie that its parent has not collected yet has."""
    return all(not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in pids)


def tree(process_id):
    process = psutil.Process(process_id)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


def test_jobs_survive_the_hand_over(tmp_path, head_ct, head_mr):
    job = job_for("elastix", head_ct, head_mr)
    job = EngineJob(
        job.metric_fixed, EngineVolume(job.metric_moving.voxels, MR_GRID, head_mr.voxels > 100), job.stages, 7
    )
    read = load_job(save_job(job, tmp_path / "job"))
    assert (read.metric_fixed.grid, read.metric_moving.grid, read.stages, read.seed) == (
        CT_GRID,
        MR_GRID,
        job.stages,
        7,
    )
    np.testing.assert_array_equal(read.metric_moving.voxels, head_mr.voxels)
    np.testing.assert_array_equal(read.metric_moving.mask, head_mr.voxels > 100)
    assert read.metric_fixed.mask is None


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_cancel_at_any_moment_answers_within_a_second_and_leaves_nothing(
    engine, head_ct, head_mr, own_temporary_folder
):
    for delay in (0.0, 0.1, 0.4, 0.9, 1.5, 2.5):
        cancel = threading.Event()
        cancelled_at = []

        def ask(cancel=cancel, cancelled_at=cancelled_at):
            cancelled_at.append(time.monotonic())
            cancel.set()

        session = EngineSession(engine)
        pids = tree(session._child.supervisor.pid)
        timer = threading.Timer(delay, ask)
        timer.start()
        # So long a run that it cannot end before it is cancelled.
        job = job_for(engine, head_ct, head_mr)
        stage = {**job.stages[0], **LONG[engine]}
        with pytest.raises(Cancelled):
            session.run(EngineJob(job.metric_fixed, job.metric_moving, [stage], 1), cancel=cancel)
        assert time.monotonic() - cancelled_at[0] < 1.0
        if session._child.pid is not None:
            pids.append(session._child.pid)
        assert gone(pids)
        assert list(own_temporary_folder.iterdir()) == []


LONG = {
    "elastix": {"MaximumNumberOfIterations": 100_000},
    "ants": {"iterations": [10_000] * 3, "convergence_threshold": 0},
    "simpleitk": {"resolutions_mm": [2, 2], "iterations": 100_000, "samples": 1_000_000},
}

PARENT = """
import sys, threading
sys.path.insert(0, {tests!r})
from conftest import *
import test_engine_process as t
from MultimodalRegistrationLib.core.phantom import make_head
ct, mr = make_head("CT", CT_GRID, CT_POSE), make_head("T1", MR_GRID, MR_POSE)
session = t.EngineSession("elastix")
job = t.job_for("elastix", ct, mr)
stage = {{**job.stages[0], **t.LONG["elastix"]}}
def told(line):
    if line.startswith("1:ItNr"):
        print("running", session._child.supervisor.pid, session._child.pid, session.folder, flush=True)
session.run(t.EngineJob(job.metric_fixed, job.metric_moving, [stage], 1), on_line=told)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_nothing_is_left_when_the_application_dies(number):
    script = PARENT.format(tests=str(PROJECT / "Testing" / "Python"))
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    supervisor_pid, worker_pid, folder = parent.stdout.readline().split()[1:]
    assert Path(folder).is_dir()
    parent.send_signal(number)
    parent.wait()
    assert wait_until(lambda: gone([int(supervisor_pid), int(worker_pid)]))
    assert wait_until(lambda: not Path(folder).exists())


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL], ids=lambda n: n.name)
def test_a_crash_of_the_engine_is_an_error_with_its_log(number, head_ct, head_mr):
    session = EngineSession("elastix")

    def crash(line):
        if line.startswith("1:ItNr"):
            os.kill(session._child.pid, number)

    with pytest.raises(EngineError, match="crashed" if number == signal.SIGSEGV else "memory runs out") as caught:
        session.run(job_for("elastix", head_ct, head_mr), on_line=crash)
    assert "ELASTIX version" in caught.value.log
    assert not session.folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the worker's death signal is a feature of Linux")
def test_a_killed_supervisor_takes_the_engine_with_it(head_ct, head_mr):
    session = EngineSession("elastix")

    def kill(line):
        if line.startswith("1:ItNr"):
            os.kill(session._child.supervisor.pid, signal.SIGKILL)

    with pytest.raises(EngineError, match="was killed"):
        session.run(job_for("elastix", head_ct, head_mr), on_line=kill)
    assert wait_until(lambda: gone([session._child.pid]))
    assert not session.folder.exists()


def test_folders_of_killed_supervisors_are_removed_at_the_next_start(tmp_path):
    # A process number that was in use a moment ago and is free now.
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    abandoned = tmp_path / f"{supervisor.own_prefix()}{ended.pid}-abc"
    running = tmp_path / f"{supervisor.own_prefix()}{os.getpid()}-abc"
    elsewhere = tmp_path / f"{supervisor.FOLDER_PREFIX}other-machine-{ended.pid}-abc"
    for folder in (abandoned, running, elsewhere, tmp_path / "multimodal-registration-notes"):
        folder.mkdir()
    supervisor.remove_abandoned_folders(tmp_path)
    assert not abandoned.exists()
    assert running.exists()
    assert elsewhere.exists()
    assert (tmp_path / "multimodal-registration-notes").exists()


def test_one_session_runs_many_jobs(head_ct, head_mr):
    job = job_for("simpleitk", head_ct, head_mr)
    job = EngineJob(job.metric_fixed, job.metric_moving, [{**job.stages[0], "samples": 10_000}], job.seed)
    with EngineSession("simpleitk") as session:
        results = [session.run(job).metric_fixed_to_metric_moving_lps for _ in range(2)]
        assert [path.name for path in session.folder.iterdir()] == ["worker.pid"], "jobs are removed when they end"
    np.testing.assert_array_equal(results[0], results[1])


def test_a_failed_job_does_not_end_the_session(head_ct, head_mr):
    good = job_for("elastix", head_ct, head_mr)
    bad = EngineJob(good.metric_fixed, good.metric_moving, [{**good.stages[0], "Metric": "NoSuchMetric"}], 1)
    with EngineSession("elastix") as session:
        with pytest.raises(EngineError, match="NoSuchMetric"):
            session.run(bad)
        assert session.run(good).metric_fixed_to_metric_moving_lps.shape == (4, 4)


def test_an_error_of_the_caller_ends_the_job(head_ct, head_mr):
    session = EngineSession("elastix")

    def on_line(line):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.run(job_for("elastix", head_ct, head_mr), on_line=on_line)
    with pytest.raises(EngineError, match="session is closed"):
        session.run(job_for("elastix", head_ct, head_mr))


def test_little_overlap_is_explained_by_cause_and_remedy(head_ct, head_mr):
    good = job_for("elastix", head_ct, head_mr)
    far = EngineVolume(
        head_mr.voxels, MR_GRID.moved(np.array([[1, 0, 0, 170], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    )
    stage = {**good.stages[0], "RequiredRatioOfValidSamples": 0.5}
    with EngineSession("elastix") as session, pytest.raises(EngineError) as caught:
        session.run(EngineJob(good.metric_fixed, far, [stage], 1))
    assert "most points of one fall outside the other" in str(caught.value)
    assert "give a better initial transform" in str(caught.value)
    assert "oo many samples map outside" in caught.value.log


def test_no_overlap_is_explained_by_cause_and_remedy(head_ct, head_mr):
    good = job_for("simpleitk", head_ct, head_mr)
    far = EngineVolume(
        head_mr.voxels, MR_GRID.moved(np.array([[1, 0, 0, 900], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    )
    with EngineSession("simpleitk") as session, pytest.raises(EngineError, match="no point of one volume"):
        session.run(EngineJob(good.metric_fixed, far, good.stages, 1))


def test_a_missing_engine_is_told_with_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(EngineNotInstalledError, match=r'-m pip install --target .* "itk-elastix'):
        EngineSession("elastix")


def test_the_worker_does_not_see_slicers_plugin_folder(monkeypatch, head_ct, head_mr):
    monkeypatch.setenv("ITK_AUTOLOAD_PATH", "/nowhere")
    with EngineSession("simpleitk", threads=1) as session:
        session.wait_until_ready()
        environment = psutil.Process(session._child.pid).environ()
    assert "ITK_AUTOLOAD_PATH" not in environment
    assert environment["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"
