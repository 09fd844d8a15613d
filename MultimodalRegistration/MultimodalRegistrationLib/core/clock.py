"""The wall-clock of a run, shared out among its stages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["TOTAL", "Clock", "stages_of"]

TOTAL = "total"


class Clock:
    """Runs from when it is made. All time up to a lap belongs to a stage, so that the stages sum to the total."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self._stages: dict[str, float] = {}

    def lap(self, stage: str, parts: Mapping[str, float] | None = None) -> None:
        """End a stage.

        Parameters
        ----------
        stage : str
            What the time since the last lap was for; a stage may have several laps.
        parts : mapping of str to float, optional
            Seconds of that time that were for other stages.
        """
        now = time.perf_counter()
        left = now - self._last
        self._last = now
        for name, seconds in (parts or {}).items():
            self._add(name, seconds)
            left -= seconds
        # The parts may be of another process, whose clock has other digits.
        self._add(stage, max(0.0, left))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """End a stage with the block."""
        yield
        self.lap(name)

    def _add(self, stage: str, seconds: float) -> None:
        self._stages[stage] = self._stages.get(stage, 0.0) + seconds

    @property
    def seconds(self) -> dict[str, float]:
        """Of each stage, and the total up to the last lap."""
        return {**self._stages, TOTAL: self._last - self._began}


def stages_of(seconds: Mapping[str, float], number: int | None = None) -> dict[str, float]:
    """Seconds without their total; with a number, named after the stage of the chain that they are of."""
    suffix = "" if number is None else f", stage {number}"
    return {f"{stage}{suffix}": value for stage, value in seconds.items() if stage != TOTAL}
