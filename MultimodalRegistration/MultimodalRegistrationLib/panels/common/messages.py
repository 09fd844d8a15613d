"""One line of a panel that says what went wrong or what was done."""

from __future__ import annotations

from typing import Any

__all__ = ["MessageLine"]

# Light text on a dark colour is readable in both of Slicer's themes.
_PROBLEM = "QLabel { background-color: #b3261e; color: white; padding: 6px; border-radius: 3px; }"
_DONE = "QLabel { background-color: #1b7f3b; color: white; padding: 6px; border-radius: 3px; }"


class MessageLine:
    """A label that is there while it has something to say.

    Parameters
    ----------
    label : QLabel
        Plain text, with word wrap.
    """

    def __init__(self, label: Any) -> None:
        self._label = label
        self.clear()

    def problem(self, words: str) -> None:
        """Say what went wrong and what to do."""
        self._show(words, _PROBLEM)

    def done(self, words: str) -> None:
        """Say what was done."""
        self._show(words, _DONE)

    def clear(self) -> None:
        """Say nothing."""
        self._label.text = ""
        self._label.visible = False

    def _show(self, words: str, style: str) -> None:
        self._label.setStyleSheet(style)
        self._label.text = words
        self._label.visible = True
