"""What the engines print: progress, read line by line, and errors as cause and remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import EngineError
from .catalogue import ENGINES


@dataclass(frozen=True)
class Iteration:
    """One iteration of an optimiser.

    Parameters
    ----------
    stage, level, number : int
        Counted from 0; ``number`` within the level.
    metric : float
        The engine's own cost; lower is better for all engines.
    """

    stage: int
    level: int
    number: int
    metric: float


class LogReader:
    """Reads an engine's output as it comes.

    Parameters
    ----------
    engine : str
        Name of the engine.
    stages : sequence of mapping
        The settings that it runs with: they tell how many iterations there will be at most.

    Attributes
    ----------
    stop_reason : str
        Why the optimiser ended the last level, in its own words; empty when the engine does not say.
    """

    def __init__(self, engine: str, stages: Sequence[Mapping[str, Any]]) -> None:
        self._patterns = ENGINES[engine].log
        self._done_before: dict[tuple[int, int], int] = {}
        total = 0
        for stage, settings in enumerate(stages):
            for level, count in enumerate(ENGINES[engine].iterations_per_level(settings)):
                self._done_before[stage, level] = total
                total += count
        self._total = max(total, 1)
        self._stage = self._level = -1
        self.stop_reason = ""

    def feed(self, line: str) -> Iteration | None:
        """Take one line; returns the iteration that it reports, if any."""
        patterns = self._patterns
        if patterns.stage is not None and re.match(patterns.stage, line):
            self._stage, self._level = self._stage + 1, -1
        if patterns.level is not None and re.match(patterns.level, line):
            self._level += 1
        elif match := re.match(patterns.iteration, line):
            found = {"stage": self._stage, "level": self._level, **match.groupdict()}
            number = int(found["number"]) - patterns.first_number
            return Iteration(int(found["stage"]), int(found["level"]), number, float(found["metric"]))
        elif line.startswith(_STOPPED):
            self.stop_reason = line.removeprefix(_STOPPED)
        return None

    def fraction(self, iteration: Iteration) -> float:
        """Share of the planned iterations that are done, 0 to 1."""
        done = self._done_before.get((iteration.stage, iteration.level), self._total) + iteration.number + 1
        return min(done / self._total, 1.0)


# Printed by the files run_NAME.py that report the progress by themselves.
_STOPPED = "STOPPED "
_DESCRIPTION = re.compile(r"Description: (?:ITK ERROR: )?(.+)")
_ERROR_LINE = re.compile(r"error|exception|terminate|bad_alloc", re.IGNORECASE)

_NOT_OVERLAPPING = (
    "Check in the slice views that the start puts the two volumes roughly onto each other; give a better initial "
    "transform, or crop both volumes to the region that they share."
)
_EXPLANATIONS = (
    (
        r"[Tt]oo many samples map outside",
        "the volumes hardly overlap: most points of one fall outside the other",
        _NOT_OVERLAPPING,
    ),
    (
        r"[Jj]oint PDF summed to zero|All samples map outside|VirtualSampledPointSet must have 1 or more points",
        "no point of one volume falls inside the other, or inside its mask, so there is nothing to compare",
        _NOT_OVERLAPPING,
    ),
    (
        r"Could not find enough image samples|No valid voxels",
        "the region left by the masks is too small to draw samples from",
        "Enlarge the masks, or check that they lie where the volumes overlap.",
    ),
    (
        r"(std::bad_alloc|MemoryError|[Oo]ut of memory|Failed to allocate memory)",
        "there was not enough memory",
        "Close other programs, or crop or downsample the volumes first.",
    ),
    (
        r"ImportError|ModuleNotFoundError",
        "the engine's package is damaged or does not fit this Python",
        "Run 'multimodal-registration doctor', and install the engine again.",
    ),
)


def engine_error(engine: str, printed: str, log: str) -> EngineError:
    """Translate a failure.

    Parameters
    ----------
    engine : str
        Name of the engine.
    printed : str
        The error message or the end of the log.
    log : str
        Everything that it printed, kept with the error.

    Returns
    -------
    EngineError
        With the cause and the remedy if they are known, otherwise with the last line that the engine printed.
    """
    subject = f"Engine {engine}"
    # Of the log only lines that tell of an error: the same words are in its ordinary lines.
    errors = [line for line in log.splitlines() if _ERROR_LINE.search(line)]
    text = "\n".join([printed, *errors])
    for pattern, cause, remedy in _EXPLANATIONS:
        if re.search(pattern, text):
            return EngineError(subject, cause, remedy, log=log)
    lines = [line.strip() for line in printed.strip().splitlines() if line.strip()]
    if "See elastix log" in printed:
        # elastix says only that; what happened is the last description in its log.
        lines = [match[1] for line in errors if (match := _DESCRIPTION.search(line))] or lines
    last = lines[-1] if lines else "it printed nothing"
    return EngineError(subject, f"it stopped with: {last}", "The log holds what it printed before.", log=log)
