"""The numbers as tables for a spreadsheet, from the content of the JSON file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

__all__ = ["csv_tables"]

_SCALARS = (str, int, float, bool, type(None))
# Long lists have tables of their own.
_OWN_TABLES = ("points", "structures", "bland_altman", "verdict")


def csv_tables(content: Mapping[str, Any]) -> dict[str, str]:
    """Make the tables.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.quality.content.quality_content`.

    Returns
    -------
    dict of str to str
        Text of each table by name: ``methods`` always; ``targets``, ``structures`` and ``comparisons`` where there are
        any. Each has a header, units in the column names, and one row per transform, point, structure or pair.
    """
    methods = [content["before"], *content["methods"]]
    rows = {
        "methods": [
            {"name": one["name"], "verdict": (one["verdict"] or {}).get("word"), **_flat(one, skip=("name",))}
            for one in methods
        ],
        "targets": [
            {"transform": one["name"], **_flat(point)}
            for one in methods
            if one["targets"] is not None
            for point in one["targets"]["points"]
        ],
        "structures": [
            {"transform": one["name"], **_flat(structure)} for one in methods for structure in one["structures"] or ()
        ],
        "comparisons": [_flat(one) for one in content["comparisons"]],
    }
    return {name: _table(some) for name, some in rows.items() if some}


def _flat(content: Mapping[str, Any], skip: tuple[str, ...] = (), prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by underscores; short lists as numbered columns, or joined where they are texts."""
    row: dict[str, Any] = {}
    for key, value in content.items():
        if key in skip or key in _OWN_TABLES:
            continue
        name = f"{prefix}{key}"
        if isinstance(value, _SCALARS):
            row[name] = value
        elif isinstance(value, Mapping):
            row.update(_flat(value, prefix=f"{name}_"))
        elif all(isinstance(item, str) for item in value):
            row[name] = "; ".join(value)
        elif all(isinstance(item, Mapping) and "axis" in item for item in value):
            for item in value:
                row.update(_flat(item, skip=("axis",), prefix=f"{name}_{item['axis']}_"))
        else:
            row.update(_flat({str(i + 1): item for i, item in enumerate(value)}, prefix=f"{name}_"))
    return row


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _safe(value: Any) -> Any:
    # A spreadsheet would run a text that begins like a formula.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
