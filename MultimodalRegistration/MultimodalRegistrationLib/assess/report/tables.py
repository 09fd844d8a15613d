"""Tables of numbers, and what these are called, their units, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .markup import Html, element, join, name

Row = tuple[str, Sequence["str | None"]]
"""A label and one text per method; None where there is no value."""

_UNITS = (
    ("_per_mm2", "1/mm²"),
    ("_mm3", "mm³"),
    ("_mm2", "mm²"),
    ("_mm", "mm"),
    ("_nats", "nats"),
    ("_deg", "°"),
    ("_gib", "GiB"),
    ("_s", "s"),
)
_LABELS = {
    "n": "Targets",
    "mean": "Mean",
    "rms": "Root mean square",
    "p95": "95th percentile",
    "rms_mm": "Root mean square (mm)",
    "p95_mm": "95th percentile (mm)",
    "max_mm": "Largest (mm)",
    "sd_mm": "Standard deviation (mm)",
    "min": "Smallest",
    "max": "Largest",
    "sd_log": "Standard deviation of its logarithm",
    "share_not_positive": "Not positive: folded (%)",
    "share_within": "Within tolerance (%)",
    "voxel_mm": "Voxel size (mm)",
    "overlap": "Overlap of the fields of view (%)",
    "covered": "Region that the moving volume shows (%)",
    "normalized_mutual_information": "Mutual information, normalised",
    "mutual_information_nats": "Mutual information (nats)",
    "dice": "Dice",
    "hausdorff_mm": "Hausdorff distance (mm)",
    "hausdorff95_mm": "Hausdorff, 95\u00a0% (mm)",
    "mean_surface_distance_mm": "Mean surface distance (mm)",
    "surface_dice": "Surface Dice",
    "centroid_distance_mm": "Distance of centroids (mm)",
    "fixed_volume_mm3": "Volume, fixed (mm³)",
    "moving_volume_mm3": "Volume, moving (mm³)",
    "p": "p",
}
_PERCENT = ("share", "overlap", "covered")
_THIN_SPACE = "\u2009"
_MINUS = "\u2212"
_RULES = ((1000.0, 0), (100.0, 0), (10.0, 1), (1.0, 2), (0.1, 3))


def label_of(key: str) -> str:
    """Name of a quantity with its unit, from its key: ``edge_distance_mm`` is "Edge distance (mm)"."""
    if key in _LABELS:
        return _LABELS[key]
    for ending, unit in _UNITS:
        if key.endswith(ending) and len(key) > len(ending):
            return f"{_sentence(key[: -len(ending)])} ({unit})"
    return _sentence(key) + (" (%)" if key.startswith(_PERCENT) else "")


def _sentence(key: str) -> str:
    text = re.sub(r"[_\s]+", " ", key).strip()
    return text[:1].upper() + text[1:]


def number(value: float) -> str:
    """A number to two or three significant decimals, with a true minus sign."""
    size = abs(value)
    if size >= 1e6 or 0 < size < 0.0005:
        mantissa, exponent = f"{value:.2e}".split("e")
        raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{mantissa}{_THIN_SPACE}×{_THIN_SPACE}10{raised}"
    elif isinstance(value, int) or value == 0:
        text = f"{int(value):,}".replace(",", _THIN_SPACE)
    else:
        decimals = next((d for lowest, d in _RULES if round(size, 3) >= lowest), None)
        text = f"{value:.3g}" if decimals is None else f"{value:,.{decimals}f}".replace(",", _THIN_SPACE)
    return text.replace("-", _MINUS)


def brief(value: float) -> str:
    """A number as people say it: without zeros at the end."""
    return number(int(value)) if float(value).is_integer() else f"{value:.3g}".replace("-", _MINUS)


def value_text(key: str, value: object) -> str | None:
    """Any scalar as text; None when there is none to show.

    Shares are written in percent, as :func:`label_of` says.
    """
    if value is None or value == []:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if key == "p" and value < 0.001:
            return f"<{_THIN_SPACE}0.001"
        return number(value * 100 if key.startswith(_PERCENT) else value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_sentence(str(k))}: {value_text(str(k), v) or '–'}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(value_text("", item) or "–" for item in value)
    return str(value)


def range_text(interval: Sequence[float] | None) -> str | None:
    """An interval as text, ``1.02 to 1.44``."""
    return None if interval is None else f"{number(interval[0])} to {number(interval[1])}"


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


def bullets(entries: Iterable[object], class_: str | None = None) -> Html | None:
    """A list of entries; None without any."""
    lines = [element("li", entry) for entry in entries]
    return element("ul", *lines, class_=class_) if lines else None


def heading(*content: object, number: bool = True) -> Html:
    """The heading of a column, of numbers or of texts."""
    return element("th", *content, scope="col", class_="number" if number else None)


def row(label: object, cells: Iterable[str | None], reason: str, *others: Html) -> Html:
    """A row of numbers below a label; the reason is that of the missing ones. Others are further cells."""
    numbers = (element("td", dash(reason) if cell is None else cell, class_="number") for cell in cells)
    return element("tr", element("th", label, scope="row"), *numbers, *others)


def group(title: object, columns: int, rows: Iterable[Html]) -> Html:
    """Rows below a title that spans the columns."""
    head = element("tr", element("th", title, scope="rowgroup", colspan=columns), class_="group")
    return element("tbody", head, *rows)


def table(caption: str, headings: Iterable[Html], bodies: Iterable[Html], class_: str | None = None) -> Html:
    """A table that scrolls by itself, also by keyboard, where the page is narrower."""
    head = element("thead", element("tr", *headings))
    whole = element("table", element("caption", caption), head, *bodies, class_=class_)
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)


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
    bodies, missing = [], []
    for title, reason, rows in groups:
        filled = [row(label, cells, reason) for label, cells in rows if any(cell is not None for cell in cells)]
        if filled:
            bodies.append(group(title, len(columns) + 1, filled))
        else:
            missing.append(f"{title}: {reason}.")
    headings = [element("td"), *(heading(column) for column in columns)]
    return join(table(caption, headings, bodies, "by-method"), bullets(missing, "note"))


def definitions(pairs: Sequence[tuple[object, object]]) -> Html:
    """A list of terms and what they are."""
    texts = ((term, value_text("", value)) for term, value in pairs)
    shown = ((term, dash("not given") if text is None else name(text)) for term, text in texts)
    return element("dl", *(element("div", element("dt", term), element("dd", value)) for term, value in shown))
