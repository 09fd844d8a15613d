"""Progress on standard error: a bar on a terminal, plain lines otherwise, or events for a program."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from ..core.errors import RegistrationError
from ..core.progress import Progress


class Printer(Protocol):
    """Tells whoever started the command how it goes."""

    def progress(self, progress: Progress) -> None:
        """Tell the state of the run."""

    def warning(self, message: str) -> None:
        """Tell a warning."""

    def log(self, line: str) -> None:
        """Tell a line that the engine printed."""

    def finish(self) -> None:
        """Tell that no progress follows."""


def make_printer(options: argparse.Namespace) -> Printer:
    """The printer that the options ask for."""
    return EventPrinter() if options.events else ProgressPrinter(quiet=options.quiet)


class EventPrinter:
    """Prints one JSON object a line, for a program that runs this one.

    Each has the key ``event``: ``started`` (pid), ``progress`` (stage, fraction), ``warning`` (message), ``log``
    (line), or ``error`` (subject, fields, found, remedy, exit_code).
    """

    def progress(self, progress: Progress) -> None:
        """Tell the state of the run."""
        self._emit("progress", stage=progress.stage, fraction=progress.fraction)

    def warning(self, message: str) -> None:
        """Tell a warning."""
        self._emit("warning", message=message)

    def log(self, line: str) -> None:
        """Tell a line that the engine printed."""
        self._emit("log", line=line)

    def started(self, pid: int) -> None:
        """Tell the number of the process: the one that was started may be a launcher of it."""
        self._emit("started", pid=pid)

    def error(self, error: RegistrationError) -> None:
        """Tell why the command ends without a result."""
        self._emit("error", **error.content())

    def finish(self) -> None:
        """Nothing to leave."""

    def _emit(self, event: str, **content: Any) -> None:
        print(json.dumps({"event": event, **content}), file=sys.stderr, flush=True)


class CallbackPrinter:
    """Tells a caller in this process.

    Parameters
    ----------
    progress, warning : callable
        Called as the run goes on.
    """

    def __init__(self, progress: Callable[[Progress], None], warning: Callable[[str], None]) -> None:
        self.progress = progress
        self.warning = warning

    def log(self, line: str) -> None:
        """The engine's lines are in the log of the error."""

    def finish(self) -> None:
        """Nothing to leave."""


_BAR_WIDTH = 30
_SECONDS_BETWEEN_REDRAWS = 0.1


class ProgressPrinter:
    """Prints where a run is.

    Parameters
    ----------
    quiet : bool
        Print warnings only.
    stream : file
        Where to.
    """

    def __init__(self, *, quiet: bool, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._quiet = quiet
        self._bar = not quiet and self._stream.isatty()
        self._bar_length = 0
        self._drawn = 0.0
        self._stage = ""

    def progress(self, progress: Progress) -> None:
        """Show the state of the run."""
        if self._quiet:
            return
        if not self._bar:
            if progress.stage != self._stage:
                print(f"{progress.fraction:4.0%}  {progress.stage}", file=self._stream, flush=True)
            self._stage = progress.stage
            return
        now = time.monotonic()
        if progress.stage == self._stage and now - self._drawn < _SECONDS_BETWEEN_REDRAWS:
            return
        self._stage, self._drawn = progress.stage, now
        filled = round(progress.fraction * _BAR_WIDTH)
        text = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {progress.fraction:4.0%}  {progress.stage}"
        self._stream.write("\r" + text.ljust(self._bar_length))
        self._stream.flush()
        self._bar_length = len(text)

    def warning(self, message: str) -> None:
        """Show a warning on a line of its own."""
        self.finish()
        print(f"Warning: {message}", file=self._stream, flush=True)

    def log(self, line: str) -> None:
        """The engine's lines are not for a terminal."""

    def finish(self) -> None:
        """Leave the line of the bar."""
        if self._bar_length:
            self._stream.write("\r" + " " * self._bar_length + "\r")
            self._stream.flush()
            self._bar_length = 0
