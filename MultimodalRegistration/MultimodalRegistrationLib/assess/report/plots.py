"""The plots of a report. A plotting package is not needed for three charts, and Slicer brings none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .markup import Html, element, isolated, join
from .tables import brief, number, range_text

Method = Mapping[str, Any]
Series = tuple[int, str, dict[str, float]]
"""Number, name, and the errors by label, mm."""

_MAX_LABELS = 32
_MAX_LABEL_LENGTH = 12
_MANY = 100
# Before is drawn beyond the scale where the methods would otherwise shrink to a line.
_OFF_SCALE = 3.0
_WIDTH, _HEIGHT = 560, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 48
_TICKS = 6
_SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "M0 -5L4.6 3.4H-4.6z",
    "M-3.7 -3.7H3.7V3.7H-3.7z",
    "M0 -5.2L5.2 0L0 5.2L-5.2 0z",
    "M-4.6 -3.4H4.6L0 5z",
)


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
    figures = [
        element("figure", element("figcaption", caption), draw(series, tolerance, top))
        for caption, draw in (
            ("Error at each target", _points_chart),
            ("Share of targets with an error up to a value", _cumulative_chart),
        )
    ]
    dashed = None if tolerance is None else f"Tolerance, {brief(tolerance)} mm"
    return join(legend(names, dashed), element("div", *figures, class_="charts"), note)


def _scale(series: Sequence[Series], tolerance: float | None) -> tuple[float, list[float]]:
    """End of the error axis, mm, and the errors before the registration that lie beyond it."""
    after = [error for index, _, errors in series if index > 0 for error in errors.values()]
    before = [error for index, _, errors in series if index == 0 for error in errors.values()]
    wanted = max([*after, tolerance or 0.0]) if after else max(before)
    if before and max(before) <= _OFF_SCALE * wanted:
        wanted = max(wanted, *before)
    top = 1.1 * wanted if wanted > 0 else 1.0
    return top, [error for error in before if error > top]


def _points_chart(series: Sequence[Series], tolerance: float | None, top: float) -> Html:
    labels = list(dict.fromkeys(label for _, _, errors in series for label in errors))
    named = len(labels) <= _MAX_LABELS
    shorts = [label if len(label) <= _MAX_LABEL_LENGTH else f"{label[: _MAX_LABEL_LENGTH - 1]}…" for label in labels]
    scale = 1.0 if len(labels) <= _MANY else 0.6
    # Slanted labels, then the margin.
    bottom = 26 + 4.6 * max(map(len, shorts)) if named else 48
    chart = Chart((-0.7, len(labels) - 0.3), (0.0, top), bottom=bottom)
    parts = chart.axes("" if named else "Target, in the order given", "Error (mm)", x_ticks=False)
    if tolerance is not None:
        parts.append(chart.across(tolerance, "tolerance"))
    for place, label in enumerate(labels):
        if named:
            parts.append(chart.below(shorts[place], place))
        for index, name, errors in series:
            if label in errors and errors[label] <= top:
                title = join(isolated(label), ", ", isolated(name), f": {number(errors[label])} mm")
                parts.append(marker(index, chart.x(place), chart.y(errors[label]), title, scale=scale))
    return chart.drawing("Error at each target, by method", *parts)


def _cumulative_chart(series: Sequence[Series], tolerance: float | None, top: float) -> Html:
    chart = Chart((0.0, top), (0.0, 100.0))
    parts = chart.axes("Error (mm)", "Share of targets (%)")
    if tolerance is not None:
        parts.append(chart.upright(tolerance, "tolerance"))
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
            text = "A single target has no limits of agreement."
            if data["limits_mm"] is not None:
                text = f"Dashed: limits of agreement, {range_text(data['limits_mm'])} mm."
            note = element("p", f"Line: bias, {number(data['bias_mm'])} mm. {text}", class_="note")
            figures.append(element("figure", element("figcaption", caption), _bland_altman(data, caption), note))
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
    parts += [
        chart.across(0.0, "axis"),
        chart.across(data["bias_mm"], "curve series-1"),
        *(chart.across(limit, "tolerance") for limit in limits),
    ]
    parts += [
        marker(1, chart.x(x), chart.y(y), f"mean {number(x)} mm, difference {number(y)} mm")
        for x, y in zip(means.tolist(), differences.tolist(), strict=True)
    ]
    return chart.drawing(title, *parts)


@dataclass(frozen=True)
class Chart:
    """Scales of a chart with linear axes.

    Parameters
    ----------
    x_range, y_range : tuple of 2 float
        What the axes span.
    bottom : float
        Room below the plot, px.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    bottom: float = _BOTTOM

    def x(self, value: float) -> float:
        """Place of a value along the horizontal axis, px."""
        low, high = self.x_range
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Place of a value along the vertical axis, px from above."""
        low, high = self.y_range
        return _HEIGHT - self.bottom - (value - low) / (high - low) * (_HEIGHT - _TOP - self.bottom)

    def axes(self, x_label: str, y_label: str, *, x_ticks: bool = True) -> list[Html]:
        """Both axes with ticks and labels, and a light grid."""
        left, right = self.x(self.x_range[0]), self.x(self.x_range[1])
        low, high = self.y(self.y_range[0]), self.y(self.y_range[1])
        parts = []
        for tick in _ticks(*self.y_range):
            parts += [self.across(tick, "grid"), _text(brief(tick), left - 6, self.y(tick) + 4, "end")]
        for tick in _ticks(*self.x_range) if x_ticks else ():
            parts += [self.upright(tick, "grid"), _text(brief(tick), self.x(tick), low + 16, "middle")]
        parts.append(element("path", d=f"M{left:.1f} {high:.1f}V{low:.1f}H{right:.1f}", class_="axis"))
        parts.append(_text(x_label, (left + right) / 2, _HEIGHT - 6, "middle"))
        y = f"{(low + high) / 2:.1f}"
        parts.append(element("text", y_label, x=14, y=y, text_anchor="middle", transform=f"rotate(-90 14 {y})"))
        return parts

    def line(self, points: Sequence[tuple[float, float]], class_: str) -> Html:
        """A line through points."""
        places = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return element("polyline", points=places, class_=class_)

    def across(self, y: float, class_: str) -> Html:
        """A horizontal line."""
        return self.line([(x, y) for x in self.x_range], class_)

    def upright(self, x: float, class_: str) -> Html:
        """A vertical line."""
        return self.line([(x, y) for y in self.y_range], class_)

    def below(self, text: object, x: float) -> Html:
        """A slanted label below the horizontal axis."""
        px, py = self.x(x), _HEIGHT - self.bottom + 12
        slanted = f"rotate(-40 {px:.1f} {py:.1f})"
        return element("text", isolated(text), x=f"{px:.1f}", y=f"{py:.1f}", text_anchor="end", transform=slanted)

    def drawing(self, title: object, *parts: Html) -> Html:
        """The finished chart."""
        return element(
            "svg",
            element("title", title),
            *parts,
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            role="img",
            class_="chart",
            preserveAspectRatio="xMidYMid meet",
        )


def _text(content: object, x: float, y: float, anchor: str) -> Html:
    return element("text", content, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(f * power for f in (1.0, 2.0, 5.0, 10.0) if f * power >= raw * 0.999)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [round(i * step, 12) for i in range(first, last + 1)]


def marker(series: int, x: float, y: float, title: object = None, *, scale: float = 1.0) -> Html:
    """The mark of a series at a place, px; series differ in shape and colour, the first is hollow."""
    return element(
        "path",
        None if title is None else element("title", title),
        d=_SHAPES[series % len(_SHAPES)],
        transform=f"translate({x:.1f} {y:.1f}) scale({scale:g})",
        class_=f"mark series-{series % 6}",
    )


def legend(names: Sequence[tuple[int, str]], dashed: str | None = None) -> Html:
    """Names of the series, with their marks, and of the dashed line."""
    entries: list[tuple[int, Html, object]] = [(16, marker(index, 8, 8), isolated(name)) for index, name in names]
    if dashed is not None:
        entries.append((24, element("path", d="M0 8H24", class_="tolerance"), dashed))
    lines = []
    for width, mark, text in entries:
        drawn = element("svg", mark, viewBox=f"0 0 {width} 16", width=width, height=16, aria_hidden="true")
        lines.append(element("li", drawn, " ", text))
    return element("ul", *lines, class_="legend")
