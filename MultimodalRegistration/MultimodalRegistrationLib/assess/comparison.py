"""How far two transforms are from each other, and which is closer at the same targets.

The test is Wilcoxon's for matched pairs (1945, doi:10.2307/3001968): errors are skewed, and few. The effect size is the
matched-pairs rank-biserial correlation (Kerby 2014, doi:10.2466/11.IT.3.1): the share of the rank sum in favour minus
the share against, 1 when one transform is closer everywhere. Several comparisons share their chance of a false finding
by Holm's steps (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..core.grid import VolumeGrid
from ..core.volume import Volume
from ..transforms.health import displacement_difference
from ..transforms.working_grid import DistanceStatistics
from .targets import MIN_VALUES, Interval, mean_interval
from .verdict import MethodQuality

TEST = "Wilcoxon signed-rank"
EFFECT = "matched-pairs rank-biserial correlation"
_SIGNIFICANT = 0.05
# Less is rounding: the same transform from two files.
_SAME_MM = 1e-6


@dataclass(frozen=True)
class BlandAltman:
    """Differences of two measurements against their mean (Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8).

    Parameters
    ----------
    means_mm, differences_mm : array, shape (N,)
        Of the errors of two transforms at each target; differences are first minus second.
    bias_mm : float
        Mean difference.
    limits_mm : tuple of 2 float, or None
        Limits of agreement, bias -/+ 1.96 standard deviations; None for a single target.
    """

    means_mm: NDArray[np.float64]
    differences_mm: NDArray[np.float64]
    bias_mm: float
    limits_mm: tuple[float, float] | None


@dataclass(frozen=True)
class PairedErrors:
    """Errors of two transforms at the same targets.

    Parameters
    ----------
    n : int
        Number of targets.
    closer, tied : int
        At how many the first is closer, and at how many both are equally close.
    mean_difference_mm : float
        Mean of first minus second.
    interval_mm : Interval or None
        Of that mean, 95 %.
    p : float or None
        Two-sided, as it comes out, before the correction for several comparisons; None with too few targets or where
        nothing differs.
    effect_size : float or None
        -1 to 1; positive when the first is closer.
    bland_altman : BlandAltman
        For the plot.
    """

    n: int
    closer: int
    tied: int
    mean_difference_mm: float
    interval_mm: Interval | None
    p: float | None
    effect_size: float | None
    bland_altman: BlandAltman

    def sentence(self, first: str, second: str, p_corrected: float | None, comparisons: int) -> str:
        """What this says, plainly; ``p_corrected`` is from :func:`holm` over that many comparisons."""
        if self.tied == self.n:
            return f"'{first}' and '{second}' are equally close at all {self.n} targets."
        ahead, behind, count = first, second, self.closer
        if self.mean_difference_mm > 0:
            ahead, behind, count = second, first, self.n - self.tied - self.closer
        size = f"{abs(self.mean_difference_mm):.2f} mm"
        found = f"'{ahead}' is closer than '{behind}' at {count} of {self.n} targets, by {size} on average"
        if p_corrected is None:
            return f"{found}; these are too few targets to tell whether that is more than chance."
        several = f", Holm's correction for {comparisons} comparisons" if comparisons > 1 else ""
        p = "p < 0.001" if p_corrected < 0.001 else f"p = {p_corrected:.2g}"
        test = f"{p}{several}"
        if self.effect_size is not None and self.effect_size * self.mean_difference_mm > 0:
            return f"{found}, but the test, which goes by ranks, favours '{behind}' ({test})."
        if p_corrected < _SIGNIFICANT:
            return f"{found}; a difference like this rarely arises by chance ({test})."
        return f"{found}; this may well be chance ({test})."


def compare_paired(first_mm: NDArray[np.float64], second_mm: NDArray[np.float64], *, seed: int = 0) -> PairedErrors:
    """Compare the errors of two transforms at the same targets.

    Parameters
    ----------
    first_mm, second_mm : array, shape (N,)
        Errors in mm.
    seed : int, optional
        Of the resampling for the interval.

    Returns
    -------
    PairedErrors
        Differences, test and effect size.
    """
    difference = first_mm - second_mm
    difference = np.where(np.abs(difference) < _SAME_MM, 0.0, difference)
    differs = difference[difference != 0]
    p = effect = None
    if len(differs) >= MIN_VALUES:
        # Few runs compare, and the import would slow the start of all.
        from scipy.stats import rankdata, wilcoxon

        p = float(wilcoxon(differs).pvalue)
        ranks = rankdata(np.abs(differs))
        effect = float((ranks[differs < 0].sum() - ranks[differs > 0].sum()) / ranks.sum())
    bias = float((first_mm - second_mm).mean())
    limits = None
    if len(difference) > 1:
        half = 1.96 * float((first_mm - second_mm).std(ddof=1))
        limits = (bias - half, bias + half)
    return PairedErrors(
        n=len(difference),
        closer=int(np.count_nonzero(difference < 0)),
        tied=int(np.count_nonzero(difference == 0)),
        mean_difference_mm=float(difference.mean()),
        interval_mm=mean_interval(difference, seed=seed),
        p=p,
        effect_size=effect,
        bland_altman=BlandAltman((first_mm + second_mm) / 2, first_mm - second_mm, bias, limits),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p values of several comparisons; None stays None and does not count."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for step, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - step)))
        corrected[i] = largest
    return corrected


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
    methods: Sequence[MethodQuality], region: Volume | VolumeGrid, *, seed: int
) -> tuple[Comparison, ...]:
    """Compare each pair of transforms.

    Parameters
    ----------
    methods : sequence of MethodQuality
        Two or more for a result; their targets are the same points.
    region : Volume or VolumeGrid
        Mask of the part that counts, or the grid of the fixed volume.
    seed : int
        Of the resampling for the intervals.

    Returns
    -------
    tuple of Comparison
        In the order of the methods.
    """
    found = []
    for a, b in combinations(methods, 2):
        gap = displacement_difference(a.transform, b.transform, region=region)
        paired = None
        if a.targets is not None and b.targets is not None and a.targets.labels == b.targets.labels:
            paired = compare_paired(a.targets.errors_mm, b.targets.errors_mm, seed=seed)
        found.append((a.transform.name, b.transform.name, gap, paired))
    corrected = holm([None if paired is None else paired.p for *_, paired in found])
    count = sum(p is not None for p in corrected)
    return tuple(
        Comparison(first, second, gap, paired, p, None if paired is None else paired.sentence(first, second, p, count))
        for (first, second, gap, paired), p in zip(found, corrected, strict=True)
    )
