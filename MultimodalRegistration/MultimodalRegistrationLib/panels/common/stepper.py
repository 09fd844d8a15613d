"""Work in small steps, between which the window lives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import qt

__all__ = ["Stepper"]

_SECONDS_AT_ONCE = 0.015


class Stepper:
    """Carries out a generator's steps whenever the event loop is idle.

    Parameters
    ----------
    steps : iterator of float
        Each step yields how much is done, 0 to 1.
    on_step : callable
        Called with that now and then.
    on_end : callable
        Called once, with None, or with the exception that a step raised.
    """

    def __init__(
        self, steps: Iterator[float], on_step: Callable[[float], None], on_end: Callable[[Exception | None], None]
    ) -> None:
        self._steps = steps
        self._on_step = on_step
        self._on_end = on_end
        self._running = False
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._some_steps)

    def start(self) -> None:
        """Begin."""
        self._running = True
        self._timer.start()

    def stop(self) -> None:
        """Take no further step; nothing is called any more."""
        self._running = False
        self._timer.stop()

    def _some_steps(self) -> None:
        began = time.monotonic()
        share = 0.0
        try:
            # A step may let the window live, and something there may stop this.
            while self._running and time.monotonic() - began < _SECONDS_AT_ONCE:
                share = next(self._steps)
        except StopIteration:
            self.stop()
            self._on_end(None)
        except Exception as error:
            self.stop()
            self._on_end(error)
        else:
            if self._running:
                self._on_step(share)
