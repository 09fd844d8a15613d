"""Whether the optimiser had settled when it stopped, judged by its metric values and said in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...engines.logs import Iteration

__all__ = ["Convergence", "LevelTrace", "judge_convergence"]

_FEWEST_ITERATIONS = 10


@dataclass(frozen=True)
class LevelTrace:
    """One resolution level of one stage.

    Parameters
    ----------
    stage, level : int
        Counted from 0.
    iterations : int
        How many were done.
    metric_first, metric_last : float
        The engine's cost over the first and the last tenth of the iterations; lower is better.
    """

    stage: int
    level: int
    iterations: int
    metric_first: float
    metric_last: float


@dataclass(frozen=True)
class Convergence:
    """The judgement.

    Parameters
    ----------
    settled : bool or None
        Whether the metric had stopped improving; None when too few iterations tell.
    words : str
        One sentence with the evidence.
    levels : tuple of LevelTrace
        All levels in their order.
    """

    settled: bool | None
    words: str
    levels: tuple[LevelTrace, ...]


def judge_convergence(trace: Sequence[Iteration], stop_reason: str = "") -> Convergence:
    """Judge the last level of a run.

    The optimisers end at a fixed number of iterations or at a step size, and either can be success or failure. What
    tells is the metric itself: the run has settled when, over the last quarter of the last level, it improved by less
    than its own noise from sample to sample, or by less than 2 % of what the whole run gained.

    Parameters
    ----------
    trace : sequence of Iteration
        All iterations in their order.
    stop_reason : str
        Why the optimiser stopped, in its own words, if it says so.

    Returns
    -------
    Convergence
        The judgement in words.
    """
    groups: dict[tuple[int, int], list[float]] = {}
    for iteration in trace:
        groups.setdefault((iteration.stage, iteration.level), []).append(iteration.metric)
    levels = tuple(_level(stage, level, values) for (stage, level), values in groups.items())
    if not levels:
        return Convergence(None, "The engine reported no iteration, so convergence is unknown.", levels)
    last = np.asarray(groups[levels[-1].stage, levels[-1].level])
    if "tolerance" in stop_reason.lower():
        words = (
            f"Settled: the optimiser found nothing better within its tolerance ({levels[-1].iterations} iterations)."
        )
        return Convergence(True, words, levels)
    if len(last) < _FEWEST_ITERATIONS:
        words = f"The last level ended after {len(last)} iterations: too few to tell whether it had settled."
        return Convergence(None, words, levels)
    quarter = len(last) // 4
    third_part, fourth_part = last[-2 * quarter : -quarter], last[-quarter:]
    improvement = float(third_part.mean() - fourth_part.mean())
    noise = float(np.sqrt((third_part.var() + fourth_part.var()) / quarter))
    gained = max(trace_level.metric_first - trace_level.metric_last for trace_level in levels)
    settled = improvement <= max(2 * noise, 0.02 * gained)
    change = "did not improve" if improvement <= noise else f"improved by {improvement:.4f}"
    evidence = (
        f"over the last {quarter} of {len(last)} iterations of the finest level the metric {change} "
        f"(its noise is {noise:.4f})"
    )
    words = (
        f"Settled: {evidence}."
        if settled
        else f"Still improving when the iterations ended: {evidence}. More iterations in the preset would help."
    )
    return Convergence(settled, words, levels)


def _level(stage: int, level: int, values: list[float]) -> LevelTrace:
    tenth = max(1, len(values) // 10)
    return LevelTrace(stage, level, len(values), float(np.mean(values[:tenth])), float(np.mean(values[-tenth:])))
