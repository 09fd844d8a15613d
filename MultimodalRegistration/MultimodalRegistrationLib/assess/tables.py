"""The numbers as tables, from the content of the JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Row", "columns_of", "quality_tables"]

Row = dict[str, Any]

_SCALARS = (str, int, float, bool, type(None))
# Long lists have tables of their own.
_OWN_TABLES = ("points", "structures", "bland_altman")


def quality_tables(content: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Make the tables.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.assess.content.quality_content`.

    Returns
    -------
    dict of str to list of dict
        Rows of each table by name: ``methods`` always; ``targets``, ``structures`` and ``comparisons`` where there are
        any. One row per transform, point, structure or pair: texts, numbers, truth values or None by column, with units
        in the names of the columns. A column may be missing in some rows.
    """
    methods = [content["before"], *content["methods"]]
    rows = {
        "methods": [_flat(one) for one in methods],
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
    return {name: some for name, some in rows.items() if some}


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Names of the columns of a table, in the order in which they first occur."""
    return list(dict.fromkeys(key for row in rows for key in row))


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
