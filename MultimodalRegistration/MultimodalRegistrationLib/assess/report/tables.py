"""Tables of numbers: one row per quantity and one column per method, or one row per thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .markup import Html, element, join, name
from .quantities import label_of, value_text

__all__ = ["dash", "definitions", "is_scalar", "methods_table", "rows_of", "scroll"]

Row = tuple[str, Sequence["str | None"]]
"""A label and one text per method; None where there is no value."""


def dash(reason: str) -> Html:
    """What stands in place of a value that is not there."""
    return element("span", "–", element("span", f" {reason}", class_="hidden"), class_="none", title=reason)


def is_scalar(value: object) -> bool:
    """Whether a value fits in one cell."""
    return value is None or isinstance(value, (str, int, float, bool))


def rows_of(
    dictionaries: Sequence[Mapping[str, Any] | None],
    *,
    only: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
) -> list[Row]:
    """One row for each key of a scalar in any of the dictionaries, or for those of ``only`` that are there."""
    keys = dict.fromkeys(key for d in dictionaries for key, value in (d or {}).items() if is_scalar(value))
    wanted = [key for key in keys if key not in leave_out and (only is None or key in only)]
    return [(label_of(key), [value_text(key, (d or {}).get(key)) for d in dictionaries]) for key in wanted]


def scroll(table: Html, label: str) -> Html:
    """A table that scrolls by itself, also by keyboard, where the page is narrower."""
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)


def methods_table(columns: Sequence[Html], groups: Sequence[tuple[str, str, Sequence[Row]]], caption: str) -> Html:
    """Quantities as rows, methods as columns.

    Parameters
    ----------
    columns : sequence of Html
        Headings of the methods.
    groups : sequence of (str, str, sequence of Row)
        Heading, the reason for values that are missing, and the rows. Groups without rows are named below the table.
    caption : str
        Of the table.
    """
    head = element(
        "thead",
        element("tr", element("td"), *(element("th", column, scope="col", class_="number") for column in columns)),
    )
    bodies, missing = [], []
    for title, reason, rows in groups:
        filled = [row for row in rows if any(cell is not None for cell in row[1])]
        if not filled:
            missing.append(element("li", f"{title}: {reason}."))
            continue
        lines = [element("tr", element("th", title, scope="rowgroup", colspan=len(columns) + 1), class_="group")]
        for label, cells in filled:
            values = (element("td", dash(reason) if cell is None else cell, class_="number") for cell in cells)
            lines.append(element("tr", element("th", label, scope="row"), *values))
        bodies.append(element("tbody", *lines))
    table = element("table", element("caption", caption), head, *bodies, class_="by-method")
    return join(scroll(table, caption), element("ul", *missing, class_="note") if missing else None)


def definitions(pairs: Sequence[tuple[object, object]]) -> Html:
    """A list of terms and what they are."""
    lines = []
    for term, value in pairs:
        text = value_text("", value)
        shown = dash("not given") if text is None else name(text)
        lines.append(element("div", element("dt", term), element("dd", shown)))
    return element("dl", *lines)
