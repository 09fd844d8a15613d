"""The verdict on a whole chain of stages."""

from __future__ import annotations

import dataclasses

from .result import DeformableStage, LinearStage
from .verdict.rule import Verdict, with_doubts

__all__ = ["with_stage"]

# A later linear stage that moves the result less leaves its verdict as it is.
_SMALL_MOVE_MM = 1.0
_ADVICE = {
    "unclear": "Whether the bending helped is unclear: compare it with the linear result.",
    "drop": "Drop the bending, and run again without it: the linear result is the better one.",
}


def with_stage(verdict: Verdict, stage: LinearStage | DeformableStage) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on everything so far, no better than that on a later stage, and what speaks against that stage.

    Parameters
    ----------
    verdict : Verdict
        On the stages before it.
    stage : LinearStage or DeformableStage
        A deformable stage has a verdict of its own.
    """
    if isinstance(stage, LinearStage):
        facts, against = _of_linear(verdict, stage)
    else:
        facts, against = _of_bending(stage)
    facts = (*verdict.facts, *facts)
    return with_doubts(dataclasses.replace(verdict, facts=facts), against), against


def _of_linear(verdict: Verdict, stage: LinearStage) -> tuple[tuple[str, ...], tuple[str, ...]]:
    facts = (f"{stage.preset.name} moved it by another {stage.moved_mm:.1f} mm on average.",)
    if stage.moved_mm <= max(_SMALL_MOVE_MM, 2 * (verdict.estimated_error_mm or 0.0)):
        return facts, ()
    return facts, (
        f"{stage.preset.name} moved the result of the stages before, which was judged, by {stage.moved_mm:.1f} mm.",
    )


def _of_bending(stage: DeformableStage) -> tuple[tuple[str, ...], tuple[str, ...]]:
    assert stage.verdict is not None, "both are judged, or neither"
    if stage.verdict.word == "helped":
        return ("The bending helped.", *stage.verdict.facts), ()
    return stage.verdict.facts, (_ADVICE[stage.verdict.word], *stage.verdict.against)
