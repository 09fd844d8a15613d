"""What would wait for a user: modal dialogs and file choosers give the answers a test has queued, or raise."""

from __future__ import annotations

from typing import Any

answers: list[Any] = []
"""Results of the next modal dialogs, in their order: a path for a file dialog, a text or number for an input dialog."""
opened_urls: list[str] = []
"""What the module opened in the browser."""

CHOOSERS = {
    "QFileDialog": ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"),
    "QInputDialog": ("getText", "getInt", "getDouble", "getItem", "getMultiLineText"),
    "QColorDialog": ("getColor",),
    "QMessageBox": ("question", "information", "warning", "critical"),
}


def answer(what: str) -> Any:
    if not answers:
        raise RuntimeError(f"{what} would wait for the user: queue an answer")
    return answers.pop(0)


def replacement(class_name: str, name: str) -> Any:
    """A function in place of one that waits, or None. PythonQt's file choosers give the path alone, no tuple."""
    if name in CHOOSERS.get(class_name, ()):
        return lambda *_arguments: answer(f"{class_name}.{name}")
    if class_name == "QDesktopServices" and name == "openUrl":
        return open_url
    return None


def open_url(url: Any) -> bool:
    opened_urls.append(url._qt.toString())
    return True


def run_modal(dialog: Any) -> Any:
    """``exec`` of a dialog or menu."""
    return answer(f"{dialog.className()}.exec")
