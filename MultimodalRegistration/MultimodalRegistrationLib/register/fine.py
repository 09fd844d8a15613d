"""The fine stage: the engine, from one candidate pose after the other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import EngineError
from ..core.grid import has_thick_slices
from ..engines.jobs import EngineJob, EngineResult, EngineVolume
from ..engines.logs import Iteration, LogReader
from ..engines.presets.preset import Preset
from ..engines.session import EngineSession
from .crop_pair import crop_pair
from .pair import Pair, equalised_volume, moved
from .run import Run
from .slice_profile import averaged_over_slices
from .verdict.convergence import Convergence, judge_convergence

__all__ = ["FineResult", "follow_engine", "run_fine_stage"]


@dataclass(frozen=True)
class FineResult:
    """Where the engine ended from one candidate.

    Parameters
    ----------
    start_sampled_to_other_lps : array, shape (4, 4)
        The candidate.
    sampled_to_other_lps : array, shape (4, 4)
        The pose that the engine found.
    convergence : Convergence
        How it got there.
    seconds : float
        The engine's own time.
    log : str
        What it printed.
    """

    start_sampled_to_other_lps: NDArray[np.float64]
    sampled_to_other_lps: NDArray[np.float64]
    convergence: Convergence
    seconds: float
    log: str


def run_fine_stage(
    pair: Pair,
    poses_lps: Sequence[NDArray[np.float64]],
    preset: Preset,
    engine: str,
    run: Run,
    *,
    seed: int,
    crop_margin_mm: float | None,
) -> list[FineResult]:
    """Run the engine from each pose.

    Parameters
    ----------
    pair : Pair
        The volumes.
    poses_lps : sequence of array, shape (4, 4)
        Rigid starts, the best first.
    preset : Preset
        Settings.
    engine : str
        Name.
    run : Run
        Told of the progress of this stage, and where the engine failed from one pose but not from another.
    seed : int
        Of the engine's random draws.
    crop_margin_mm : float or None
        The engine gets what both volumes show at each pose, with this margin; None for all of both.

    Returns
    -------
    list of FineResult
        In the order of the poses, without those from which the engine failed.

    Raises
    ------
    EngineError
        The engine failed from every pose.
    Cancelled
        On request.
    """
    session = run.engines.of(engine)
    results: list[FineResult] = []
    first_error: EngineError | None = None
    count = len(poses_lps)
    for number, pose_lps in enumerate(poses_lps):
        suffix = f" from candidate {number + 1} of {count}" if count > 1 else ""
        job = EngineJob(*_engine_volumes(pair, pose_lps, preset, engine, crop_margin_mm), preset.engines[engine], seed)
        try:
            part = run.part(number / count, (number + 1) / count, suffix=suffix)
            found, convergence = follow_engine(job, session, part)
        except EngineError as error:
            if count == 1:
                raise
            first_error = first_error or error
            if session.closed:
                break
            run.warn(f"From candidate {number + 1} of {count} the engine stopped: {error.found}.")
        else:
            pose = pose_lps @ found.metric_fixed_to_metric_moving_lps
            results.append(FineResult(pose_lps, pose, convergence, found.seconds, found.log))
    if not results and first_error is not None:
        raise first_error
    return results


def _engine_volumes(
    pair: Pair, pose_lps: NDArray[np.float64], preset: Preset, engine: str, crop_margin_mm: float | None
) -> tuple[EngineVolume, EngineVolume]:
    """What the engine gets: both volumes with the pose as identity."""
    sampled, other = pair.sampled, pair.other
    if crop_margin_mm is not None:
        sampled, other = crop_pair(sampled, other, pose_lps, crop_margin_mm)
    other = moved(other, pose_lps)
    # Measured with elastix alone, which then samples at the voxels of the thick slices.
    if engine == "elastix" and has_thick_slices(sampled.grid, other.grid):
        other = averaged_over_slices(other, sampled.grid)
    share = preset.histogram_equalization_shares.get(engine, 0.0)
    with ThreadPoolExecutor(2) as pool:
        sampled, other = pool.map(equalised_volume, (sampled, other), (share, share))
    return sampled, other


def follow_engine(job: EngineJob, session: EngineSession, run: Run) -> tuple[EngineResult, Convergence]:
    """Run one job, tell its progress from what the engine prints, and judge whether it settled."""
    reader = LogReader(session.engine, job.stages)
    trace: list[Iteration] = []
    levels_told: set[tuple[int, int]] = set()

    def on_line(line: str) -> None:
        run.on_log(line)
        iteration = reader.feed(line)
        if iteration is None:
            return
        trace.append(iteration)
        level = (iteration.stage, iteration.level)
        if level not in levels_told or iteration.number % 10 == 0:
            levels_told.add(level)
            stage = f"{session.engine}: stage {level[0] + 1} of {len(job.stages)}, level {level[1] + 1}"
            run.tell(stage, reader.fraction(iteration))

    run.tell(f"{session.engine}: starting", 0.0)
    found = session.run(job, on_line=on_line, cancel=run.cancel, keep=run.keep)
    return found, judge_convergence(trace, reader.stop_reason)
