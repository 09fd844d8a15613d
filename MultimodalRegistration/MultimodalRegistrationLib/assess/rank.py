"""The order of transforms by what was measured independently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..transforms.distance_statistics import DistanceStatistics
from .structures.compare import StructureAgreement
from .targets import TargetErrors

__all__ = ["rank"]


# What no transform changes.
_CANNOT_BE_COMPARED = ("only-fixed", "only-moving", "empty", "ambiguous")


def rank(
    targets: Sequence[TargetErrors | None],
    structures: Sequence[tuple[StructureAgreement, ...]],
    from_reference: Sequence[DistanceStatistics | None],
) -> list[int | None]:
    """Rank transforms by the mean error at the same targets, else by the mean distance from the reference or surfaces.

    Parameters
    ----------
    targets : sequence of TargetErrors or None
        Of each transform.
    structures : sequence of tuple of StructureAgreement
        Of each transform. Those that are in one segmentation only do not count.
    from_reference : sequence of DistanceStatistics or None
        Of each transform.

    Returns
    -------
    list of int or None
        From 1; equal values share a rank; None for a transform that was not measured. Similarity of the images does not
        rank anything: each method favours its own metric.
    """
    if any(one is not None for one in targets):
        values = [None if one is None else one.mean_mm for one in targets]
    elif any(one is not None for one in from_reference):
        values = [None if one is None else one.mean_mm for one in from_reference]
    else:
        values = [_mean_distance(one) for one in structures]
    return [None if v is None else 1 + sum(w is not None and w < v for w in values) for v in values]


def _mean_distance(structures: tuple[StructureAgreement, ...]) -> float | None:
    distances = [
        None if one.measures is None else one.measures.mean_surface_distance_mm
        for one in structures
        if one.status not in _CANNOT_BE_COMPARED
    ]
    known = [d for d in distances if d is not None]
    return float(np.mean(known)) if known and len(known) == len(distances) else None
