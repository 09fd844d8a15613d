"""The table of structures: how well the same structure of both volumes agrees, method by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .markup import Html, element, join, name
from .quantities import brief, label_of, value_text
from .tables import dash, is_scalar, scroll

__all__ = ["structures_section"]

_IN_HEADING = ("name", "note", "tolerance_mm")


def structures_section(before: Mapping[str, Any], methods: Sequence[Mapping[str, Any]]) -> Html | None:
    """One group of rows for each structure, one row for each method; None without structures."""
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for method in (before, *methods):
        for structure in method.get("structures") or []:
            found.setdefault(str(structure["name"]), []).append((method["name"], structure))
    if not found:
        return None
    every = [structure for rows in found.values() for _, structure in rows]
    keys = list(
        dict.fromkeys(k for s in every for k, v in s.items() if k not in _IN_HEADING and v is not None and is_scalar(v))
    )
    head = element(
        "tr",
        element("th", "Structure, method", scope="col"),
        *(element("th", label_of(key), scope="col", class_="number") for key in keys),
    )
    bodies = []
    for title, rows in found.items():
        heading = element("th", name(title), _details(rows), scope="rowgroup", colspan=len(keys) + 1)
        lines = [element("tr", heading, class_="group")]
        for method_name, structure in rows:
            note = f"not measured: {structure.get('note') or 'no reason given'}"
            texts = [value_text(key, structure.get(key)) for key in keys]
            cells = (element("td", dash(note) if text is None else text, class_="number") for text in texts)
            lines.append(element("tr", element("th", name(method_name), scope="row"), *cells))
        bodies.append(element("tbody", *lines))
    caption = "By structure and method"
    return scroll(element("table", element("caption", caption), element("thead", head), *bodies), caption)


def _details(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Html | None:
    tolerances = dict.fromkeys(s["tolerance_mm"] for _, s in rows if s.get("tolerance_mm") is not None)
    texts = [f"tolerance {brief(tolerance)} mm" for tolerance in tolerances]
    texts += dict.fromkeys(str(s["note"]) for _, s in rows if s.get("note"))
    return element("span", join(" (", "; ".join(texts), ")"), class_="note") if texts else None
