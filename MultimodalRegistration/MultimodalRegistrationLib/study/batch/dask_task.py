"""What a Dask worker runs for a study: a check, one case at a time, and the end. Plain data goes in and out.

A run is marked by a file below ``.running``, which is there as long as the run is: once the file is gone, whatever
became of the run, the workers end its cases and their processes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ... import __version__
from ...core.errors import Cancelled, RegistrationError
from ...engines.catalogue import ENGINES, engine_status
from ..cases import Case, case_content, case_of
from .capacity import memory_share_bytes
from .case_process import CaseProcess
from .case_store import CaseStore
from .limits import Limits
from .outcome import CaseError, outcome_content
from .run_case import run_case

__all__ = ["case_order", "check_order", "check_worker", "end_run", "run_on_worker", "versions"]

_LOOK_SECONDS = 1.0
# A run that was killed does not keep memory of the workers for ever.
_IDLE_SECONDS = 600.0
_ENDING = ("closing", "closed", "failed")


def versions() -> dict[str, str | None]:
    """Versions of what the results depend on; None for an engine that is not installed."""
    return {"multimodal-registration": __version__, **{name: engine_status(name).version for name in ENGINES}}


def check_order(mark: Path, case: Case) -> dict[str, Any]:
    """What :func:`check_worker` compares with.

    Parameters
    ----------
    mark : Path
        Of the run.
    case : Case
        Whose volumes a worker must see.
    """
    return {
        "mark": str(mark),
        "content": mark.read_text(encoding="ascii"),
        "volumes": [str(path) for path in (case.fixed, case.moving) if path.exists()],
        "versions": versions(),
    }


def case_order(folder: Path, mark: Path, case: Case, limits: Limits) -> dict[str, Any]:
    """What :func:`run_on_worker` does."""
    return {"folder": str(folder), "mark": str(mark), "case": case_content(case), "limits": asdict(limits)}


def check_worker(order: dict[str, Any]) -> list[str] | None:
    """Whether cases can run on this worker.

    Returns
    -------
    list of str or None
        What was found and the remedy.
    """
    mark = Path(order["mark"])
    folder = mark.parents[1]
    shared = "Give an --output-dir that all computers share, under the same path."
    try:
        if mark.read_text(encoding="ascii") != order["content"]:
            return [f"it sees another folder as {folder}", shared]
        trial = mark.with_name(f"{mark.name}-{threading.get_native_id()}-{time.monotonic_ns()}")
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        return [f"it cannot use the folder {folder} ({error.strerror})", shared]
    for volume in order["volumes"]:
        if not Path(volume).exists():
            return [f"it does not see the volume {volume}", "Keep the volumes where all computers see them."]
    here = versions()
    for name, version in order["versions"].items():
        if version is not None and here.get(name) != version:
            found = f"{name} is {here.get(name) or 'not installed'} there and {version} here"
            return [found, "Install the same version on all computers, and start the workers again."]
    return None


def run_on_worker(order: dict[str, Any]) -> dict[str, Any]:
    """Run one case to its end and give its results their place.

    Returns
    -------
    dict
        ``worker``, and one of: ``outcome`` and the errors after which it was run again (``retried``); ``error``, which
        concerns all cases; ``stopped``: whether that was because the run does not go on here, or only the case was
        asked to end.
    """
    from distributed import get_worker

    worker = get_worker()
    answer = {"worker": worker.address}
    case, limits, mark = case_of(order["case"]), Limits(**order["limits"]), Path(order["mark"])
    store = CaseStore(Path(order["folder"]))
    # Another worker may have done it whose answer was lost.
    if store.ended(case):
        return {**answer, "outcome": outcome_content(store.outcome(case)), "retried": []}
    run = _run_of(mark, worker, limits)
    retried: list[CaseError] = []
    try:
        with run.process() as process:
            finished = run_case(
                process, case, store.new_staging, retries=limits.retries, cancel=run.stop, on_retry=retried.append
            )
        outcome = finished.outcome if store.finish(finished) else store.outcome(case)
    except Cancelled:
        return {**answer, "stopped": run.over()}
    except RegistrationError as error:
        return {**answer, "error": error.content()}
    except OSError:
        if run.over():
            return {**answer, "stopped": True}
        raise
    return {**answer, "outcome": outcome_content(outcome), "retried": [asdict(error) for error in retried]}


def end_run(mark: str) -> None:
    """End what a run has under way on this worker."""
    with _lock:
        for (of_run, _), run in _runs.items():
            if of_run == Path(mark):
                run.stop.set()


class _Run:
    """A run in this process: the processes of its cases, warm for the next ones, and whether it goes on."""

    def __init__(self, mark: Path, worker: Any, limits: Limits) -> None:
        self.stop = threading.Event()
        self._mark, self._worker, self._limits = mark, worker, limits
        self._share_bytes = memory_share_bytes(worker.state.nthreads, worker.memory_manager.memory_limit)
        self._processes = ExitStack()
        self._idle: list[CaseProcess] = []
        self._busy = 0
        self._used = time.monotonic()
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, daemon=True, name="study").start()

    @contextmanager
    def process(self) -> Iterator[CaseProcess]:
        """A process of the caller's own for the time of a case."""
        with self._lock:
            self._busy += 1
            process = self._idle.pop() if self._idle else self._new_process()
        try:
            yield process
        finally:
            with self._lock:
                self._busy -= 1
                self._used = time.monotonic()
                self._idle.append(process)
                self._end_if_over()

    def over(self) -> bool:
        """Whether it does not go on."""
        return self.stop.is_set() or self._worker.status.name in _ENDING or _gone(self._mark)

    def _new_process(self) -> CaseProcess:
        limits = self._limits
        process = CaseProcess(threads=limits.threads, timeout_s=limits.timeout_s, memory_limit_bytes=self._share_bytes)
        return self._processes.enter_context(process)

    def _watch(self) -> None:
        while not self.stop.wait(_LOOK_SECONDS):
            with self._lock:
                idle = not self._busy and time.monotonic() - self._used > _IDLE_SECONDS
            if idle or self.over():
                self.stop.set()
        with self._lock:
            self._end_if_over()

    def _end_if_over(self) -> None:
        """The last one to leave ends the processes: nobody else may while a case runs in one."""
        if self.stop.is_set() and not self._busy:
            self._processes.close()
            self._idle.clear()


_runs: dict[tuple[Path, str], _Run] = {}
_lock = threading.Lock()


def _run_of(mark: Path, worker: Any, limits: Limits) -> _Run:
    with _lock:
        for key in [key for key, run in _runs.items() if run.stop.is_set()]:
            del _runs[key]
        key = (mark, worker.address)
        if key not in _runs:
            _runs[key] = _Run(mark, worker, limits)
        return _runs[key]


def _gone(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # A file system that stumbles has not lost it.
    return False
