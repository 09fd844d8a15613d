"""What panels do with buttons and boxes."""

from __future__ import annotations

from typing import Any

__all__ = ["offer", "set_quietly"]


def offer(button: Any, hint: str, missing: str | None) -> None:
    """Enable a button with what it does as its hint, or disable it with what is missing."""
    button.enabled = missing is None
    button.toolTip = hint if missing is None else missing


def set_quietly(box: Any, checked: bool) -> None:
    """Check a box, or not, without a signal."""
    blocked = box.blockSignals(True)
    box.checked = checked
    box.blockSignals(blocked)
