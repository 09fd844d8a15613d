"""What the charts of an assessment show: errors at targets, their distribution, and differences of two transforms."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .plots import Chart, Line, color_of

__all__ = ["quality_charts"]

_BLACK = (0.0, 0.0, 0.0)
# Errors before the registration that are larger than the others by this factor would squeeze them to a line.
_OFF_SCALE = 3.0
# Room for the legend, which Slicer puts into the upper right corner: a share of the height, and one for each line.
_HEADROOM, _HEADROOM_A_LINE = 1.15, 0.1


def quality_charts(content: Mapping[str, Any]) -> dict[str, Chart]:
    """Make the charts of the errors at targets; none without targets.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.assess.content.quality_content`.

    Returns
    -------
    dict of str to Chart
        By name: errors at each target, the share of targets within each error, and Bland and Altman's plot of each pair
        of transforms.
    """
    measured = [
        (number, one)
        for number, one in enumerate((content["before"], *content["methods"]))
        if one["targets"] is not None
    ]
    if not measured:
        return {}
    top, tolerance_mm = _top(content, len(measured) + 1), content["settings"]["tolerance_mm"]
    series = [(_legend(one, top), color_of(number), one["targets"]["points"]) for number, one in measured]
    charts = {
        "errors at targets": _errors(series, tolerance_mm, top),
        "share of targets": _shares(series, tolerance_mm, top),
    }
    labels = {one["name"]: [point["label"] for point in one["targets"]["points"]] for _, one in measured}
    for one in content["comparisons"]:
        if one["targets"] is not None:
            charts[f"{one['a']} against {one['b']}"] = _bland_altman(one, labels[one["a"]])
    return charts


_Series = Sequence[tuple[str, tuple[float, float, float], Sequence[Mapping[str, Any]]]]


def _legend(one: Mapping[str, Any], top: float) -> str:
    """What the legend calls a transform; where its errors are beyond the axis it says how large they are."""
    errors_mm = [point["error_mm"] for point in one["targets"]["points"]]
    beyond = [mm for mm in errors_mm if mm > top]
    if not beyond:
        return str(one["name"])
    return f"{one['name']} (off the axis, up to {max(beyond):.0f} mm)"


def _top(content: Mapping[str, Any], lines: int) -> float:
    """Where the axis of errors ends, mm; above the errors, the legend has room for its lines."""
    after = [one["targets"]["max_mm"] for one in content["methods"] if one["targets"] is not None]
    before = [] if content["before"]["targets"] is None else [content["before"]["targets"]["max_mm"]]
    wanted = max([*(after or before), content["settings"]["tolerance_mm"]])
    wanted = max([wanted, *(mm for mm in before if mm <= _OFF_SCALE * wanted)])
    return (_HEADROOM + _HEADROOM_A_LINE * lines) * float(wanted)


def _errors(series: _Series, tolerance_mm: float, top: float) -> Chart:
    # By place: labels may occur twice, and points be left out for some transforms.
    places = [[tuple(point["fixed_ras"]) for point in points] for *_, points in series]
    numbers = {place: n for n, place in enumerate(dict.fromkeys(itertools.chain(*places)), start=1)}
    ends = (0.5, len(numbers) + 0.5)
    lines = [
        Line(
            name,
            [numbers[place] for place in own],
            [point["error_mm"] for point in points],
            color,
            labels=[point["label"] for point in points],
        )
        for (name, color, points), own in zip(series, places, strict=True)
    ]
    limit = Line(_tolerance_words(tolerance_mm), ends, (tolerance_mm, tolerance_mm), _BLACK, dashed=True)
    return Chart("Error at each target", "Target (number)", "Error (mm)", (*lines, limit), ends, (0.0, top))


def _shares(series: _Series, tolerance_mm: float, top: float) -> Chart:
    lines = []
    for name, color, points in series:
        ordered = np.sort([point["error_mm"] for point in points])
        # A step at each error: it is on the left with the share below it, and with the share up to it.
        share = 100 * np.arange(len(ordered) + 1) / len(ordered)
        x = np.concatenate([[0.0], np.repeat(ordered, 2), [max(top, float(ordered[-1]))]])
        lines.append(Line(name, x.tolist(), np.repeat(share, 2).tolist(), color))
    limit = Line(_tolerance_words(tolerance_mm), (tolerance_mm, tolerance_mm), (0.0, 100.0), _BLACK, dashed=True)
    return Chart(
        "Share of targets with an error up to a value",
        "Error (mm)",
        "Share of targets (%)",
        (*lines, limit),
        (0.0, top),
        (0.0, 100.0),
    )


def _tolerance_words(tolerance_mm: float) -> str:
    return f"tolerance {tolerance_mm:g} mm"


def _bland_altman(one: Mapping[str, Any], labels: Sequence[str]) -> Chart:
    """Differences against means, with their mean and the limits of agreement (doi:10.1016/S0140-6736(86)90837-8)."""
    plot = one["targets"]["bland_altman"]
    means, differences = np.array(plot["means_mm"]), np.array(plot["differences_mm"])
    spread = max(float(np.ptp(means)), 0.1)
    ends = (float(means.min()) - 0.1 * spread, float(means.max()) + 0.1 * spread)
    points = Line("targets", plot["means_mm"], plot["differences_mm"], color_of(1), labels=labels)
    levels = {"mean difference": plot["bias_mm"]}
    if plot["limits_mm"] is not None:
        levels.update(zip(("lower limit of agreement", "upper limit of agreement"), plot["limits_mm"], strict=True))
    lines = [
        Line(f"{name} {mm:.2f} mm", ends, (mm, mm), color_of(2), dashed=name != "mean difference")
        for name, mm in levels.items()
    ]
    low, high = (float(end(np.append(differences, list(levels.values())))) for end in (np.min, np.max))
    span = max(high - low, 0.1)
    return Chart(
        f"{one['a']} minus {one['b']}",
        "Mean of both errors (mm)",
        "Difference of the errors (mm)",
        (points, *lines),
        ends,
        (low - 0.1 * span, high + (_HEADROOM + _HEADROOM_A_LINE * (len(lines) + 1)) * span - span),
    )
