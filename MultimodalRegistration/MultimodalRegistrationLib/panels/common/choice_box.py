"""A combo box of named values, for parameters whose values are not the words that the user reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import qt

__all__ = ["ChoiceBox"]


class ChoiceBox:
    """Keeps a combo box and a value the same.

    Parameters
    ----------
    box : QComboBox
        Filled here.
    on_chosen : callable
        Called with the value that the user chose.
    """

    def __init__(self, box: Any, on_chosen: Callable[[str], None]) -> None:
        self._box = box
        self._values: list[str] = []
        self._filled: list[tuple[str, str, str]] = []
        self._on_chosen = on_chosen
        box.connect("currentIndexChanged(int)", self._changed)

    def fill(self, choices: Iterable[tuple[str, str, str]]) -> None:
        """Offer choices, each a value, a label and an explanation; nothing is reported as chosen."""
        choices = list(choices)
        if choices == self._filled:
            return
        value = self.value
        self._filled = choices
        blocked = self._box.blockSignals(True)
        self._box.clear()
        self._values = [value for value, _, _ in choices]
        for index, (_, label, explanation) in enumerate(choices):
            self._box.addItem(label)
            self._box.setItemData(index, explanation, qt.Qt.ToolTipRole)
        self._box.blockSignals(blocked)
        self.show(value)

    @property
    def value(self) -> str:
        """The value shown."""
        index = self._box.currentIndex
        return self._values[index] if 0 <= index < len(self._values) else ""

    def show(self, value: str) -> None:
        """Show a value that was set elsewhere; the first one where it is not offered."""
        blocked = self._box.blockSignals(True)
        self._box.setCurrentIndex(self._values.index(value) if value in self._values else 0)
        self._box.blockSignals(blocked)

    def _changed(self, _index: int) -> None:
        self._on_chosen(self.value)
