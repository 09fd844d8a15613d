"""The command as other programs run it: events on standard error, and an end with standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import SimpleITK as sitk


@pytest.fixture(scope="module")
def files(tmp_path_factory, head_ct, head_mr) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    sitk.WriteImage(head_ct.image, str(folder / "ct.nrrd"))
    sitk.WriteImage(head_mr.image, str(folder / "mr.nrrd"))
    return folder


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "MultimodalRegistrationLib", "--events", *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def register(files: Path, folder: Path) -> subprocess.Popen[str]:
    return start(
        *("register", "--fixed", files / "ct.nrrd", "--moving", files / "mr.nrrd", "--threads", 1),
        *("--output-transform", folder / "T.h5", "--json", folder / "R.json"),
    )


def until_the_end(process: subprocess.Popen[str]) -> str:
    """Wait with an open standard input, as a parent does that wants the result."""
    assert process.stderr is not None
    assert process.stdin is not None
    errors = process.stderr.read()
    process.wait(timeout=60)
    process.stdin.close()
    return errors


@pytest.mark.slow
def test_events_of_a_run(files, tmp_path):
    process = register(files, tmp_path)
    errors = until_the_end(process)
    events = [json.loads(line) for line in errors.splitlines()]
    assert process.returncode == 0, errors
    assert events[0] == {"event": "started", "pid": process.pid}
    progress = [event["fraction"] for event in events if event["event"] == "progress"]
    assert progress == sorted(progress)
    assert progress[-1] > 0.8
    assert len([event for event in events if event["event"] == "log"]) > 100
    assert {event["event"] for event in events} <= {"started", "progress", "log", "warning"}


def test_an_error_is_an_event(tmp_path):
    process = start("register", "--fixed", "none.nrrd", "--moving", "b.nrrd", "--output-transform", tmp_path / "T.h5")
    errors = until_the_end(process)
    last = json.loads(errors.splitlines()[-1])
    assert process.returncode == 2
    assert last["event"] == "error"
    assert "none.nrrd" in last["subject"]
    assert last["remedy"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["searching", "elastix", "judging"])
def test_the_run_ends_with_its_parent(files, tmp_path, stage):
    process = register(files, tmp_path)
    assert process.stderr is not None
    assert process.stdin is not None
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "progress" and stage in event["stage"]:
            break
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    began = time.monotonic()
    process.stdin.close()
    process.stderr.read()
    process.wait(timeout=10)
    assert time.monotonic() - began < 4
    assert process.returncode == 4
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    assert os.listdir(tmp_path) == []
