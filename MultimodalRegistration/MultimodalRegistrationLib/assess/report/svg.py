"""Axes, marks and legends of small SVG charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .markup import Html, element, isolated
from .quantities import brief

__all__ = ["Chart", "legend", "marker"]

WIDTH, HEIGHT = 560, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 48
_TICKS = 6


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
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Place of a value along the vertical axis, px from above."""
        low, high = self.y_range
        return HEIGHT - self.bottom - (value - low) / (high - low) * (HEIGHT - _TOP - self.bottom)

    def axes(self, x_label: str, y_label: str, *, x_ticks: bool = True) -> list[Html]:
        """Both axes with ticks and labels, and a light grid."""
        left, right = self.x(self.x_range[0]), self.x(self.x_range[1])
        low, high = self.y(self.y_range[0]), self.y(self.y_range[1])
        parts = []
        for tick in _ticks(*self.y_range):
            parts += [
                self.line([(self.x_range[0], tick), (self.x_range[1], tick)], "grid"),
                _text(brief(tick), left - 6, self.y(tick) + 4, "end"),
            ]
        for tick in _ticks(*self.x_range) if x_ticks else ():
            parts += [
                self.line([(tick, self.y_range[0]), (tick, self.y_range[1])], "grid"),
                _text(brief(tick), self.x(tick), low + 16, "middle"),
            ]
        parts.append(element("path", d=f"M{left:.1f} {high:.1f}V{low:.1f}H{right:.1f}", class_="axis"))
        parts.append(_text(x_label, (left + right) / 2, HEIGHT - 6, "middle"))
        middle = (low + high) / 2
        turned = f"rotate(-90 14 {middle:.1f})"
        parts.append(element("text", y_label, x=14, y=f"{middle:.1f}", text_anchor="middle", transform=turned))
        return parts

    def line(self, points: Sequence[tuple[float, float]], class_: str) -> Html:
        """A line through points."""
        places = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return element("polyline", points=places, class_=class_)

    def below(self, text: object, x: float) -> Html:
        """A slanted label below the horizontal axis."""
        px, py = self.x(x), HEIGHT - self.bottom + 12
        slanted = f"rotate(-40 {px:.1f} {py:.1f})"
        return element("text", isolated(text), x=f"{px:.1f}", y=f"{py:.1f}", text_anchor="end", transform=slanted)

    def drawing(self, title: object, *parts: Html) -> Html:
        """The finished chart."""
        return element(
            "svg",
            element("title", title),
            *parts,
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
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


_SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "M0 -5L4.6 3.4H-4.6z",
    "M-3.7 -3.7H3.7V3.7H-3.7z",
    "M0 -5.2L5.2 0L0 5.2L-5.2 0z",
    "M-4.6 -3.4H4.6L0 5z",
)


def marker(series: int, x: float, y: float, title: object = None, *, scale: float = 1.0) -> Html:
    """The mark of a series at a place, px; series differ in shape and colour, the first is hollow."""
    shape = _SHAPES[series % len(_SHAPES)]
    return element(
        "path",
        None if title is None else element("title", title),
        d=shape,
        transform=f"translate({x:.1f} {y:.1f}) scale({scale:g})",
        class_=f"mark series-{series % 6}",
    )


def legend(names: Sequence[tuple[int, str]], dashed: str | None = None) -> Html:
    """Names of the series, with their marks, and of the dashed line."""
    items = [
        element(
            "li",
            element("svg", marker(i, 8, 8), viewBox="0 0 16 16", width=16, height=16, aria_hidden="true"),
            " ",
            isolated(name),
        )
        for i, name in names
    ]
    if dashed is not None:
        line = element("path", d="M0 8H24", class_="tolerance")
        drawn = element("svg", line, viewBox="0 0 24 16", width=24, height=16, aria_hidden="true")
        items.append(element("li", drawn, " ", dashed))
    return element("ul", *items, class_="legend")
