"""Studies on a Dask cluster of this computer: the same results as without one, whatever goes away in the meantime."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import SimpleITK as sitk
from MultimodalRegistrationLib.core.errors import Cancelled, EngineError, InputError
from MultimodalRegistrationLib.register.request import RegisterRequest
from MultimodalRegistrationLib.study.batch import dask_connection
from MultimodalRegistrationLib.study.batch.folder import StudyFolder
from MultimodalRegistrationLib.study.batch.limits import Limits
from MultimodalRegistrationLib.study.batch.outcome import read_outcome
from MultimodalRegistrationLib.study.batch.run_dask import run_dask
from MultimodalRegistrationLib.study.batch.run_local import run_local
from MultimodalRegistrationLib.study.batch.telling import Telling
from MultimodalRegistrationLib.study.cases import Case, Step, Study
from study_cases import tiny_study

COUNT = 5
LIMITS = Limits(timeout_s=120, retries=1)
NOBODY = "tcp://127.0.0.1:9"


class Cluster:
    """A scheduler and workers, each a process of its own, on loopback."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.start_scheduler()
        for _ in range(workers):
            self.start_worker()

    def start_scheduler(self) -> None:
        self.scheduler = self._start("dask_scheduler", "--port", str(self.port))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("the scheduler did not start")

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        # Without a nanny, what is killed is the worker itself and stays dead.
        arguments = [self.address, "--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder)]
        worker = self._start("dask_worker", *arguments, **environment)
        self.workers.append(worker)
        return worker

    def _start(self, module: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        with (self.folder / "cluster.log").open("ab") as log:
            return subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--no-dashboard"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                cwd=self.folder,
            )

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


class Run:
    """A study on a cluster, in a thread; ``lines`` is what was told."""

    def __init__(self, folder: Path, cases: list[Case], address: str, *, limits: Limits = LIMITS) -> None:
        self.lines: list[str] = []
        self.cancel = threading.Event()
        self.error: Exception | None = None
        self.folder = folder
        self._thread = threading.Thread(target=self._run, args=(cases, address, limits))
        self._thread.start()

    def _run(self, cases: list[Case], address: str, limits: Limits) -> None:
        try:
            with StudyFolder(self.folder, Study(Path("study.csv"), tuple(cases)), resume=True) as folder:
                left = [case for case in cases if not folder.ended(case)]
                telling = new_telling(len(cases), self.lines)
                run_dask(folder, left, limits, scheduler=address, telling=telling, cancel=self.cancel)
        except Exception as error:
            self.error = error

    def wait_for(self, words: str, *, times: int = 1) -> None:
        deadline = time.monotonic() + 60
        while sum(words in line for line in self.lines) < times:
            assert time.monotonic() < deadline, (words, self.lines, self.error)
            time.sleep(0.05)

    def end(self) -> Run:
        self._thread.join(120)
        assert not self._thread.is_alive(), self.lines
        return self

    def done(self) -> Run:
        self.end()
        if self.error is not None:
            raise self.error
        return self


def new_telling(count, lines):
    return Telling(count, 0, on_progress=lambda progress: None, on_line=lines.append)


def results_of(folder):
    """The bytes of each volume and the numbers of each transform."""
    found = {}
    for case in sorted((folder / "cases").iterdir()):
        if (case / "registered.nrrd").exists():
            transform = sitk.ReadTransform(str(case / "transform.h5"))
            numbers = transform.GetParameters(), transform.GetFixedParameters()
            found[case.name] = ((case / "registered.nrrd").read_bytes(), numbers)
    return found


def below(process):
    """Processes of cases below a worker."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "MultimodalRegistrationLib.cli.case_worker" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def ends(folder):
    """How often each case ended, as the journal has it."""
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    names = [line["case"] for line in lines if line["event"] == "ended"]
    return {name: names.count(name) for name in names}


@contextmanager
def cluster_of(folder, workers):
    folder.mkdir()
    cluster = Cluster(folder, workers)
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def cases(tmp_path_factory, head_ct, head_mr):
    folder = tiny_study(tmp_path_factory.mktemp("study") / "s", head_ct, head_mr, COUNT).parent
    made = []
    for number in range(COUNT):
        fixed, moving = folder / "fixed.nrrd", folder / f"moving-{number}.nrrd"
        request = RegisterRequest(
            fixed=str(fixed), moving=str(moving), preset=str(folder / "quick.json"), start="given", verdict=False
        )
        step = Step("register", request)
        made.append(Case(f"case-{number}", f"line {number + 2}", fixed, moving, (step,)))
    return made


@pytest.fixture(scope="module")
def local(cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("local") / "D"
    with StudyFolder(folder, Study(Path("study.csv"), tuple(cases)), resume=False) as one:
        run_local(
            one,
            cases,
            LIMITS,
            workers=1,
            memory_limit_bytes=4 << 30,
            telling=new_telling(COUNT, []),
            cancel=threading.Event(),
        )
    found = results_of(folder)
    assert len(found) == COUNT
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with cluster_of(tmp_path_factory.mktemp("cluster") / "c", 2) as one:
        yield one


@pytest.mark.story("U34")
def test_the_same_results_as_without_a_cluster(cases, local, cluster, tmp_path):
    run = Run(tmp_path / "D", cases, cluster.address).done()
    assert results_of(tmp_path / "D") == local
    assert ends(tmp_path / "D") == {case.name: 1 for case in cases}
    assert "2 cases at a time" in run.lines[-COUNT - 1]
    assert not list((tmp_path / "D").glob(".running*"))
    deadline = time.monotonic() + 5
    while any(below(worker) for worker in cluster.workers):
        assert time.monotonic() < deadline, "processes of cases stay behind"
        time.sleep(0.1)


def test_a_case_without_a_result_is_told_and_the_others_go_on(cases, local, cluster, tmp_path):
    request = replace(cases[0].steps[0].request, fixed_mask="/nowhere.nrrd")
    wrong = replace(cases[0], name="wrong", steps=(Step("register", request),))
    Run(tmp_path / "D", [wrong, cases[1]], cluster.address).done()
    error = read_outcome(tmp_path / "D" / "cases" / "wrong").error
    assert error is not None
    assert "nowhere.nrrd" in error.subject
    assert results_of(tmp_path / "D").items() <= local.items()


def test_cancel_ends_the_processes_on_the_workers(cases, cluster, tmp_path):
    run = Run(tmp_path / "D", cases, cluster.address)
    run.wait_for("[1 of")
    assert any(below(worker) for worker in cluster.workers)
    began = time.monotonic()
    run.cancel.set()
    run.end()
    assert time.monotonic() - began < 2.5
    assert isinstance(run.error, Cancelled)
    while any(below(worker) for worker in cluster.workers):
        assert time.monotonic() - began < 6
        time.sleep(0.1)


def test_a_killed_worker_and_a_scheduler_that_comes_back(cases, local, tmp_path):
    with cluster_of(tmp_path / "c", 2) as cluster:
        run = Run(tmp_path / "D", cases, cluster.address)
        run.wait_for("[1 of")
        cluster.workers[0].send_signal(signal.SIGKILL)
        run.wait_for("1 cases at a time")
        run.wait_for("[2 of")
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        run.wait_for("was lost")
        cluster.start_scheduler()
        run.wait_for("is back")
        run.wait_for("has no workers")
        cluster.start_worker()
        run.done()
        assert results_of(tmp_path / "D") == local
        assert ends(tmp_path / "D") == {case.name: 1 for case in cases}


def test_a_scheduler_that_does_not_come_back(cases, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_connection, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(dask_connection, "_CONNECT_SECONDS", 0.5)
    with cluster_of(tmp_path / "c", 0) as cluster:
        run = Run(tmp_path / "D", cases[:1], cluster.address)
        run.wait_for("has no workers")
        cluster.scheduler.kill()
        run.end()
        assert isinstance(run.error, EngineError)
        assert cluster.address in str(run.error)
        assert "--resume" in run.error.remedy


def test_workers_that_cannot_run_cases_are_named(cases, tmp_path, monkeypatch):
    with cluster_of(tmp_path / "c", 0) as cluster:
        # A worker whose computer has another library: what it says it has differs from what is here.
        other = tmp_path / "other"
        (other / "MultimodalRegistrationLib").mkdir(parents=True)
        (other / "MultimodalRegistrationLib" / "__init__.py").write_text('__version__ = "0.0.1"\n')
        cluster.start_worker(PYTHONPATH=str(other))
        run = Run(tmp_path / "D", cases[:1], cluster.address).end()
        assert isinstance(run.error, InputError)
        assert re.match(r"The Dask worker tcp://127.0.0.1:\d+", run.error.subject)
        assert "cannot run this library" in run.error.found


def test_a_worker_that_does_not_see_the_folder(cases, cluster, tmp_path, monkeypatch):
    from MultimodalRegistrationLib.study.batch import run_dask as module

    real = module.check_order
    monkeypatch.setattr(module, "check_order", lambda mark, case: {**real(mark, case), "mark": f"/nowhere{mark}"})
    run = Run(tmp_path / "D", cases[:1], cluster.address).end()
    assert isinstance(run.error, InputError)
    assert "cannot use the folder /nowhere" in run.error.found
    assert "tcp://127.0.0.1" in run.error.subject


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:8786", "tcp://HOST:PORT"),
        ("127.0.0.1:8786", "tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "tcp://HOST:PORT"),
        ("tcp://127.0.0.1:99999999", "tcp://HOST:PORT"),
        (NOBODY, "dask scheduler"),
    ],
)
def test_bad_addresses(cases, tmp_path, address, words, monkeypatch):
    monkeypatch.setattr(dask_connection, "_CONNECT_SECONDS", 0.5)
    run = Run(tmp_path / "D", cases[:1], address).end()
    assert isinstance(run.error, InputError)
    assert words in run.error.remedy
    assert address in str(run.error)


def test_programs_that_are_no_scheduler(monkeypatch):
    monkeypatch.setattr(dask_connection, "_CONNECT_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match=address):
            dask_connection.check_scheduler(address)
    with pytest.raises(InputError, match="certificates"):
        dask_connection.check_scheduler("tls://127.0.0.1:9")


def test_without_the_package(cases, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    run = Run(tmp_path / "D", cases[:1], NOBODY).end()
    assert isinstance(run.error, InputError)
    assert f'"{sys.executable}" -m pip install "distributed' in run.error.remedy
