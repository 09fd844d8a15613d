"""The share of random starts that end right, as bars: the picture of the first table of the capture range."""

from __future__ import annotations

from typing import Any

from capture_plan import BINS, METHODS, OURS
from MultimodalRegistrationLib.assess.report.markup import Html, element

__all__ = ["chart"]

WIDTH, BAR, GAP, GROUP_GAP, TOP = 720, 20, 4, 18, 44
LEFT, RIGHT = 190, 110
TITLE = "Random starts that end right"
COLOURS = {OURS: "#0b5cad"}
OTHERS = ("#8a96a3", "#a5afba", "#c0c8d0")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif"


def chart(records: list[dict[str, Any]]) -> str:
    """Horizontal bars, one group for each bin of starts and one bar for each method, as SVG.

    Parameters
    ----------
    records : list of dict
        Runs of the capture range.
    """
    starts = [record for record in records if record["family"] == "starts"]
    methods = [method for method in METHODS if any(record["method"] == method for record in starts)]
    others = dict(zip((method for method in methods if method != OURS), OTHERS, strict=False))
    parts = [_text(TITLE, 12, 24, size=17, weight=600)]
    y = TOP
    for name, limits in BINS.items():
        mm = limits.translation_mm[1]
        middle = y + len(methods) * (BAR + GAP) / 2
        parts += [_text(f"off by {name} degrees", 12, middle - 4), _text(f"and up to {mm} mm", 12, middle + 14)]
        for method in methods:
            mine = [record for record in starts if record["method"] == method and record["bin"] == name]
            good = sum(record["success"] for record in mine)
            width = (WIDTH - LEFT - RIGHT) * good / len(mine)
            colour = COLOURS.get(method) or others[method]
            label = f"{method if method != OURS else 'This extension'}: {good} of {len(mine)}"
            inside = width > 180
            parts += [
                element("rect", x=LEFT, y=y, width=f"{max(width, 1.5):.1f}", height=BAR, rx=2, fill=colour),
                _text(
                    label,
                    LEFT + 8 if inside else LEFT + width + 8,
                    y + 14.5,
                    fill="#ffffff" if inside and method == OURS else "#1b2127",
                ),
            ]
            y += BAR + GAP
        y += GROUP_GAP
    ground = element("rect", width=WIDTH, height=y, rx=8, fill="#ffffff")
    return str(
        element(
            "svg",
            element("title", TITLE),
            ground,
            *parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH} {y}",
            width=WIDTH,
            height=y,
            font_family=FONT,
            role="img",
        )
    )


def _text(words: str, x: float, y: float, *, size: int = 13, weight: int = 400, fill: str = "#1b2127") -> Html:
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", font_size=size, font_weight=weight, fill=fill)
