"""A child process under the supervisor: lines are sent to it, and its output and events are read."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from . import supervisor
from .supervisor import RECORD_SEPARATOR, kill_if_running

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.05
_REQUESTS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))


class OutputLine(NamedTuple):
    """One line of a child.

    Parameters
    ----------
    printed : str
        What it printed, with the end of the line, or nothing.
    event : dict or None
        With the key ``event``: ``started`` (folder) and ``worker-ended`` (code; None when the supervisor itself was
        killed) for every child, others by agreement; one with ``pid`` tells the child's own.
    """

    printed: str
    event: dict[str, Any] | None


class SupervisedChild:
    """A module of this library that runs in a child process, which dies with this one and leaves nothing behind.

    Parameters
    ----------
    module : str
        What to run (``python -m``).
    arguments : sequence of str
        Its arguments.
    first_on_path : Path, optional
        Folder whose packages come before all others.
    environment : mapping, optional
        Environment variables to set; None unsets one.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        first_on_path: Path | None = None,
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        paths = [str(_PACKAGE_PARENT)]
        if first_on_path is not None and first_on_path.is_dir():
            paths.insert(0, str(first_on_path))
        if inherited := os.environ.get("PYTHONPATH"):
            paths += [str(Path(path).absolute()) for path in inherited.split(os.pathsep) if path]
        config = {
            "command": [sys.executable, "-u", "-m", module, *arguments],
            "environment": {
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONUTF8": "1",
                # Set by Slicer's launcher; it would make the engine's own ITK load Slicer's plugins and crash.
                "ITK_AUTOLOAD_PATH": None,
                **(environment or {}),
            },
        }
        self.supervisor = subprocess.Popen(
            [sys.executable, "-S", "-u", str(Path(supervisor.__file__)), json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Not the folder of the caller, which on Windows could then be neither renamed nor removed.
            cwd=tempfile.gettempdir(),
            text=True,
            encoding="utf-8",
            errors="replace",
            # Its own session: Ctrl-C in the terminal reaches the application alone, which then ends it in order.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self.folder: Path | None = None
        self.pid: int | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()

    def send(self, line: str) -> None:
        """Write one line to its standard input; that it is gone is told by :meth:`next_line`."""
        assert self.supervisor.stdin is not None
        try:
            self.supervisor.stdin.write(f"{line}\n")
            self.supervisor.stdin.flush()
        except OSError:
            pass  # The supervisor is gone, which the end of its output will tell.

    def next_line(self) -> OutputLine | None:
        """The next line; None when there was none for a moment."""
        try:
            line = self._lines.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return None
        if line is None:
            # Told again to whoever asks again.
            self._lines.put(None)
            return OutputLine("", {"event": "worker-ended", "code": None})
        printed, separator, record = line.partition(RECORD_SEPARATOR)
        event: dict[str, Any] | None = json.loads(record) if separator else None
        if event is not None and event["event"] == "started":
            self.folder = Path(event["folder"])
        elif event is not None and "pid" in event:
            self.pid = event["pid"]
        return OutputLine(printed, event)

    def close(self) -> None:
        """Kill the child if it still runs and remove its temporary folder."""
        if self.supervisor.poll() is not None and self.pid is not None:
            # The supervisor was killed: the child may still run.
            kill_if_running(self.pid)
        assert self.supervisor.stdin is not None
        try:
            # On which the supervisor kills the child and removes the folder.
            self.supervisor.stdin.close()
        except OSError:
            pass  # The supervisor is gone already.
        try:
            self.supervisor.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            self.supervisor.wait()
        self._reader.join(timeout=10)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _read_lines(self) -> None:
        assert self.supervisor.stdout is not None
        for line in self.supervisor.stdout:
            self._lines.put(line)
        self._lines.put(None)


def asked_to_end(code: int | None) -> bool:
    """Whether a child ended because somebody asked it to, as Linux and macOS do when they shut down."""
    return code is not None and -code in _REQUESTS


def end_message(code: int | None) -> str:
    """How a child ended, from the code of its event."""
    if code is None or code == -9:
        return "its process was killed, as the system does when memory runs out"
    if code < 0:
        return f"its process crashed ({signal.Signals(-code).name})"
    return f"its process ended with the code {code}"
