"""One line of a panel that says what went wrong, what was done or what is missing."""

from __future__ import annotations

from typing import Any

from .styles import BAD, GOOD, label_style

__all__ = ["MessageLine"]


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
        self._show(words, label_style(BAD))

    def done(self, words: str) -> None:
        """Say what was done."""
        self._show(words, label_style(GOOD))

    def note(self, words: str) -> None:
        """Say something without a colour."""
        self._show(words, "")

    def clear(self) -> None:
        """Say nothing."""
        self._label.text = ""
        self._label.visible = False

    def _show(self, words: str, style: str) -> None:
        self._label.setStyleSheet(style)
        self._label.text = words
        self._label.visible = True
