"""Everything that was measured about one transform."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.spatial import SpatialTransform
from ..io.run_records import RunRecord
from ..transforms.distance_statistics import DistanceStatistics
from ..transforms.health.health import TransformHealth
from .images.evidence import ImageEvidence
from .structures.compare import StructureAgreement
from .targets import TargetErrors

__all__ = ["MethodQuality"]


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
    health: TransformHealth | None
    from_reference: DistanceStatistics | None
    reference: str | None
    record: RunRecord | None
    alarms: tuple[str, ...]
    notes: tuple[str, ...]
    rank: int | None
