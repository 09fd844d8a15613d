"""The plots of a report. A plotting package is not needed for three charts, and Slicer brings none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .markup import Html, element, isolated, join
from .quantities import brief, number, range_text
from .svg import Chart, legend, marker

__all__ = ["bland_altman_plots", "error_plots"]

Method = Mapping[str, Any]

_MOST_LABELS = 32
_LONGEST_LABEL = 12
_MANY = 100
# Before is drawn beyond the scale where the methods would otherwise shrink to a line.
_OFF_SCALE = 3.0


def error_plots(before: Method, methods: Sequence[Method]) -> Html | None:
    """Error at each target, and its cumulative distribution; None without targets.

    Parameters
    ----------
    before, methods : mapping
        As in the report's content; the first series is ``before``.
    """
    series = [
        (index, str(method["name"]), {str(p["label"]): float(p["error_mm"]) for p in points})
        for index, method in enumerate((before, *methods))
        if (points := (method.get("targets") or {}).get("points"))
    ]
    if not series:
        return None
    stated = ((method.get("targets") or {}).get("tolerance_mm") for method in (before, *methods))
    tolerance = next((float(mm) for mm in stated if mm is not None), None)
    top, hidden = _scale(series, tolerance)
    names = [(index, name) for index, name, _ in series]
    note = None
    if hidden:
        low, high = min(hidden), max(hidden)
        note = element(
            "p",
            f"Before the registration, {len(hidden)} errors, {number(low)} to {number(high)} mm, lie beyond the scale.",
            class_="note",
        )
    by_point = element(
        "figure",
        element("figcaption", "Error at each target"),
        _points_chart(series, tolerance, top),
    )
    cumulative = element(
        "figure",
        element("figcaption", "Share of targets with an error up to a value"),
        _cumulative_chart(series, tolerance, top),
    )
    dashed = None if tolerance is None else f"Tolerance, {brief(tolerance)} mm"
    return join(legend(names, dashed), element("div", by_point, cumulative, class_="charts"), note)


def _scale(series: Sequence[tuple[int, str, dict[str, float]]], tolerance: float | None) -> tuple[float, list[float]]:
    """End of the error axis, mm, and the errors before the registration that lie beyond it."""
    after = [error for index, _, errors in series if index > 0 for error in errors.values()]
    before = [error for index, _, errors in series if index == 0 for error in errors.values()]
    wanted = max([*after, tolerance or 0.0]) if after else max(before)
    if before and max(before) <= _OFF_SCALE * wanted:
        wanted = max(wanted, *before)
    top = 1.1 * wanted if wanted > 0 else 1.0
    return top, [error for error in before if error > top]


def _points_chart(series: Sequence[tuple[int, str, dict[str, float]]], tolerance: float | None, top: float) -> Html:
    labels = list(dict.fromkeys(label for _, _, errors in series for label in errors))
    named = len(labels) <= _MOST_LABELS
    shorts = [label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…" for label in labels]
    # Slanted labels, then the margin.
    bottom = 26 + 4.6 * max(map(len, shorts)) if named else 48
    chart = Chart((-0.7, len(labels) - 0.3), (0.0, top), bottom=bottom)
    parts = chart.axes("" if named else "Target, in the order given", "Error (mm)", x_ticks=False)
    if tolerance is not None:
        parts.append(chart.line([(-0.7, tolerance), (len(labels) - 0.3, tolerance)], "tolerance"))
    for place, label in enumerate(labels):
        if named:
            parts.append(chart.below(shorts[place], place))
        for index, name, errors in series:
            if label in errors and errors[label] <= top:
                title = join(isolated(label), ", ", isolated(name), f": {number(errors[label])} mm")
                parts.append(
                    marker(
                        index, chart.x(place), chart.y(errors[label]), title, scale=1.0 if len(labels) <= _MANY else 0.6
                    )
                )
    return chart.drawing("Error at each target, by method", *parts)


def _cumulative_chart(series: Sequence[tuple[int, str, dict[str, float]]], tolerance: float | None, top: float) -> Html:
    chart = Chart((0.0, top), (0.0, 100.0))
    parts = chart.axes("Error (mm)", "Share of targets (%)")
    if tolerance is not None:
        parts += [chart.line([(tolerance, 0.0), (tolerance, 100.0)], "tolerance")]
    for index, _, errors in series:
        ordered = np.sort(list(errors.values()))
        steps = [(0.0, 0.0)]
        for rank, error in enumerate(ordered[ordered <= top].tolist()):
            steps += [(error, 100 * rank / len(ordered)), (error, 100 * (rank + 1) / len(ordered))]
        steps.append((top, steps[-1][1]))
        parts.append(chart.line(steps, f"curve series-{index % 6}"))
    return chart.drawing("Cumulative distribution of the error, by method", *parts)


def bland_altman_plots(comparisons: Sequence[Mapping[str, Any]]) -> Html | None:
    """Bland and Altman's plot of each pair of methods with targets; None when there is none.

    References
    ----------
    Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8.
    """
    figures = []
    for comparison in comparisons:
        data = (comparison.get("targets") or {}).get("bland_altman")
        if data and data["means_mm"]:
            caption = join("Agreement of the errors: ", isolated(comparison["a"]), " minus ", isolated(comparison["b"]))
            limits = range_text(data["limits_mm"])
            lines = f"Line: bias, {number(data['bias_mm'])} mm. " + (
                "A single target has no limits of agreement."
                if limits is None
                else f"Dashed: limits of agreement, {limits} mm."
            )
            drawing = _bland_altman(data, caption)
            figures.append(
                element("figure", element("figcaption", caption), drawing, element("p", lines, class_="note"))
            )
    return element("div", *figures, class_="charts") if figures else None


def _bland_altman(data: Mapping[str, Any], title: Html) -> Html:
    means, differences = np.asarray(data["means_mm"], float), np.asarray(data["differences_mm"], float)
    limits = data["limits_mm"] or ()
    lines = [data["bias_mm"], *limits, 0.0]
    low, high = min(differences.min(), *lines), max(differences.max(), *lines)
    margin = 0.12 * (high - low) or 1.0
    width = 0.06 * float(np.ptp(means)) or 0.5
    chart = Chart((float(means.min()) - width, float(means.max()) + width), (low - margin, high + margin))
    parts = chart.axes("Mean of both errors (mm)", "Difference of errors (mm)")
    ends = chart.x_range
    parts.append(chart.line([(ends[0], 0.0), (ends[1], 0.0)], "axis"))
    parts += [
        chart.line([(ends[0], data["bias_mm"]), (ends[1], data["bias_mm"])], "curve series-1"),
        *(chart.line([(ends[0], limit), (ends[1], limit)], "tolerance") for limit in limits),
    ]
    parts += [
        marker(1, chart.x(x), chart.y(y), f"mean {number(x)} mm, difference {number(y)} mm")
        for x, y in zip(means.tolist(), differences.tolist(), strict=True)
    ]
    return chart.drawing(title, *parts)
