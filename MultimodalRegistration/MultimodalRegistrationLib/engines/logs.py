"""What the engines print, read line by line as progress."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Iteration", "LogReader"]


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


# elastix: "12<TAB>-0.35<TAB>..." under a header line, after "Resolution: 1".
_ELASTIX_LEVEL = re.compile(r"Resolution: (\d+)")
_ELASTIX_ITERATION = re.compile(r"(\d+)\t(\S+)\t")
# ANTs: "*** Running Euler3DTransform registration ***", then for each level a line of headings and its iterations,
# " 2DIAGNOSTIC,    12, -3.5e-01, ..." (counted from 1). Of SyN the headings begin with XX.
_ANTS_STAGE = re.compile(r"\*\*\* Running \w+ registration")
_ANTS_LEVEL = re.compile(r"\s*(XX)?DIAGNOSTIC,Iteration,")
_ANTS_ITERATION = re.compile(r"\s*\dDIAGNOSTIC,\s*(\d+),\s*([^,\s]+),")
# SimpleITK: printed by run_simpleitk itself.
_SIMPLEITK_STOP = re.compile(r"STOPPED (.+)")
_SIMPLEITK_ITERATION = re.compile(r"STAGE (\d+) LEVEL (\d+) ITERATION (\d+) METRIC (\S+)")


class LogReader:
    """Reads an engine's output as it comes.

    Parameters
    ----------
    engine : str
        Name of the engine.
    stages : list of mapping
        The settings that it runs with: they tell how many iterations there will be at most.

    Attributes
    ----------
    stop_reason : str
        Why the optimiser ended the last level, in its own words; empty when the engine does not say.
    """

    def __init__(self, engine: str, stages: list[dict[str, Any]]) -> None:
        self._read = _READERS[engine]
        planned = [_planned_iterations(engine, stage) for stage in stages]
        self._level_offset: dict[tuple[int, int], int] = {}
        total = 0
        for stage, levels in enumerate(planned):
            for level, count in enumerate(levels):
                self._level_offset[stage, level] = total
                total += count
        self._total = max(total, 1)
        self.stage = -1
        self.level = 0
        self.stop_reason = ""

    def feed(self, line: str) -> Iteration | None:
        """Take one line; returns the iteration that it reports, if any."""
        return self._read(self, line)

    def fraction(self, iteration: Iteration) -> float:
        """Share of the planned iterations that are done, 0 to 1."""
        done = self._level_offset.get((iteration.stage, iteration.level), self._total) + iteration.number + 1
        return min(done / self._total, 1.0)


def _planned_iterations(engine: str, stage: Mapping[str, Any]) -> list[int]:
    if engine == "elastix":
        levels, iterations = stage["NumberOfResolutions"], stage["MaximumNumberOfIterations"]
        return iterations if isinstance(iterations, list) else [iterations] * levels
    if engine == "ants":
        return list(stage["iterations"])
    return [stage["iterations"]] * len(stage["resolutions_mm"])


def _read_elastix(reader: LogReader, line: str) -> Iteration | None:
    if match := _ELASTIX_LEVEL.match(line):
        reader.level = int(match[1])
        reader.stage += reader.level == 0
    elif match := _ELASTIX_ITERATION.match(line):
        return Iteration(reader.stage, reader.level, int(match[1]), float(match[2]))
    return None


def _read_ants(reader: LogReader, line: str) -> Iteration | None:
    if _ANTS_STAGE.match(line):
        reader.stage += 1
        reader.level = -1
    elif _ANTS_LEVEL.match(line):
        reader.level += 1
    elif match := _ANTS_ITERATION.match(line):
        return Iteration(reader.stage, reader.level, int(match[1]) - 1, float(match[2]))
    return None


def _read_simpleitk(reader: LogReader, line: str) -> Iteration | None:
    if match := _SIMPLEITK_ITERATION.match(line):
        return Iteration(int(match[1]), int(match[2]), int(match[3]), float(match[4]))
    if match := _SIMPLEITK_STOP.match(line):
        reader.stop_reason = match[1]
    return None


_READERS: Mapping[str, Callable[[LogReader, str], Iteration | None]] = {
    "elastix": _read_elastix,
    "ants": _read_ants,
    "simpleitk": _read_simpleitk,
}
