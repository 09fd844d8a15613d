"""How far two transforms are from each other, and which is closer at the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ..core.grid import VolumeGrid
from ..core.volume import Volume
from ..transforms.distance_statistics import DistanceStatistics
from ..transforms.health.health import displacement_difference
from .method import MethodQuality
from .paired import PairedErrors, compare_paired, holm

__all__ = ["Comparison", "compare_methods"]


@dataclass(frozen=True)
class Comparison:
    """Two transforms over the same region and at the same targets.

    Parameters
    ----------
    first, second : str
        Their names.
    displacement : DistanceStatistics
        Distance between where they send the same points.
    targets : PairedErrors or None
        None where one of them has no targets, or other ones.
    p_corrected : float or None
        For the number of comparisons made.
    sentence : str or None
        What the targets say.
    """

    first: str
    second: str
    displacement: DistanceStatistics
    targets: PairedErrors | None
    p_corrected: float | None
    sentence: str | None


def compare_methods(
    methods: Sequence[MethodQuality], grid: VolumeGrid, region: Volume | None, *, seed: int
) -> tuple[Comparison, ...]:
    """Compare each pair of transforms.

    Parameters
    ----------
    methods : sequence of MethodQuality
        Two or more for a result; their targets are the same points.
    grid : VolumeGrid
        Of the fixed volume.
    region : Volume or None
        Mask of the part that counts; everything by default.
    seed : int
        Of the resampling for the intervals.

    Returns
    -------
    tuple of Comparison
        In the order of the methods.
    """
    found = []
    for a, b in combinations(methods, 2):
        gap = displacement_difference(a.transform, b.transform, region=grid if region is None else region)
        paired = None
        if a.targets is not None and b.targets is not None and a.targets.labels == b.targets.labels:
            paired = compare_paired(a.targets.errors_mm, b.targets.errors_mm, seed=seed)
        found.append((a.transform.name, b.transform.name, gap, paired))
    corrected = holm([None if paired is None else paired.p for *_, paired in found])
    count = sum(p is not None for p in corrected)
    return tuple(
        Comparison(
            first,
            second,
            gap,
            paired,
            p,
            None if paired is None else paired.sentence(first, second, p, count),
        )
        for (first, second, gap, paired), p in zip(found, corrected, strict=True)
    )
