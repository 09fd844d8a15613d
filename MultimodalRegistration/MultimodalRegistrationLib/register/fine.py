"""The fine stage: the engine, from one candidate pose after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.coarse_voxels import has_thick_slices
from ..core.errors import EngineError
from ..engines.handover import EngineJob, EngineResult
from ..engines.logs import Iteration, LogReader
from ..engines.presets.model import Preset
from ..engines.session import EngineSession
from .crop_pair import crop_pair
from .pair import Pair, equalised_volume, moved
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
    session: EngineSession,
    pair: Pair,
    poses_lps: Sequence[NDArray[np.float64]],
    preset: Preset,
    *,
    seed: int,
    crop_margin_mm: float | None,
    on_progress: Callable[[str, float], None],
    on_warning: Callable[[str], None],
    on_log: Callable[[str], None] | None,
    cancel: threading.Event | None,
    keep: Path | None,
) -> list[FineResult]:
    """Run the engine from each pose.

    Parameters
    ----------
    session : EngineSession
        The running engine.
    pair : Pair
        The volumes.
    poses_lps : sequence of array, shape (4, 4)
        Rigid starts, the best first.
    preset : Preset
        Settings.
    seed : int
        Of the engine's random draws.
    crop_margin_mm : float or None
        The engine gets what both volumes show at each pose, with this margin; None for all of both.
    on_progress : callable
        Called with words and the share of this stage that is done.
    on_warning : callable
        Called when the engine failed from one pose but not from another.
    on_log : callable or None
        Called with each line that the engine prints.
    cancel : threading.Event or None
        Set it to stop within a second.
    keep : Path or None
        Folder for the engine's files.

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
    results: list[FineResult] = []
    first_error: EngineError | None = None
    for number, pose_lps in enumerate(poses_lps):

        def tell(words: str, fraction: float, number: int = number) -> None:
            which = f" from candidate {number + 1} of {len(poses_lps)}" if len(poses_lps) > 1 else ""
            on_progress(f"{words}{which}", (number + fraction) / len(poses_lps))

        sampled, other = pair.sampled, pair.other
        if crop_margin_mm is not None:
            sampled, other = crop_pair(sampled, other, pose_lps, crop_margin_mm)
        other = moved(other, pose_lps)
        # Measured with elastix alone, which then samples at the voxels of the thick slices.
        if session.engine == "elastix" and has_thick_slices(sampled.grid, other.grid):
            other = averaged_over_slices(other, sampled.grid)
        share = preset.equalised_shares.get(session.engine, 0.0)
        with ThreadPoolExecutor(2) as pool:
            sampled, other = pool.map(equalised_volume, (sampled, other), (share, share))
        job = EngineJob(sampled, other, preset.engines[session.engine], seed)
        try:
            found, convergence = follow_engine(session, job, tell, on_log=on_log, cancel=cancel, keep=keep)
        except EngineError as error:
            if len(poses_lps) == 1:
                raise
            first_error = first_error or error
            if session.closed:
                break
            on_warning(f"From candidate {number + 1} of {len(poses_lps)} the engine stopped: {error.found}.")
        else:
            pose = pose_lps @ found.fixed_to_moving_lps
            results.append(FineResult(pose_lps, pose, convergence, found.seconds, found.log))
    if not results and first_error is not None:
        raise first_error
    return results


def follow_engine(
    session: EngineSession,
    job: EngineJob,
    tell: Callable[[str, float], None],
    *,
    on_log: Callable[[str], None] | None,
    cancel: threading.Event | None,
    keep: Path | None,
) -> tuple[EngineResult, Convergence]:
    """Run one job, tell its progress from what the engine prints, and judge whether it settled.

    Parameters
    ----------
    session, job
        The running engine and its job.
    tell : callable
        Called with words and the share that is done.
    on_log, cancel, keep
        As for :func:`run_fine_stage`.
    """
    reader = LogReader(session.engine, job.stages)
    trace: list[Iteration] = []
    levels_told: set[tuple[int, int]] = set()

    def on_line(line: str) -> None:
        if on_log is not None:
            on_log(line)
        iteration = reader.feed(line)
        if iteration is None:
            return
        trace.append(iteration)
        level = (iteration.stage, iteration.level)
        if level not in levels_told or iteration.number % 10 == 0:
            levels_told.add(level)
            stage = f"{session.engine}: stage {level[0] + 1} of {len(job.stages)}, level {level[1] + 1}"
            tell(stage, reader.fraction(iteration))

    tell(f"{session.engine}: starting", 0.0)
    found = session.run(job, on_line=on_line, cancel=cancel, keep=keep)
    return found, judge_convergence(trace, reader.stop_reason)
