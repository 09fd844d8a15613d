"""Every parameter of a preset in a table, with its meaning; values can be changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import qt

from ...core.errors import InputError
from ...engines.catalogue import meaning_of
from ...engines.presets.preset import Preset, changed_preset
from ..common.messages import MessageLine
from ..common.texts import problem_words
from . import texts

__all__ = ["PresetTable"]

_VALUE_COLUMN = 1
_MEANING_COLUMN = 2
_ROW_HEIGHT = 22


class PresetTable:
    """The parameters of one engine of a preset.

    Parameters
    ----------
    ui : namespace
        With ``parametersTable``, ``parametersHintLabel``, ``meaningLabel``, ``parametersProblemLabel`` and
        ``resetParametersButton``.
    on_changed : callable
        Called with the stages after a valid change, or None when they are the preset's again.
    on_problem : callable
        Called with what is wrong with the table, or None.
    """

    def __init__(
        self,
        ui: Any,
        *,
        on_changed: Callable[[list[dict[str, Any]] | None], None],
        on_problem: Callable[[str | None], None],
    ) -> None:
        self._ui = ui
        self._table = ui.parametersTable
        self._on_changed = on_changed
        self._on_problem = on_problem
        self._rows: list[tuple[int, str]] = []
        self._shown: tuple[Any, ...] = ()
        self._preset: Preset | None = None
        self._engine = ""
        self._stages: list[dict[str, Any]] = []
        self._table.setHorizontalHeaderLabels(texts.table_headers())
        self._table.verticalHeader().setVisible(False)
        self._table.horizontalHeader().setSectionResizeMode(_MEANING_COLUMN, qt.QHeaderView.Stretch)
        self._table.setColumnWidth(0, 150)
        self._table.setColumnWidth(_VALUE_COLUMN, 90)
        self._table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self._table.connect("cellChanged(int,int)", self._edited)
        self._table.connect("itemSelectionChanged()", self._tell_meaning)
        ui.resetParametersButton.connect("clicked(bool)", self._reset)
        self._message = MessageLine(ui.parametersProblemLabel)
        self._tell_problem(None)

    def show(self, preset: Preset, engine: str, changes: list[dict[str, Any]] | None) -> None:
        """Show the settings of a preset for an engine, changed or as they are."""
        stages = preset.engines[engine] if changes is None else changes
        if self._shown == (preset.path, engine, stages):
            return
        self._preset, self._engine = preset, engine
        self._stages = copy.deepcopy(list(stages))
        self._shown = (preset.path, engine, copy.deepcopy(self._stages))
        self._rows = [(number, key) for number, stage in enumerate(self._stages) for key in stage]
        blocked = self._table.blockSignals(True)
        self._table.setRowCount(len(self._rows))
        for row, (number, key) in enumerate(self._rows):
            self._fill_row(row, number, key)
        self._table.blockSignals(blocked)
        self._ui.parametersHintLabel.text = texts.parameters_hint(preset.title, engine)
        self._ui.resetParametersButton.enabled = self._stages != preset.engines[engine]
        self._tell_meaning()
        self._tell_problem(None)

    def _fill_row(self, row: int, number: int, key: str) -> None:
        prefix = texts.stage_prefix(number + 1) if len(self._stages) > 1 else ""
        meaning = meaning_of(self._engine, key)
        for column, text in enumerate((prefix + key, _text_of(self._stages[number][key]), meaning)):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            if column != _VALUE_COLUMN:
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            self._table.setItem(row, column, item)

    def _tell_meaning(self) -> None:
        """The meaning of the current row in full, below the table: the column may be too narrow for it."""
        row = self._table.currentRow()
        shown = 0 <= row < len(self._rows)
        self._ui.meaningLabel.text = self._table.item(row, _MEANING_COLUMN).text() if shown else texts.CHOOSE_A_ROW

    def _edited(self, row: int, column: int) -> None:
        if column != _VALUE_COLUMN or self._preset is None:
            return
        number, key = self._rows[row]
        self._stages[number][key] = _value_of(self._table.item(row, column).text())
        try:
            changed_preset(self._preset, self._engine, self._stages)
        except InputError as error:
            self._tell_problem(problem_words(error))
            return
        self._tell_problem(None)
        original = self._stages == self._preset.engines[self._engine]
        self._ui.resetParametersButton.enabled = not original
        self._shown = (self._preset.path, self._engine, copy.deepcopy(self._stages))
        self._on_changed(None if original else copy.deepcopy(self._stages))

    def _reset(self) -> None:
        self._shown = ()
        self._on_changed(None)
        if self._preset is not None:
            self.show(self._preset, self._engine, None)

    def _tell_problem(self, words: str | None) -> None:
        if words is None:
            self._message.clear()
        else:
            self._message.problem(words)
            # What is wrong can be taken back even where nothing valid was changed.
            self._ui.resetParametersButton.enabled = True
        self._on_problem(words)


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value_of(text: str) -> Any:
    """A number, a list, true or false as in JSON; anything else is a word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text.strip()
