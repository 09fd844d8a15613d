"""What panels do with buttons, boxes and node selectors."""

from __future__ import annotations

from typing import Any

import qt
import slicer

__all__ = ["let_shrink", "offer", "set_quietly"]


def let_shrink(ui: Any) -> None:
    """Let the node selectors of a panel be narrower than the longest name of a node: they widen the dock otherwise.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    """
    for widget in vars(ui).values():
        if isinstance(widget, (slicer.qMRMLNodeComboBox, slicer.qMRMLCheckableNodeComboBox)):
            widget.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon


def offer(button: Any, hint: str, missing: str | None) -> None:
    """Enable a button with what it does as its hint, or disable it with what is missing."""
    button.enabled = missing is None
    button.toolTip = hint if missing is None else missing


def set_quietly(box: Any, checked: bool) -> None:
    """Check a box, or not, without a signal."""
    blocked = box.blockSignals(True)
    box.checked = checked
    box.blockSignals(blocked)
