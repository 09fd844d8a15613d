"""The table of targets, with buttons that show them in the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .markup import Html, element, isolated, join, name
from .quantities import number
from .tables import dash, scroll

__all__ = ["targets_section"]


def targets_section(before: Mapping[str, Any], methods: Sequence[Mapping[str, Any]]) -> Html | None:
    """The error at every target by method; None without targets."""
    every = [method for method in (before, *methods) if (method.get("targets") or {}).get("points")]
    if not every:
        return None
    found: dict[str, dict[int, Any]] = {}
    for column, method in enumerate(every):
        for point in method["targets"]["points"]:
            found.setdefault(str(point["label"]), {})[column] = point
    lines = []
    for label, points in found.items():
        place = next(iter(points.values()))["fixed_ras"]
        cells = [
            element("td", number(points[c]["error_mm"]) if c in points else dash("not measured"), class_="number")
            for c in range(len(every))
        ]
        position = element("td", ", ".join(f"{value:.1f}" for value in place), class_="number")
        lines.append(
            element(
                "tr", element("th", name(label), scope="row"), position, *cells, element("td", _button(label, place))
            )
        )
    head = element(
        "tr",
        element("th", "Target", scope="col"),
        element("th", "Position in fixed, RAS (mm)", scope="col", class_="number"),
        *(element("th", name(method["name"]), " (mm)", scope="col", class_="number") for method in every),
        element("th", element("span", "In the pictures", class_="hidden"), scope="col"),
    )
    caption = "Error at each target"
    table = element("table", element("caption", caption), element("thead", head), element("tbody", *lines))
    return element("details", element("summary", f"Error at each of {len(found)} targets"), scroll(table, caption))


def _button(label: str, place_ras: Sequence[float]) -> Html:
    return element(
        "button",
        "Show",
        type="button",
        class_="show",
        data_ras=" ".join(map(str, place_ras)),
        aria_label=join("Show ", isolated(label), " in the pictures"),
    )
