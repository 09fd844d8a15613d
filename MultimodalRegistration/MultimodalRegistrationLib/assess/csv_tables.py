"""The tables for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from .tables import Row, columns_of, quality_tables

__all__ = ["csv_table", "csv_tables"]


def csv_tables(content: Mapping[str, Any]) -> dict[str, str]:
    """Write the tables as text.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.assess.content.quality_content`.

    Returns
    -------
    dict of str to str
        Text of each of :func:`~MultimodalRegistrationLib.assess.tables.quality_tables` by name, with a header.
    """
    return {name: csv_table(rows) for name, rows in quality_tables(content).items()}


def csv_table(rows: list[Row]) -> str:
    """Write one table as text, with a header; no cell of it is taken for a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _safe(value: Any) -> Any:
    # A spreadsheet would run a text that begins like a formula.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value
