"""Message boxes and package installations: recorded, and answered by the test."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import slicer


class Message(NamedTuple):
    """What the user would have seen."""

    level: str
    text: str
    title: str
    details: str


class Messages:
    """Replaces the functions of ``slicer.util`` that would wait for a user."""

    def __init__(self) -> None:
        self.shown: list[Message] = []
        self.installed: list[Any] = []
        self.answers: list[bool] = []
        self._kept = {name: getattr(slicer.util, name) for name in ("_messageDisplay", "messageBox", "pip_install")}
        slicer.util._messageDisplay = self.display
        slicer.util.messageBox = self.box
        slicer.util.pip_install = self.install

    def restore(self) -> None:
        for name, function in self._kept.items():
            setattr(slicer.util, name, function)

    def display(self, level: int, text: str, testing_value: Any, *arguments: Any, **named: Any) -> Any:
        """Record; a question is answered by the next of ``answers``, yes when there is none."""
        import qt

        logging.log(level, text)
        self.record(logging.getLevelName(level).lower(), text, named)
        buttons = int(named.get("standardButtons", 0))
        agreeing = (qt.QMessageBox.Ok, qt.QMessageBox.Yes, qt.QMessageBox.Retry)
        if testing_value is None:
            return None
        if self.answers.pop(0) if self.answers else True:
            return next(button for button in agreeing if buttons & int(button))
        return qt.QMessageBox.Cancel

    def box(self, text: str, parent: Any = None, **named: Any) -> Any:
        import qt

        self.record("box", text, named)
        return qt.QMessageBox.Ok if not self.answers or self.answers.pop(0) else qt.QMessageBox.Cancel

    def record(self, level: str, text: str, named: dict[str, Any]) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a message box takes text, not {text!r}")
        self.shown.append(Message(level, text, named.get("windowTitle") or "", named.get("detailedText") or ""))

    def install(self, requirements: Any, **_named: Any) -> None:
        self.installed.append(requirements)
