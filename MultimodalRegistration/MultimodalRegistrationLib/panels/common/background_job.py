"""The command of this library in a child process, with its events, and an end that leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import qt
import slicer

from ...application.child_python import CHILD_VARIABLES_LEFT_OUT, child_arguments, child_program, child_variables

__all__ = ["BackgroundJob", "ChildProcess", "QtProcess", "end_jobs"]

_MILLISECONDS_TO_END = 2000
# While the application waits: most runs end within this time, and what is killed leaves nothing behind either.
_MILLISECONDS_TO_WAIT = 500
# A killed process ends for certain, but it frees its memory at its own low priority: at once where a processor is
# free, after seconds where all are taken.
_MILLISECONDS_AFTER_KILL = 10_000


class ChildProcess(Protocol):
    """A process that can be watched without waiting for it."""

    def start(
        self, on_output: Callable[[bytes], None], on_end: Callable[[int], None], on_failed: Callable[[], None]
    ) -> None:
        """Start it; one of the last two functions is called once, unless :meth:`forget` comes first."""

    def close_input(self) -> None:
        """Close its standard input, on which it ends."""

    def kill(self) -> None:
        """End it at once."""

    def wait(self, milliseconds: int) -> bool:
        """Wait for its end; False when that does not come."""


class QtProcess:
    """A child process of Qt.

    Parameters
    ----------
    arguments : list of str
        Of the library's command.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        # The application owns it: a panel may be gone before the process is.
        self._process = qt.QProcess(slicer.app)
        environment = qt.QProcessEnvironment.systemEnvironment()
        for name, value in child_variables().items():
            environment.insert(name, value)
        for name in CHILD_VARIABLES_LEFT_OUT:
            environment.remove(name)
        self._process.setProcessEnvironment(environment)

    def start(
        self, on_output: Callable[[bytes], None], on_end: Callable[[int], None], on_failed: Callable[[], None]
    ) -> None:
        """Start it."""
        process = self._process

        def read() -> None:
            on_output(bytes(process.readAllStandardError().data()))
            # What nobody reads would fill the pipe.
            process.readAllStandardOutput()

        def ended(code: int) -> None:
            read()
            # Of a process that a signal ended, Unix gives the number of the signal, which is no code of the command.
            crashed = process.exitStatus() == qt.QProcess.CrashExit
            process.deleteLater()
            on_end(-abs(code) if crashed else code)

        def failed(error: int) -> None:
            if error == qt.QProcess.FailedToStart:
                process.deleteLater()
                on_failed()

        process.connect("readyReadStandardError()", read)
        process.connect("readyReadStandardOutput()", read)
        process.connect("finished(int,QProcess::ExitStatus)", ended)
        process.connect("errorOccurred(QProcess::ProcessError)", failed)
        process.start(child_program(), child_arguments(self._arguments))

    def close_input(self) -> None:
        """Close its standard input."""
        self._process.closeWriteChannel()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self, milliseconds: int) -> bool:
        """Wait for its end."""
        return bool(self._process.waitForFinished(milliseconds))


class BackgroundJob:
    """One run of the command.

    Parameters
    ----------
    process : ChildProcess
        Not started yet.
    on_event : callable
        Called with each event of the command, a dict, until the job is cancelled.
    on_end : callable
        Called once with the exit code, below zero where it crashed, or None when the process could not be started; not
        once it is cancelled.
    on_gone : callable
        Called once the process is gone, in any case.
    """

    def __init__(
        self,
        process: ChildProcess,
        *,
        on_event: Callable[[dict[str, Any]], None],
        on_end: Callable[[int | None], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._process = process
        self._on_event = on_event
        self._on_end = on_end
        self._on_gone = on_gone
        self._rest = b""
        self._pid: int | None = None
        self._cancelled = False
        self._gone = False

    def start(self) -> None:
        """Start the process."""
        self._process.start(self._output, self._ended, lambda: self._ended(None))

    def cancel(self) -> None:
        """Call nothing but ``on_gone`` any more, and let the process end; kill it if that takes two seconds."""
        if self._cancelled or self._gone:
            return
        self._cancelled = True
        self._process.close_input()
        qt.QTimer.singleShot(_MILLISECONDS_TO_END, self.kill)

    def wait(self, milliseconds: int) -> None:
        """Wait until the process is gone, but no longer than this."""
        if not self._gone:
            self._process.wait(milliseconds)

    def kill(self) -> None:
        """End the process at once, if it is not gone; it says so by ``on_gone`` as well."""
        if self._gone:
            return
        # The process that was started may be a launcher; killing it alone would leave the other one.
        if self._pid is not None:
            try:
                os.kill(self._pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            except OSError:
                pass  # It has just ended by itself; Windows has no error of its own for that.
        self._process.kill()

    def _output(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            event = _event(line)
            if event["event"] == "started":
                self._pid = event["pid"]
            elif not self._cancelled:
                self._on_event(event)

    def _ended(self, code: int | None) -> None:
        if self._gone:
            return
        self._gone = True
        if not self._cancelled:
            self._on_end(code)
        self._on_gone()


def end_jobs(jobs: Sequence[BackgroundJob]) -> None:
    """Cancel jobs and wait until their processes are gone; those that half a second does not suffice for are killed.

    For the end of a panel: where the application quits, no event loop tells of their ends any more, and what a process
    leaves behind has to be removed while there is somebody to do it.
    """
    for job in jobs:
        job.cancel()
    _wait_for(jobs, _MILLISECONDS_TO_WAIT)
    for job in jobs:
        job.kill()
    _wait_for(jobs, _MILLISECONDS_AFTER_KILL)


def _wait_for(jobs: Sequence[BackgroundJob], milliseconds: int) -> None:
    """Wait for all of them together as long as this."""
    until = time.monotonic() + milliseconds / 1000
    for job in jobs:
        job.wait(max(0, round(1000 * (until - time.monotonic()))))


def _event(line: bytes) -> dict[str, Any]:
    """An event; a line that is none, such as a warning of a library, is for the log."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = None
    if isinstance(content, dict) and "event" in content:
        return content
    return {"event": "log", "line": text}
