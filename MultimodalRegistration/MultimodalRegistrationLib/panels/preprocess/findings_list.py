"""The list of findings: how grave, what, and a button where a new node would help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt

from ...mrml.volume_findings import NodeFinding
from ..common.buttons import offer
from ..common.styles import GOOD, label_style
from . import texts

__all__ = ["FindingsList"]


class FindingsList:
    """Fills a widget with findings.

    Parameters
    ----------
    widget : QWidget
        Empty.
    on_remedy : callable
        Called with the finding whose button was clicked.
    """

    def __init__(self, widget: Any, on_remedy: Callable[[NodeFinding], None]) -> None:
        self._layout = qt.QVBoxLayout(widget)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._widget = widget
        self._on_remedy = on_remedy
        self._rows: list[Any] = []
        self.shown: tuple[NodeFinding, ...] = ()
        self.buttons: list[Any] = []

    def show(self, findings: Sequence[NodeFinding], *, otherwise: str, good: bool = False) -> None:
        """Show findings.

        Parameters
        ----------
        findings : sequence of NodeFinding
            Those of greatest weight come first.
        otherwise : str
            What is said when there are none.
        good : bool
            Say it as good news.
        """
        self.clear()
        order = ("error", "warning", "note")
        self.shown = tuple(sorted(findings, key=lambda each: order.index(each.finding.severity)))
        for found in self.shown:
            self._add_row(found)
        if not self.shown:
            label = qt.QLabel(otherwise)
            label.setObjectName("findingsNothingLabel")
            label.wordWrap = True
            if good:
                label.styleSheet = label_style(GOOD, padding="3px 6px")
            self._rows.append(label)
            self._layout.addWidget(label)

    def clear(self) -> None:
        """Take out all rows."""
        for row in self._rows:
            row.hide()
            self._layout.removeWidget(row)
            row.deleteLater()
        self._rows, self.buttons, self.shown = [], [], ()

    def set_enabled(self, missing: str | None) -> None:
        """Enable the buttons, or say why they cannot be used now."""
        for button, found in self.buttons:
            offer(button, texts.remedy_hint(found.remedy), missing)

    def _add_row(self, found: NodeFinding) -> None:
        row = qt.QFrame()
        row.setObjectName(f"finding{len(self._rows) + 1}Frame")
        line = qt.QVBoxLayout(row)
        line.setContentsMargins(0, 2, 0, 2)
        words = qt.QLabel(texts.finding_html(found))
        words.wordWrap = True
        words.textInteractionFlags = qt.Qt.TextSelectableByMouse
        line.addWidget(words)
        if found.remedy is not None:
            button = qt.QPushButton(texts.remedy_label(found.remedy))
            button.toolTip = texts.remedy_hint(found.remedy)
            button.connect("clicked()", lambda: self._on_remedy(found))
            line.addWidget(button, 0, qt.Qt.AlignLeft)
            self.buttons.append((button, found))
        self._rows.append(row)
        self._layout.addWidget(row)
