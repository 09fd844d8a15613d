"""The end of a command whose parent wants no result any more."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from ..core.errors import ExitCode
from ..io.outputs import discard_unfinished

__all__ = ["end_with_standard_input", "step_back"]

_SECONDS_TO_CANCEL = 2.0
_POLITENESS = 5


def end_with_standard_input() -> None:
    """End this process once its standard input does, because the parent closed it or died in whatever way.

    First as on Ctrl-C, so that nothing is left behind; if that takes longer than two seconds, at once. Engines end with
    this process either way.
    """
    threading.Thread(target=_wait, daemon=True).start()


def step_back() -> None:
    """Let the parent's window go first where processors are scarce, as far as the system has priorities for that."""
    if hasattr(os, "nice"):
        os.nice(_POLITENESS)


def _wait() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    signal.raise_signal(signal.SIGINT)
    time.sleep(_SECONDS_TO_CANCEL)
    discard_unfinished()
    os._exit(ExitCode.CANCELLED)
