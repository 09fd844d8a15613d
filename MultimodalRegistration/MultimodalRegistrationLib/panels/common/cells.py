"""Cells of tables that only show."""

from __future__ import annotations

from typing import Any

import qt

__all__ = ["text_cell"]


def text_cell(text: str, *, right: bool = False, bold: bool = False, dim: bool = False) -> Any:
    """A cell that cannot be edited; numbers are flush right."""
    item = qt.QTableWidgetItem(text)
    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
    if right:
        item.setTextAlignment(int(qt.Qt.AlignRight | qt.Qt.AlignVCenter))
    font = item.font()
    font.setBold(bold)
    font.setItalic(dim)
    item.setFont(font)
    return item
