"""The tables of the panel: transforms, targets, structures. They show what they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import qt

from ..common.cells import text_cell
from . import texts

__all__ = ["MethodTable", "StructureTable", "TargetTable"]

_MOST_ROWS = 8
_ROW_PIXELS = 22


class _Table:
    """Rows of text that cannot be edited, as high as they are many."""

    def __init__(self, table: Any, on_chosen: Callable[[int], None] = lambda row: None) -> None:
        self._table = table
        self._on_chosen = on_chosen
        table.verticalHeader().visible = False
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.setWordWrap(False)
        table.verticalHeader().setDefaultSectionSize(_ROW_PIXELS)
        table.connect("currentCellChanged(int,int,int,int)", self._changed)
        table.connect("cellClicked(int,int)", self._clicked)

    def _fill(self, headers: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], bold: Sequence[bool]) -> None:
        table = self._table
        blocked = table.blockSignals(True)
        table.clear()
        table.setColumnCount(len(headers))
        table.setRowCount(len(rows))
        for column, (text, tip) in enumerate(headers):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(tip)
            table.setHorizontalHeaderItem(column, item)
        for number, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = text_cell(text, right=column > 0, bold=bold[number])
                item.setToolTip(text)
                table.setItem(number, column, item)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        height = min(len(rows), _MOST_ROWS) * _ROW_PIXELS
        table.setFixedHeight(table.horizontalHeader().sizeHint.height() + height + 6)
        table.blockSignals(blocked)

    def choose(self, row: int) -> None:
        """Choose a row; nothing is reported."""
        blocked = self._table.blockSignals(True)
        self._table.setCurrentCell(row, 0)
        self._table.blockSignals(blocked)

    def _changed(self, row: int, _column: int, old_row: int, _old_column: int) -> None:
        # The arrow keys go through the rows, too.
        if row >= 0 and row != old_row:
            self._on_chosen(row)

    def _clicked(self, row: int, _column: int) -> None:
        self._on_chosen(row)


class MethodTable(_Table):
    """A row for what was before, and one for each transform."""

    def show(self, content: Mapping[str, Any]) -> None:
        """Show the numbers."""
        methods = [content["before"], *content["methods"]]
        targets = any(one["targets"] for one in methods)
        structures = any(one["structures"] for one in methods)
        rows = [[_method_name(one, content), *_method_cells(one, targets, structures)] for one in methods]
        bold = [one["name"] == content["verdict"]["method"] for one in methods]
        self._fill(texts.method_headers(targets=targets, structures=structures), rows, bold)
        for row, one in enumerate(methods):
            if one["reasons"]:
                self._table.item(row, 1).setToolTip("\n".join(one["reasons"]))


def _method_name(one: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    if one is content["before"]:
        return texts.before_name()
    return one["name"] if one["rank"] is None else f"{one['rank']}. {one['name']}"


def _method_cells(one: Mapping[str, Any], targets: bool, structures: bool) -> list[str]:
    cells = [texts.verdict_word(one["verdict"])]
    found = one["targets"] or {}
    if targets:
        cells += [texts.number(found.get("mean_mm")), texts.number(found.get("max_mm"))]
        cells.append(texts.percent(found.get("share_within")))
    if structures:
        known = [each["mean_surface_distance_mm"] for each in one["structures"] or ()]
        known = [mm for mm in known if mm is not None]
        cells.append(texts.number(float(np.mean(known)) if known else None))
    images = one["images"]
    if not targets and not structures:
        cells.append(texts.number(images["normalized_mutual_information"], 3))
    cells.append(texts.percent(images["overlap"]))
    return cells


class TargetTable(_Table):
    """A row for each target, the worst first."""

    def __init__(self, table: Any, on_chosen: Callable[[list[float]], None]) -> None:
        super().__init__(table, lambda row: on_chosen(self._points[row]["fixed_ras"]))
        self._points: list[dict[str, Any]] = []

    def show(self, method: Mapping[str, Any]) -> None:
        """Show the targets of a transform."""
        targets = method["targets"]
        self._table.visible = targets is not None
        if targets is None:
            return
        self._points = sorted(targets["points"], key=lambda point: -point["error_mm"])
        rows = [
            [point["label"], texts.number(point["error_mm"]), *(texts.number(mm) for mm in point["error_ras_mm"])]
            for point in self._points
        ]
        bold = [point["error_mm"] > targets["tolerance_mm"] for point in self._points]
        self._fill(texts.target_headers(), rows, bold)


class StructureTable(_Table):
    """A row for each structure."""

    def show(self, method: Mapping[str, Any]) -> None:
        """Show the structures after a transform."""
        structures = method["structures"]
        self._table.visible = bool(structures)
        rows = [
            [
                one["name"],
                texts.number(one["dice"]),
                texts.number(one["mean_surface_distance_mm"]),
                texts.number(one["hausdorff95_mm"]),
                texts.number(one["centroid_distance_mm"]),
            ]
            for one in structures or ()
        ]
        self._fill(texts.structure_headers(), rows, [False] * len(rows))
        for row, one in enumerate(structures or ()):
            if one["note"]:
                self._table.item(row, 0).setToolTip(one["note"])
