"""The rule that says in one word how good a registration is, and why.

What counts is the error at independent targets, then the agreement of structures. Similarity of the images and overlap
are unreliable surrogates (Rohlfing 2012, doi:10.1109/TMI.2011.2163944): they can speak against a result, never for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ..core.spatial import SpatialTransform
from ..io.run_records import RunRecord
from ..transforms.health import TransformHealth
from ..transforms.working_grid import DistanceStatistics
from .images.evidence import ImageEvidence
from .structures.compare import StructureAgreement
from .targets import MIN_VALUES, TargetErrors, Tolerance

Word = Literal["good", "doubtful", "bad", "unknown"]

# Of the tolerance: a single target or structure beyond this needs a look although the mean is fine.
_OUTLIER = 2.0
# Likewise: surfaces further apart on average are no agreement, whatever they were before.
_APART = 3.0
# Points of people never fit a transform to a micrometre.
_MADE_UP_MM = 1e-3
# Share of the normalised mutual information above one: less of a loss is noise.
_LOSS = 0.02
_FOLDED_BAD = 1e-3
_NO_OVERLAP = 0.01
# What no transform changes.
_CANNOT_BE_COMPARED = ("only-fixed", "only-moving", "empty", "ambiguous")


@dataclass(frozen=True)
class MethodQuality:
    """One transform and what is known about it.

    Parameters
    ----------
    transform : SpatialTransform
        From fixed to moving. Without any, the identity.
    targets : TargetErrors or None
        None where none were given, or where the transform was computed from all of them.
    structures : tuple of StructureAgreement
        Empty where no segmentations were given.
    images : ImageEvidence
        What the volumes themselves show.
    health : TransformHealth or None
        None for the identity.
    from_reference : DistanceStatistics or None
        Difference from the reference over the region, where one was given.
    reference : str or None
        Why this one is the reference; None for all others.
    record : RunRecord or None
        How it was made, where that was found.
    alarms : tuple of str
        What forbids its use whatever the measurements, such as a transform that is the wrong way round.
    notes : tuple of str
        What the reader should know about the numbers.
    rank : int or None
        From 1, by what was measured independently; None where nothing was, or where it is the reference.
    """

    transform: SpatialTransform
    targets: TargetErrors | None
    structures: tuple[StructureAgreement, ...]
    images: ImageEvidence
    health: TransformHealth | None = None
    from_reference: DistanceStatistics | None = None
    reference: str | None = None
    record: RunRecord | None = None
    alarms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rank: int | None = None


@dataclass(frozen=True)
class QualityVerdict:
    """How good a registration is.

    Parameters
    ----------
    word : str
        ``"good"``, ``"doubtful"``, ``"bad"``, or ``"unknown"`` where nothing independent was given to tell.
    method : str
        Name of the transform that it is about: the best one.
    sentence : str
        The verdict as a sentence.
    reasons : tuple of str
        What speaks against the result.
    facts : tuple of str
        The main measurements.
    """

    word: Word
    method: str
    sentence: str
    reasons: tuple[str, ...]
    facts: tuple[str, ...]


@dataclass
class _Case:
    """What was found for and against a result."""

    bad: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    measured: Literal["nothing", "structures", "points"] = "nothing"


def judge_quality(method: MethodQuality, before: MethodQuality, tolerance: Tolerance) -> QualityVerdict:
    """Judge one transform.

    Parameters
    ----------
    method, before : MethodQuality
        With the transform, and with none.
    tolerance : Tolerance
        Acceptable mean error.

    Returns
    -------
    QualityVerdict
        Word, sentence, reasons and facts.
    """
    case = _Case(bad=list(method.alarms))
    _judge_reference(case, method, tolerance)
    if method.targets is not None:
        _judge_targets(case, method.targets, before.targets, tolerance)
    _judge_structures(case, method, before, tolerance)
    _judge_images(case, method, before)
    _judge_health(case, method)
    _judge_record(case, method)
    name = method.transform.name
    within = f"within the tolerance of {tolerance.mm:g} mm ({tolerance.name})"
    word: Word = "good"
    if case.bad:
        word, sentence = "bad", f"Do not rely on '{name}'."
    elif case.doubts:
        word, sentence = "doubtful", f"Look closely before you rely on '{name}'."
    elif case.measured == "nothing":
        word = "unknown"
        sentence = (
            f"Nothing independent was given to measure '{name}': give targets or segmentations of the same structures."
        )
    elif case.measured == "points":
        sentence = f"'{name}' is {within}."
    else:
        sentence = (
            f"'{name}' brings the surfaces of the structures {within} on average; no error at a point was measured."
        )
    return QualityVerdict(word, name, sentence, (*case.bad, *case.doubts), tuple(case.facts))


def _judge_targets(case: _Case, after: TargetErrors, before: TargetErrors | None, tolerance: Tolerance) -> None:
    case.measured = "points"
    interval = after.intervals_mm["mean"]
    confidence = "" if interval is None else f" (95 % confidence: {interval.low:.2f} to {interval.high:.2f})"
    case.facts.append(
        f"Target error at {len(after)} points: mean {after.mean_mm:.2f} mm{confidence}, "
        f"95th percentile {after.p95_mm:.2f}, largest {after.max_mm:.2f} mm."
    )
    if after.max_mm < _MADE_UP_MM:
        case.doubts.append("The error is zero at every target: the points were made by this transform, not measured.")
    limit = f"the tolerance of {tolerance.mm:g} mm ({tolerance.name})"
    if after.mean_mm > tolerance.mm:
        # Too few for an interval still speak where each of them is beyond the tolerance.
        far = after.errors_mm.min() > _OUTLIER * tolerance.mm
        sure = far or (interval is not None and interval.low > tolerance.mm)
        found = f"The mean target error, {after.mean_mm:.2f} mm, is above {limit}"
        (case.bad if sure else case.doubts).append(f"{found}{'' if sure else ', though by less than is certain'}.")
    elif interval is None:
        case.doubts.append(f"{len(after)} targets are too few to be sure; {MIN_VALUES} or more are needed.")
    elif interval.high > tolerance.mm:
        case.doubts.append(
            f"The mean target error, {after.mean_mm:.2f} mm, may be up to {interval.high:.2f} mm, above {limit}."
        )
    if after.max_mm > _OUTLIER * tolerance.mm:
        worst = after.labels[int(after.errors_mm.argmax())]
        case.doubts.append(f"The error at {worst} is {after.max_mm:.2f} mm, more than twice {limit}.")
    if after.folded:
        case.bad.append(f"The transform has no inverse at {', '.join(after.folded)}.")
    if before is None or before.labels != after.labels:
        return
    case.facts.append(f"Before, it was {before.mean_mm:.2f} mm.")
    if after.mean_mm >= before.mean_mm > tolerance.mm:
        case.bad.append(f"The mean target error was {before.mean_mm:.2f} mm before: the transform makes it no better.")


def _judge_reference(case: _Case, method: MethodQuality, tolerance: Tolerance) -> None:
    gap = method.from_reference
    if gap is None or method.reference is not None:
        return
    case.measured = "points"
    case.facts.append(f"It is {gap.mean_mm:.2f} mm from the reference on average, at most {gap.max_mm:.2f} mm.")
    if gap.mean_mm > tolerance.mm:
        case.bad.append(f"It is {gap.mean_mm:.2f} mm from the reference, above the tolerance of {tolerance.mm:g} mm.")


def _judge_structures(case: _Case, method: MethodQuality, before: MethodQuality, tolerance: Tolerance) -> None:
    earlier = {one.name: one.measures for one in before.structures}
    for one in method.structures:
        if one.measures is None:
            # One that was drawn in one volume only says nothing about the transform.
            (case.facts if one.status in ("only-fixed", "only-moving") else case.doubts).extend(one.notes)
            continue
        if case.measured == "nothing":
            case.measured = "structures"
        distance = one.measures.mean_surface_distance_mm
        case.facts.append(f"{one.name}: Dice {one.measures.dice:.2f}, mean surface distance {distance:.2f} mm.")
        previous = earlier.get(one.name)
        was = None if previous is None else previous.mean_surface_distance_mm
        if was is not None and distance > was > tolerance.mm:
            case.bad.append(f"{one.name} lies worse than before: {distance:.2f} mm on average, {was:.2f} mm before.")
        elif distance > tolerance.mm:
            far = distance > _APART * tolerance.mm
            (case.bad if far else case.doubts).append(
                f"The surfaces of {one.name} are {distance:.2f} mm apart on average."
            )
        # Surfaces that slide along each other stay near: of a ball shifted by d they are d/2 apart on average.
        if one.centroid_distance_mm is not None and one.centroid_distance_mm > tolerance.mm:
            case.doubts.append(f"The centroids of {one.name} are {one.centroid_distance_mm:.2f} mm apart.")


def _judge_images(case: _Case, method: MethodQuality, before: MethodQuality) -> None:
    now, then = method.images, before.images
    if now.overlap < _NO_OVERLAP:
        case.bad.append("The volumes do not overlap: they may belong to different scenes, or the transform to others.")
    mine, theirs = now.normalized_mutual_information, then.normalized_mutual_information
    if mine is None or theirs is None:
        return
    was, now_is = f"{theirs:.3f}", f"{mine:.3f}"
    change = f"stayed at {now_is}" if was == now_is else f"{'rose' if mine > theirs else 'fell'} from {was} to {now_is}"
    case.facts.append(f"Normalised mutual information {change}.")
    if mine - 1 < (1 - _LOSS) * (theirs - 1):
        case.doubts.append("The images agree less than before (normalised mutual information).")


def _judge_health(case: _Case, method: MethodQuality) -> None:
    if method.health is None:
        return
    share = method.health.jacobian.folded_share
    if share > 0 and method.health.linear:
        case.bad.append("The transform makes a mirror image.")
    elif share > 0:
        message = f"The transform folds space over {share:.2%} of the region, or its displacement field ends inside it."
        (case.bad if share > _FOLDED_BAD else case.doubts).append(message)


def _judge_record(case: _Case, method: MethodQuality) -> None:
    verdict = None if method.record is None else method.record.verdict
    if verdict is None:
        return
    error = verdict.get("estimated_error_mm")
    expected = "" if error is None else f", with an estimated error of {error:.1f} mm"
    case.facts.append(f"The registration itself ended as {verdict['word']}{expected}.")
    if verdict["word"] == "failed":
        case.bad.append("The registration itself ended as failed.")
    elif verdict["word"] == "uncertain":
        case.doubts.append("The registration itself ended as uncertain.")


def ranked(methods: Sequence[MethodQuality]) -> list[MethodQuality]:
    """Rank transforms by the mean error at the same targets, else by the mean distance from the reference or surfaces.

    Ranks start from 1; equal values share a rank; a transform that was not measured gets None. Similarity of the images
    does not rank anything: each method favours its own metric.
    """
    values = [None if one.targets is None else one.targets.mean_mm for one in methods]
    if not any(value is not None for value in values):
        values = [None if one.from_reference is None else one.from_reference.mean_mm for one in methods]
    if not any(value is not None for value in values):
        values = [_mean_distance(one.structures) for one in methods]
    ranks = [None if v is None else 1 + sum(w is not None and w < v for w in values) for v in values]
    return [replace(one, rank=rank) for one, rank in zip(methods, ranks, strict=True)]


def _mean_distance(structures: tuple[StructureAgreement, ...]) -> float | None:
    distances = [
        None if one.measures is None else one.measures.mean_surface_distance_mm
        for one in structures
        if one.status not in _CANNOT_BE_COMPARED
    ]
    known = [d for d in distances if d is not None]
    return float(np.mean(known)) if known and len(known) == len(distances) else None
