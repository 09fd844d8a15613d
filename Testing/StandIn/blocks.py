"""How long the main thread was blocked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer

# Linux tells for each thread what it ran and what it waited for a processor that others had, in ns.
_SCHEDULE = Path("/proc/thread-self/schedstat")
# Share of the time that the main thread waits for a processor, most of it asleep.
_CROWDED = 0.02


class BlockMeter:
    """Context manager: the longest stretches between two turns of the event loop, in ms.

    ``longest_cpu_ms`` is what the main thread computed, whatever else the machine does. ``longest_ms`` is what the user
    waited, files and other processes included, less the time in which other programs had the processors; ``crowded``
    tells whether they had them often, so that files and other processes had to wait, too. Both as far as the system
    tells that (Linux).
    """

    def __init__(self, interval_ms: int = 5) -> None:
        self.longest_ms = 0.0
        self.longest_cpu_ms = 0.0
        self.turns = 0
        self.crowded = False
        self._interval_ms = interval_ms
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._turn)

    def _turn(self) -> None:
        elapsed_s, cpu_s = (now - last for now, last in zip(_clocks(), self._last, strict=True))
        self.turns += 1
        self.longest_ms = max(self.longest_ms, elapsed_s * 1000 - self._interval_ms)
        self.longest_cpu_ms = max(self.longest_cpu_ms, cpu_s * 1000)
        self._last = _clocks()

    def __enter__(self) -> BlockMeter:
        self._last = _clocks()
        self._began = time.perf_counter(), _waited_s()
        self._timer.start(self._interval_ms)
        return self

    def __exit__(self, *_error: Any) -> None:
        self._turn()
        self._timer.stop()
        elapsed_s, waited_s = time.perf_counter() - self._began[0], _waited_s() - self._began[1]
        self.crowded = waited_s > _CROWDED * elapsed_s

    def __str__(self) -> str:
        words = f"longest block {self.longest_ms:.0f} ms, computed at a stretch {self.longest_cpu_ms:.0f} ms"
        return f"{words}, on a crowded machine" if self.crowded else words


def _clocks() -> tuple[float, float]:
    """Seconds elapsed without those in the queue for a processor, and seconds that this thread computed."""
    return time.perf_counter() - _waited_s(), time.thread_time()


def _waited_s() -> float:
    return int(_SCHEDULE.read_text().split()[1]) * 1e-9 if _SCHEDULE.exists() else 0.0
