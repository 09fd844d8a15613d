"""The process that runs cases, watched from outside: one that crashes, hangs or eats memory is ended."""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ...core.errors import Cancelled, EngineError, InputError, install_remedy
from ...engines.supervised_child import SupervisedChild, asked_to_end, end_message
from ..cases import Case, case_content
from .limits import PROCESS_BYTES
from .outcome import CaseError

__all__ = ["STUDY_STAYS", "Attempt", "CaseProcess", "require_psutil"]

_SECONDS_BETWEEN_WEIGHINGS = 0.5
_GIB = 2**30
_MOST_FAILED_STARTS = 3
_LEAST_GIB = 0.1
STUDY_STAYS = "What was done stays; --resume goes on with it."


@dataclass(frozen=True)
class Attempt:
    """How one attempt at a case ended.

    Parameters
    ----------
    error : CaseError or None
        None when all its steps were done.
    again : bool
        Whether another attempt may end otherwise: a wrong input stays wrong.
    log : str
        What was printed.
    """

    error: CaseError | None
    again: bool
    log: str


def require_psutil() -> None:
    """Check that memory can be watched.

    Raises
    ------
    InputError
        psutil is not installed.
    """
    if importlib.util.find_spec("psutil") is None:
        raise InputError(
            "psutil",
            "this package is not installed, and without it nobody sees how much memory a case takes",
            install_remedy("psutil"),
        )


class CaseProcess:
    """A process for any number of cases, one after the other; a new one is started where the last one died.

    Parameters
    ----------
    threads : int
        For each case.
    timeout_s : float
        For each attempt.
    memory_limit_bytes : int
        For the process and its engines together.

    Raises
    ------
    InputError
        psutil is not installed.
    """

    def __init__(self, *, threads: int, timeout_s: float, memory_limit_bytes: int) -> None:
        require_psutil()
        self._threads = threads
        self._timeout_s = timeout_s
        self._memory_limit_bytes = memory_limit_bytes
        self._child: SupervisedChild | None = None
        self._failed_starts = 0

    def __enter__(self) -> CaseProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(
        self,
        case: Case,
        folder: Path,
        *,
        cancel: threading.Event | None = None,
        on_fraction: Callable[[float], None] | None = None,
    ) -> Attempt:
        """Run one case.

        Parameters
        ----------
        case : Case
            What to do.
        folder : Path
            Empty; gets the results.
        cancel : threading.Event, optional
            Set it to stop at once.
        on_fraction : callable, optional
            Called with the share of the registration that is done, 0 to 1.

        Raises
        ------
        Cancelled
            On request, also of its process or engine, as when the system shuts down.
        EngineError
            The process cannot be started.
        """
        if self._child is None:
            self._failed_starts += 1
            self._child = SupervisedChild(
                "MultimodalRegistrationLib.cli.case_worker",
                # The share is what `register` may plan with, whatever its neighbours leave free for the moment.
                [str(self._threads), f"{max(_LEAST_GIB, (self._memory_limit_bytes - PROCESS_BYTES) / _GIB):.3f}"],
                # The libraries of NumPy and others would start a thread for each core. Dask has its workers give memory
                # back to the system at once, which would make a case half as slow again.
                environment={
                    "OMP_NUM_THREADS": str(self._threads),
                    "OPENBLAS_NUM_THREADS": str(self._threads),
                    "MALLOC_TRIM_THRESHOLD_": None,
                },
            )
        self._child.send(json.dumps({"case": case_content(case), "folder": str(folder)}))
        log: list[str] = []
        deadline, weighing = time.monotonic() + self._timeout_s, 0.0
        while True:
            if cancel is not None and cancel.is_set():
                self._end()
                raise Cancelled("The study", STUDY_STAYS)
            line = self._child.next_line()
            if line is not None and line.printed:
                _take(line.printed, log, on_fraction)
            if line is not None and line.event is not None:
                if line.event["event"] == "case-ended":
                    return _attempt(line.event["error"], "".join(log))
                if line.event["event"] == "ready":
                    self._failed_starts = 0
                if line.event["event"] == "worker-ended":
                    self._end()
                    if asked_to_end(line.event["code"]):
                        raise Cancelled("The study", STUDY_STAYS)
                    self._check_start("".join(log))
                    return self._ended(end_message(line.event["code"]), "Run it again; if it repeats, report it.", log)
            now = time.monotonic()
            if now > deadline:
                self._end()
                found = f"it was not done after {self._timeout_s / 60:g} min, and was ended"
                return self._ended(found, "Look at its log, or give it more time (--timeout).", log)
            if now > weighing:
                weighing = now + _SECONDS_BETWEEN_WEIGHINGS
                used = _memory_bytes(self._child.supervisor.pid)
                if used > self._memory_limit_bytes:
                    self._end()
                    limit = self._memory_limit_bytes / _GIB
                    found = f"it took {used / _GIB:.1f} GiB of memory, where {limit:.1f} are its share, and was ended"
                    return self._ended(found, "Run it with fewer workers, or crop its volumes.", log)

    def _check_start(self, log: str) -> None:
        """One start may be spoiled from outside; where none succeeds, every case of the study would fail."""
        if self._failed_starts >= _MOST_FAILED_STARTS:
            last = next((f" ({line.strip()})" for line in reversed(log.splitlines()) if line.strip()), "")
            raise EngineError(
                "The process for the cases",
                f"it ended {self._failed_starts} times while it started{last}",
                "Run `multimodal-registration doctor`, then go on with --resume.",
                log=log,
            )

    def _ended(self, found: str, remedy: str, log: list[str]) -> Attempt:
        return Attempt(CaseError("The case", found, remedy), True, "".join(log))

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def _take(printed: str, log: list[str], on_fraction: Callable[[float], None] | None) -> None:
    """A line of the commands, which tell events as JSON, or of something else."""
    event: Any = None
    if printed.startswith('{"event"'):
        try:
            event = json.loads(printed)
        except ValueError:
            event = None  # Torn by another line; it is kept as it is.
    if not isinstance(event, dict):
        log.append(printed)
    elif event["event"] == "progress":
        if on_fraction is not None:
            on_fraction(float(event["fraction"]))
    elif event["event"] == "warning":
        log.append(f"Warning: {event['message']}\n")
    elif event["event"] == "log":
        log.append(f"{event['line']}\n")


def _attempt(error: dict[str, Any] | None, log: str) -> Attempt:
    if error is None:
        return Attempt(None, False, log)
    code = error.pop("exit_code")
    if code == Cancelled.exit_code:
        # The system ends it, as when it shuts down: that says nothing about the case.
        raise Cancelled("The study", STUDY_STAYS)
    told = CaseError(error["subject"], error["found"], error["remedy"])
    return Attempt(told, code == EngineError.exit_code, log)


def _memory_bytes(pid: int) -> int:
    """What a process and its children keep in memory."""
    # Other commands do without it.
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue  # It ended in the meantime.
    return total
