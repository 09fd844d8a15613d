"""How long the main thread was blocked."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import Qt, QTimer


class BlockMeter:
    """Context manager: the longest time between two turns of the event loop, in ms."""

    def __init__(self, interval_ms: int = 5) -> None:
        self.longest_ms = 0.0
        self.turns = 0
        self._interval_ms = interval_ms
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._turn)

    def _turn(self) -> None:
        now = time.perf_counter()
        self.turns += 1
        self.longest_ms = max(self.longest_ms, (now - self._last) * 1000 - self._interval_ms)
        self._last = now

    def __enter__(self) -> BlockMeter:
        self._last = time.perf_counter()
        self._timer.start(self._interval_ms)
        return self

    def __exit__(self, *_error: Any) -> None:
        self._turn()
        self._timer.stop()
