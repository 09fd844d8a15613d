"""What the charts of an assessment show: errors at targets, their distribution, and differences of two transforms."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from MultimodalRegistrationLib.mrml.plots import Chart, Line, color_of
from MultimodalRegistrationLib.quality.assess import Assessment
from MultimodalRegistrationLib.quality.comparison import Comparison
from MultimodalRegistrationLib.quality.targets import TargetErrors
from MultimodalRegistrationLib.quality.tolerance import Tolerance

__all__ = ["quality_charts"]

_BLACK = (0.0, 0.0, 0.0)
# Errors before the registration that are larger than the others by this factor would squeeze them to a line.
_OFF_SCALE = 3.0
# Room for the legend, which Slicer puts into the upper right corner.
_HEADROOM = 1.3


def quality_charts(assessment: Assessment) -> dict[str, Chart]:
    """Make the charts of the errors at targets; none without targets.

    Parameters
    ----------
    assessment : Assessment
        What was measured.

    Returns
    -------
    dict of str to Chart
        By name: errors at each target, the share of targets within each error, and Bland and Altman's plot of each pair
        of transforms.
    """
    series = [
        (one.transform.name, color_of(number), one.targets)
        for number, one in enumerate((assessment.before, *assessment.methods))
        if one.targets is not None
    ]
    if not series:
        return {}
    top = _top(assessment)
    charts = {
        "errors at targets": _errors(series, assessment.tolerance, top),
        "share of targets": _shares(series, assessment.tolerance, top),
    }
    labels = {name: errors.labels for name, _, errors in series}
    for one in assessment.comparisons:
        if one.targets is not None:
            charts[f"{one.first} against {one.second}"] = _bland_altman(one, labels[one.first])
    return charts


_Series = Sequence[tuple[str, tuple[float, float, float], TargetErrors]]


def _top(assessment: Assessment) -> float:
    """Where the axis of errors ends, mm."""
    after = [one.targets.max_mm for one in assessment.methods if one.targets is not None]
    before = [] if assessment.before.targets is None else [assessment.before.targets.max_mm]
    wanted = max([*(after or before), assessment.tolerance.mm])
    wanted = max([wanted, *(mm for mm in before if mm <= _OFF_SCALE * wanted)])
    return _HEADROOM * wanted


def _errors(series: _Series, tolerance: Tolerance, top: float) -> Chart:
    # By place: labels may occur twice, and points be left out for some transforms.
    places = [[tuple(point) for point in errors.fixed_lps.tolist()] for *_, errors in series]
    numbers = {place: n for n, place in enumerate(dict.fromkeys(itertools.chain(*places)), start=1)}
    ends = (0.5, len(numbers) + 0.5)
    lines = [
        Line(name, [numbers[place] for place in own], errors.errors_mm.tolist(), color, labels=errors.labels)
        for (name, color, errors), own in zip(series, places, strict=True)
    ]
    limit = Line(_tolerance_words(tolerance), ends, (tolerance.mm, tolerance.mm), _BLACK, dashed=True)
    return Chart("Error at each target", "Target (number)", "Error (mm)", (*lines, limit), ends, (0.0, top))


def _shares(series: _Series, tolerance: Tolerance, top: float) -> Chart:
    lines = []
    for name, color, errors in series:
        ordered = np.sort(errors.errors_mm)
        # A step at each error: it is on the left with the share below it, and with the share up to it.
        share = 100 * np.arange(len(ordered) + 1) / len(ordered)
        x = np.concatenate([[0.0], np.repeat(ordered, 2), [max(top, float(ordered[-1]))]])
        lines.append(Line(name, x.tolist(), np.repeat(share, 2).tolist(), color))
    limit = Line(_tolerance_words(tolerance), (tolerance.mm, tolerance.mm), (0.0, 100.0), _BLACK, dashed=True)
    return Chart(
        "Share of targets with an error up to a value",
        "Error (mm)",
        "Share of targets (%)",
        (*lines, limit),
        (0.0, top),
        (0.0, 100.0),
    )


def _tolerance_words(tolerance: Tolerance) -> str:
    return f"tolerance {tolerance.mm:g} mm"


def _bland_altman(one: Comparison, labels: Sequence[str]) -> Chart:
    """Differences against means, with their mean and the limits of agreement (doi:10.1016/S0140-6736(86)90837-8)."""
    assert one.targets is not None
    plot = one.targets.bland_altman
    spread = max(float(np.ptp(plot.means_mm)), 0.1)
    ends = (float(plot.means_mm.min()) - 0.1 * spread, float(plot.means_mm.max()) + 0.1 * spread)
    points = Line("targets", plot.means_mm.tolist(), plot.differences_mm.tolist(), color_of(1), labels=labels)
    levels = {"mean difference": plot.bias_mm}
    if plot.limits_mm is not None:
        levels.update(zip(("lower limit of agreement", "upper limit of agreement"), plot.limits_mm, strict=True))
    lines = [
        Line(f"{name} {mm:.2f} mm", ends, (mm, mm), color_of(2), dashed=name != "mean difference")
        for name, mm in levels.items()
    ]
    low, high = (float(end(np.append(plot.differences_mm, list(levels.values())))) for end in (np.min, np.max))
    span = max(high - low, 0.1)
    return Chart(
        f"{one.first} minus {one.second}",
        "Mean of both errors (mm)",
        "Difference of the errors (mm)",
        (points, *lines),
        ends,
        (low - 0.1 * span, high + _HEADROOM * span - span),
    )
