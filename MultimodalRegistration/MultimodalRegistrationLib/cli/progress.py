"""Progress on standard error: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from MultimodalRegistrationLib.registration.result import Progress

__all__ = ["ProgressPrinter"]

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

    def finish(self) -> None:
        """Leave the line of the bar."""
        if self._bar_length:
            self._stream.write("\r" + " " * self._bar_length + "\r")
            self._stream.flush()
            self._bar_length = 0
