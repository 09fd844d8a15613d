"""From the best poses of the search to the result of the engine: with the user's masks, unless they lead away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import EngineError
from ..core.linear import displacement_mm
from ..engines.presets.preset import Preset
from .fine import FineResult, run_fine_stage
from .pair import Pair
from .run import Run
from .verdict.evidence import Examiner
from .views import Comparison, View

__all__ = ["Refined", "refine"]

# The engine, which samples anew, may end beside the pose of the search by this share of its step; within it the
# agreement, which the search made as large as it could, may fall by its noise. Between places further apart there is
# less of it.
_BESIDE = 0.35
_NOISE = 0.04
_NOISE_AFAR = 0.01
# Where a climb of the masked agreement alone loses more than this share of the mean, the engine would go astray, too.
_ASTRAY = 0.03


@dataclass(frozen=True)
class Refined:
    """The result of the engine.

    Parameters
    ----------
    view : View
        In which it was found: with the user's masks, or without.
    pose_lps : array, shape (4, 4)
        Of that view, within its bounds.
    engine : FineResult
        The run that it comes from.
    seconds : float
        Of the engine, in all runs.
    without_masks : str or None
        Why the user's masks were left out, in a sentence; None where they were not.
    """

    view: View
    pose_lps: NDArray[np.float64]
    engine: FineResult
    seconds: float
    without_masks: str | None = None


def refine(
    comparison: Comparison,
    starts: list[NDArray[np.float64]],
    preset: Preset,
    engine: str,
    run: Run,
    *,
    seed: int,
    crop_margin_mm: float | None,
) -> Refined:
    """Run the engine from each pose, and choose the best result.

    Where the masks mark too little to settle the pose, such as one even tumour, the engine would leave a good pose. A
    climb of the masked agreement shows it beforehand, and then the engine runs without the masks. Where the agreement
    with and without the masks shows it only afterwards, the engine runs once more without them, and the better result
    is taken.

    Parameters
    ----------
    comparison : Comparison
        The volumes with the user's masks and without.
    starts : list of array, shape (4, 4)
        Poses of the masked view, the best first.
    preset, engine, run, seed, crop_margin_mm
        As for :func:`~MultimodalRegistrationLib.register.fine.run_fine_stage`.

    Raises
    ------
    EngineError
        The engine failed from every pose, without the masks too.
    Cancelled
        On request.
    """

    def run_engine(pair: Pair, poses: list[NDArray[np.float64]], part: Run) -> list[FineResult]:
        return run_fine_stage(pair, poses, preset, engine, part, seed=seed, crop_margin_mm=crop_margin_mm)

    masked, whole, examiner_of = comparison.masked, comparison.whole, comparison.examiner_of
    if masked is whole:
        fine = run_engine(masked.pair, starts, run)
        best, pose_lps = _best(fine, masked, examiner_of)
        return Refined(masked, pose_lps, best, _seconds(fine))
    first: Refined | None = None
    examiner = examiner_of(masked)
    before, climbed = examiner.agreements(np.stack([starts[0], examiner.best_within_bounds([starts[0]])]))
    if climbed < (1 - _ASTRAY) * before:
        reason = (
            "what they mark would lead away from a pose that agrees better in and around them, "
            f"{before:.2f} nat against {climbed:.2f}"
        )
    else:
        try:
            fine = run_engine(masked.pair, starts, run)
        except EngineError as error:
            if run.engines.has_died(engine):
                raise
            reason = f"with the masks the engine stopped: {error.found}"
        else:
            best, pose_lps = _best(fine, masked, examiner_of)
            first = Refined(masked, pose_lps, best, _seconds(fine))
            left = _left_for(examiner, masked, best.start_sampled_to_other_lps, pose_lps)
            if left is None:
                return first
            reason = left
    fine = run_engine(whole.pair, list(whole.poses_from(masked, np.stack(starts))), run.part(1.0, 1.0))
    best, pose_lps = _best(fine, whole, examiner_of)
    seconds = _seconds(fine) + (0.0 if first is None else first.seconds)
    placed_lps = masked.poses_from(whole, pose_lps[None])[0]
    if first is not None and examiner.agreement(placed_lps) <= examiner.agreement(first.pose_lps):
        return Refined(masked, first.pose_lps, first.engine, seconds)
    words = f"The masks were used to choose the pose, but not to refine it: {reason}."
    return Refined(whole, pose_lps, best, seconds, words)


def _left_for(
    examiner: Examiner, masked: View, start_lps: NDArray[np.float64], pose_lps: NDArray[np.float64]
) -> str | None:
    """What the engine left a better pose for, in words; None where it did not."""
    agreement, before = examiner.agreement(pose_lps), examiner.agreement(start_lps)
    moved_mm = displacement_mm(pose_lps, start_lps, masked.pair.sampled.grid.sample_points_lps(4)).mean()
    allowed = _NOISE if moved_mm <= _BESIDE * examiner.step_mm else _NOISE_AFAR
    if agreement >= (1 - allowed) * before:
        return None
    return (
        f"with the masks the engine left a pose that agrees better, {before:.2f} nat in and around them, for one "
        f"with {agreement:.2f}"
    )


def _seconds(fine: list[FineResult]) -> float:
    return sum(result.seconds for result in fine)


def _best(
    fine: list[FineResult], view: View, examiner_of: Callable[[View], Examiner]
) -> tuple[FineResult, NDArray[np.float64]]:
    """The result with the best agreement, and its pose.

    Where the engine, which knows no bounds, went beyond them, a bounded climb from the bound and from the engine's
    start takes its place: the point on the way back is no optimum.
    """
    poses = []
    for result in fine:
        clamped = view.bounds.clamp(result.sampled_to_other_lps)
        if clamped is not result.sampled_to_other_lps:
            clamped = examiner_of(view).best_within_bounds([clamped, result.start_sampled_to_other_lps])
        poses.append(clamped)
    best = 0 if len(poses) == 1 else int(np.argmax([examiner_of(view).agreement(pose) for pose in poses]))
    return fine[best], poses[best]
