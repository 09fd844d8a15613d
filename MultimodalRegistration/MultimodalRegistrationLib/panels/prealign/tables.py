"""The tables of the panel: pairs, models, targets. They show what they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import qt

from ...landmarks.evaluation import PairEvaluation
from ...landmarks.measured_errors import Targets
from ...landmarks.pairing import PairRow
from ..common.cells import text_cell
from . import texts

__all__ = ["PairTable", "RowNote", "show_evidence", "show_targets"]

USE, FIXED, MOVING, OWN_FIT, LEFT_OUT, FOUND = range(6)
_FEWEST_ROWS, _MOST_ROWS = 3, 10
_NAME_WIDTH, _EMPTY_WIDTH = 70, 60


@dataclass(frozen=True)
class RowNote:
    """What stands out about a row.

    Parameters
    ----------
    words : str
        Short.
    severity : {"error", "warning", "note"}
        As of a finding.
    details : str
        The whole message, for the tooltip.
    """

    words: str
    severity: Literal["error", "warning", "note"]
    details: str = ""


class PairTable:
    """The pairs, row by row.

    Parameters
    ----------
    table : QTableWidget
        Filled here.
    on_used : callable
        Called with the row and whether the user wants to use it.
    on_chosen : callable
        Called with the row and "fixed" or "moving" when it is clicked.
    """

    def __init__(self, table: Any, on_used: Callable[[int, bool], None], on_chosen: Callable[[int, str], None]) -> None:
        self._table = table
        self._on_used, self._on_chosen = on_used, on_chosen
        self._shown: tuple[Any, ...] | None = None
        _prepare(table, texts.pair_headers(), stretched=FOUND)
        for column, width in ((USE, 34), (FIXED, _NAME_WIDTH), (MOVING, _NAME_WIDTH), (OWN_FIT, 52), (LEFT_OUT, 52)):
            table.setColumnWidth(column, width)
        # Names differ at their ends: "Fixed points-1", "Fixed points-2".
        table.setTextElideMode(qt.Qt.ElideMiddle)
        table.connect("cellChanged(int,int)", self._changed)
        table.connect("cellClicked(int,int)", self._clicked)

    def show_rows(
        self,
        rows: Sequence[PairRow],
        labels: Sequence[tuple[tuple[str, str], tuple[str, str]]],
        reasons: Sequence[tuple[str, str]],
    ) -> None:
        """Show the pairs and why some are not used, each text with its tooltip; the numbers follow."""
        state = tuple(zip(rows, labels, reasons, strict=True))
        if state == self._shown:
            return
        self._shown = state
        table = self._table
        blocked = table.blockSignals(True)
        table.setRowCount(len(rows))
        for index, (row, (fixed, moving), reason) in enumerate(state):
            used = row.state == "used"
            tick = qt.QTableWidgetItem()
            if row.state == "unplaced":
                tick.setFlags(qt.Qt.ItemIsEnabled)
            else:
                tick.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
                tick.setCheckState(qt.Qt.Unchecked if row.state == "unselected" else qt.Qt.Checked)
            table.setItem(index, USE, tick)
            for column, (text, tip) in ((FIXED, fixed), (MOVING, moving), (FOUND, reason)):
                table.setItem(index, column, text_cell(text, dim=not used))
                table.item(index, column).setToolTip(tip)
            for column in (OWN_FIT, LEFT_OUT):
                table.setItem(index, column, text_cell("", right=True))
        table.blockSignals(blocked)
        table.resizeRowsToContents()
        self._share_width()
        _fit_height(table)

    def _share_width(self) -> None:
        """Give the names the room that an empty column of findings does not need."""
        table = self._table
        cells = [table.item(index, FOUND) for index in range(table.rowCount)]
        empty = not any(cell is not None and cell.text() for cell in cells)
        header = table.horizontalHeader()
        for column in (FIXED, MOVING):
            header.setSectionResizeMode(column, qt.QHeaderView.Stretch if empty else qt.QHeaderView.Interactive)
        header.setSectionResizeMode(FOUND, qt.QHeaderView.Interactive if empty else qt.QHeaderView.Stretch)
        for column, width in ((FOUND, _EMPTY_WIDTH),) if empty else ((FIXED, _NAME_WIDTH), (MOVING, _NAME_WIDTH)):
            table.setColumnWidth(column, width)

    def show_own_fit(self, errors_mm: Sequence[float | None]) -> None:
        """Show the fiducial errors, row by row, while a point moves; what takes longer follows."""
        for index, value in enumerate(errors_mm):
            self._write(index, OWN_FIT, texts.number(value))
            if self._used(index):
                self._write(index, LEFT_OUT, texts.UP_TO_DATE_LATER)

    def show_judgement(
        self, own_mm: Sequence[float | None], left_out_mm: Sequence[float | None], notes: Sequence[Sequence[RowNote]]
    ) -> None:
        """Show all errors and what was found, row by row."""
        known = [value for value in left_out_mm if value is not None]
        for index, (own, left_out, found) in enumerate(zip(own_mm, left_out_mm, notes, strict=True)):
            self._write(index, OWN_FIT, texts.number(own))
            worst = left_out is not None and len(known) > 1 and left_out == max(known)
            self._write(index, LEFT_OUT, texts.number(left_out), bold=worst)
            if self._used(index):
                self._note(index, found)
        self._share_width()

    def _used(self, index: int) -> bool:
        return bool(self._shown and self._shown[index][0].state == "used")

    def _note(self, index: int, found: Sequence[RowNote]) -> None:
        self._write(index, FOUND, "; ".join(note.words for note in found))
        item = self._table.item(index, FOUND)
        blocked = self._table.blockSignals(True)
        item.setToolTip("\n".join(note.details for note in found))
        item.setIcon(self._icon(found))
        self._table.blockSignals(blocked)

    def _icon(self, found: Sequence[RowNote]) -> Any:
        worst = {note.severity for note in found}
        style = qt.QStyle
        kinds = {"error": style.SP_MessageBoxCritical, "warning": style.SP_MessageBoxWarning}
        kind = next((kinds[severity] for severity in kinds if severity in worst), None)
        return qt.QIcon() if kind is None else self._table.style().standardIcon(kind)

    def _write(self, row: int, column: int, text: str, *, bold: bool = False) -> None:
        item = self._table.item(row, column)
        if item.text() == text and item.font().bold() == bold:
            return
        blocked = self._table.blockSignals(True)
        item.setText(text)
        font = item.font()
        font.setBold(bold)
        item.setFont(font)
        self._table.blockSignals(blocked)

    def _changed(self, row: int, column: int) -> None:
        if column == USE:
            self._on_used(row, self._table.item(row, USE).checkState() == qt.Qt.Checked)

    def _clicked(self, row: int, column: int) -> None:
        if column != USE:
            self._on_chosen(row, "moving" if column == MOVING else "fixed")


def show_evidence(table: Any, appraisal: PairEvaluation | None) -> None:
    """Show what speaks for each model, the chosen one in bold; nothing where there are no pairs."""
    _prepare(table, texts.evidence_headers(), stretched=3)
    for column, width in ((0, 110), (1, 56), (2, 56)):
        table.setColumnWidth(column, width)
    evidence = () if appraisal is None else appraisal.evidence
    recommended = None if appraisal is None or appraisal.result is None else appraisal.result.recommendation.model
    table.setRowCount(len(evidence))
    for row, one in enumerate(evidence):
        chosen = appraisal is not None and one.model == appraisal.model
        values = [None if errors is None else errors.rms_mm for errors in (one.fiducial, one.both_ways)]
        table.setItem(row, 0, text_cell(texts.model_name(one.model), bold=chosen))
        for column, value in enumerate(values, start=1):
            table.setItem(row, column, text_cell(texts.number(value), bold=chosen, right=True))
        table.setItem(row, 3, text_cell(texts.evidence_words(one, recommended=one.model == recommended), bold=chosen))
    table.resizeRowsToContents()
    _fit_height(table)
    table.visible = bool(evidence)


def show_targets(table: Any, targets: Targets | None) -> None:
    """Show the errors at the targets."""
    _prepare(table, texts.target_headers(), stretched=0)
    count = 0 if targets is None else len(targets.pairs)
    table.setRowCount(count)
    if targets is not None:
        expected = targets.expected_rms_mm or (None,) * count
        columns = (targets.before.per_point_mm, targets.after.per_point_mm, expected)
        for row, (label, *values) in enumerate(zip(targets.pairs.labels, *columns, strict=True)):
            table.setItem(row, 0, text_cell(label.strip("'")))
            for column, value in enumerate(values, start=1):
                table.setItem(row, column, text_cell(texts.number(value), right=True, bold=column == 2))
    table.resizeRowsToContents()
    _fit_height(table)
    table.visible = count > 0


def _prepare(table: Any, headers: Sequence[tuple[str, str]], *, stretched: int) -> None:
    if table.columnCount == len(headers):
        return
    table.setColumnCount(len(headers))
    for column, (text, tip) in enumerate(headers):
        item = qt.QTableWidgetItem(text)
        item.setToolTip(tip)
        table.setHorizontalHeaderItem(column, item)
    header = table.horizontalHeader()
    # In bold, as of a chosen row, the texts are too wide.
    header.setHighlightSections(False)
    header.setSectionResizeMode(stretched, qt.QHeaderView.Stretch)
    table.verticalHeader().visible = False
    table.setWordWrap(False)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)


def _fit_height(table: Any) -> None:
    """As high as the rows, up to a limit from where on it scrolls."""
    rows = table.rowCount
    heights = [table.rowHeight(row) for row in range(min(rows, _MOST_ROWS))]
    missing = max(0, _FEWEST_ROWS - rows) * 24
    table.setFixedHeight(table.horizontalHeader().sizeHint.height() + sum(heights) + missing + 4)
