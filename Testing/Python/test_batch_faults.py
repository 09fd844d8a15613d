"""Nothing is lost: whatever is killed, full, broken or stuck, after --resume all is as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.engines import supervisor as supervisor_module
from MultimodalRegistrationLib.register.request import RegisterRequest
from MultimodalRegistrationLib.study.batch.case_process import Attempt, CaseProcess
from MultimodalRegistrationLib.study.batch.outcome import CaseError, read_outcome
from MultimodalRegistrationLib.study.batch.run_case import run_case
from MultimodalRegistrationLib.study.cases import Case, Step
from study_cases import batch, results_of, start_batch, tiny_study

CASES = 14
ROUNDS = 20
ALL_RUN = 7  # Not judged: each needs a look.


@pytest.fixture(scope="module")
def study(tmp_path_factory, head_ct, head_mr):
    return tiny_study(tmp_path_factory.mktemp("study") / "s", head_ct, head_mr, CASES)


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "D"
    code, printed = batch(study, "--output-dir", folder, "--workers", "2")
    assert code == ALL_RUN, printed
    found = results_of(folder)
    assert len(found) == 2 * CASES
    return found


def family(process, wanted):
    """Processes below one whose command names a module."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = []
    for child in children:
        try:
            # Not the supervisor, whose command holds that of its child.
            if wanted in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def stamps(folder):
    """What tells that a case's results are still those of the first time."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (folder / "cases").glob("*/case.json")}


@pytest.mark.story("U34")
def test_twenty_kills_at_random_moments(study, undisturbed, tmp_path):
    """Of the process of a case, the engine and the command itself."""
    rng = random.Random(11)
    folder, seen, killed, code = tmp_path / "D", {}, [], None
    modules = {
        "case": "MultimodalRegistrationLib.cli.case_worker",
        "engine": "MultimodalRegistrationLib.engines.worker",
    }
    while len(killed) < ROUNDS:
        if len(stamps(folder)) == CASES:
            # All is done before the kills are: once more, from the start.
            assert results_of(folder) == undisturbed
            folder, seen = tmp_path / f"D{len(killed)}", {}
        resume = ["--resume"] if folder.exists() else []
        with start_batch(study, "--output-dir", folder, "--workers", "2", "--retry", "9", *resume) as process:
            while process.poll() is None and len(killed) < ROUNDS:
                time.sleep(rng.uniform(0.1, 2.0))
                what = rng.choice(["case", "engine", "main"])
                targets = [psutil.Process(process.pid)] if what == "main" else family(process, modules[what])
                if process.poll() is not None or not targets:
                    continue
                rng.choice(targets).kill()
                killed.append(what)
                if what == "main":
                    break
            code = process.wait()
        now = stamps(folder)
        assert {name: now.get(name) for name in seen} == seen, "no case that had ended runs again"
        seen = now
    if len(stamps(folder)) < CASES or code != ALL_RUN:
        code, printed = batch(study, "--output-dir", folder, "--workers", "2", "--resume")
        assert code == ALL_RUN, printed
    assert results_of(folder) == undisturbed
    assert set(killed) == {"case", "engine", "main"}
    assert list(folder.glob(".running/*")) == []


def test_nothing_runs_on_when_the_command_is_killed(study, tmp_path):
    with start_batch(study, "--output-dir", tmp_path / "D", "--workers", "2") as process:
        while not family(process, "MultimodalRegistrationLib.engines.worker"):
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 40 MB with almost all of it taken."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("only an administrator may mount a small disk here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("left_kb", [2, 60, 400])
def test_a_full_disk_ends_the_run_and_no_case(study, undisturbed, small_disk, left_kb):
    folder = small_disk / "D"
    folder.mkdir()
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(40 * 2**20 - 1024 * (left_kb + 8)))
    code, printed = batch(study, "--output-dir", folder, "--workers", "2")
    assert code == 2, printed
    assert "full" in printed or "No space left" in printed
    before = stamps(folder)
    assert all(read_outcome(folder / "cases" / name).word == "not judged" for name in before)
    ballast.unlink()
    code, printed = batch(study, "--output-dir", folder, "--workers", "2", "--resume")
    assert code == ALL_RUN, printed
    assert results_of(folder) == undisturbed
    assert {name: stamps(folder)[name] for name in before} == before


def test_a_folder_that_cannot_be_written_is_refused(study, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, printed = batch(study, "--output-dir", small_disk / "D")
    assert code == 2
    assert "cannot be used" in printed


def test_a_corrupt_case_does_not_hurt_the_others(study, undisturbed, tmp_path):
    broken = study.parent / "broken.nrrd"
    whole = (study.parent / "moving-1.nrrd").read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    changed = study.with_name("corrupt.csv")
    changed.write_text(study.read_text().replace("moving-1.nrrd", "broken.nrrd"))
    folder = tmp_path / "D"
    code, printed = batch(changed, "--output-dir", folder, "--workers", "2")
    assert code == 8, printed
    outcome = read_outcome(folder / "cases" / "case-1")
    assert (outcome.word, outcome.attempts) == ("no result", 1)
    assert "broken.nrrd" in outcome.error.subject
    others = {name: content for name, content in undisturbed.items() if "/case-1/" not in name}
    assert results_of(folder) == others
    # Mended, it alone runs again.
    before = stamps(folder)
    broken.write_bytes(whole)
    code, printed = batch(changed, "--output-dir", folder, "--only", "failed")
    assert code == ALL_RUN, printed
    assert results_of(folder) == undisturbed
    after = stamps(folder)
    assert {name for name in before if before[name] != after[name]} == {"case-1"}


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no such signal on this system")
def test_a_case_that_hangs_is_ended_and_the_others_go_on(study, undisturbed, tmp_path):
    folder = tmp_path / "D"
    arguments = (study, "--output-dir", folder, "--workers", "1", "--retry", "0", "--timeout", "0.25")
    with start_batch(*arguments) as process:
        assert "case-0" in process.stdout.readline()
        (engine,) = family(process, "MultimodalRegistrationLib.engines.worker")
        os.kill(engine.pid, signal.SIGSTOP)
        printed = process.communicate()[0]
    assert process.returncode == 8, printed
    stuck = [name for name in stamps(folder) if read_outcome(folder / "cases" / name).word == "no result"]
    assert len(stuck) == 1
    assert "was not done after 0.25 min" in read_outcome(folder / "cases" / stuck[0]).error.found
    assert batch(study, "--output-dir", folder, "--only", "failed")[0] == ALL_RUN
    assert results_of(folder) == undisturbed


def test_a_case_that_eats_memory_is_ended(study, tmp_path):
    """More samples than anybody needs: elastix keeps each of them."""
    content = json.loads((study.parent / "quick.json").read_text())
    content["engines"]["elastix"][0]["NumberOfSpatialSamples"] = 60_000_000
    content["name"] = "hungry"
    hungry = study.with_name("hungry.json")
    hungry.write_text(json.dumps(content))
    paths = study.parent / "fixed.nrrd", study.parent / "moving-0.nrrd"
    common = RegisterRequest(fixed=str(paths[0]), moving=str(paths[1]), start="given", verdict=False)
    with CaseProcess(threads=1, timeout_s=100, memory_limit_bytes=1_300_000_000) as process:
        for name, found in ((hungry, "GiB of memory, where 1.2 are its share"), (study.with_name("quick.json"), None)):
            folder = tmp_path / name.stem
            folder.mkdir()
            steps = (Step("register", replace(common, preset=str(name))),)
            attempt = process.run(Case("case", "line 2", *paths, steps), folder)
            assert attempt.again == (found is not None)
            assert (attempt.error is None) == (found is None)
            assert found is None or found in attempt.error.found


def test_a_disk_that_is_nearly_full_is_not_the_fault_of_a_case(study, tmp_path, monkeypatch):
    """What failed may have needed more than is free now that it is gone."""

    class Failing:
        def run(self, case, folder, **_):
            return Attempt(CaseError("registered.nrrd", "the file cannot be written", "Look."), False, "")

    paths = study.parent / "fixed.nrrd", study.parent / "moving-0.nrrd"
    case = Case("case", "line 2", *paths, ())
    staging = tmp_path / "D" / ".running" / "case"
    staging.mkdir(parents=True)
    voxels = sum(np.prod(sitk.ReadImage(str(path)).GetSize()) for path in paths)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=20_000_000 + 8 * voxels - 1))
    with pytest.raises(InputError, match=r"nearly so .* and case ended with: the file cannot be written"):
        run_case(Failing(), case, lambda _: staging, retries=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=20_000_000 + 8 * voxels))
    assert run_case(Failing(), case, lambda _: staging, retries=0).outcome.word == "no result"


def test_a_request_to_end_is_no_result_of_a_case(study, undisturbed, tmp_path):
    """As when the system shuts down: the process of a case may be asked before the command is, or its engine."""
    folder, supervisor = tmp_path / "D", str(Path(supervisor_module.__file__))
    for what in ("MultimodalRegistrationLib.cli.case_worker", "MultimodalRegistrationLib.engines.worker", supervisor):
        done = stamps(folder)
        resume = ["--resume"] if done else []
        with start_batch(study, "--output-dir", folder, "--workers", "2", "--retry", "0", *resume) as process:
            while not (children := family(process, what)) or stamps(folder) == done:
                time.sleep(0.02)
            random.Random(len(done)).choice(children).terminate()
            printed = process.communicate()[0]
        assert process.returncode == 4, printed
        assert "--resume goes on" in printed
        assert all(read_outcome(folder / "cases" / name).word == "not judged" for name in stamps(folder))
    assert batch(study, "--output-dir", folder, "--workers", "2", "--resume")[0] == ALL_RUN
    assert results_of(folder) == undisturbed


def test_what_is_no_case_is_not_taken_for_one(study, tmp_path):
    folder = tmp_path / "D"
    few = study.with_name("one.csv")
    few.write_text("\n".join(study.read_text().splitlines()[:2]) + "\n")
    assert batch(few, "--output-dir", folder)[0] == ALL_RUN
    shutil.rmtree(folder / "cases" / "case-0")
    (folder / "cases" / "case-0").mkdir()
    code, printed = batch(few, "--output-dir", folder, "--resume")
    assert code == 2
    assert "not the folder of a case that has ended" in printed
    (folder / "cases" / "case-0").rmdir()
    (folder / "cases" / "case-0").symlink_to(tmp_path)
    code, printed = batch(few, "--output-dir", folder, "--only", "failed")
    assert code == 2
    assert "case-0" in printed


@pytest.mark.parametrize("name", [".lock", "study.json.new", "journal.jsonl", ".running", "cases"])
def test_no_link_is_followed(study, tmp_path, name):
    (tmp_path / "D").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("as it was")
    (tmp_path / "D" / name).symlink_to(elsewhere)
    code, printed = batch(study, "--output-dir", tmp_path / "D")
    assert code == 2
    assert "this is a link" in printed
    assert elsewhere.read_text() == "as it was"


def test_two_runs_in_one_folder_are_refused(study, tmp_path):
    with start_batch(study, "--output-dir", tmp_path / "D", "--workers", "1") as process:
        process.stdout.readline()
        code, printed = batch(study, "--output-dir", tmp_path / "D", "--resume")
        assert code == 2
        assert "another run is at work" in printed
        process.send_signal(signal.SIGINT)
        rest = process.communicate()[0]
    assert process.returncode == 4, rest
    assert "--resume goes on" in rest


def test_results_of_another_study_are_not_mixed(study, tmp_path, undisturbed):
    folder = tmp_path / "D"
    few = study.with_name("few.csv")
    few.write_text("\n".join(study.read_text().splitlines()[:3]) + "\n")
    assert batch(few, "--output-dir", folder)[0] == ALL_RUN
    code, printed = batch(few, "--output-dir", folder)
    assert code == 2
    assert "--resume" in printed
    few.write_text(few.read_text().replace("moving-1", "moving-2"))
    code, printed = batch(few, "--output-dir", folder, "--resume")
    assert code == 2
    assert "case-1 was asked for otherwise" in printed
    # More cases may come.
    code, printed = batch(study, "--output-dir", folder, "--resume")
    assert code == ALL_RUN, printed
    assert results_of(folder) == undisturbed
