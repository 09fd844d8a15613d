"""Colours of verdicts, findings and messages, the same in all panels."""

from __future__ import annotations

__all__ = ["BAD", "DOUBTFUL", "GOOD", "NEUTRAL", "label_style"]

# Light text on a dark colour is readable in both of Slicer's themes.
GOOD, DOUBTFUL, BAD, NEUTRAL = "#1b7f3b", "#a86100", "#b3261e", "#555555"


def label_style(color: str, *, bold: bool = False, padding: str = "6px") -> str:
    """Style sheet of a label with white words on a colour."""
    weight = "font-weight: bold; " if bold else ""
    return f"QLabel {{ background-color: {color}; color: white; {weight}padding: {padding}; border-radius: 3px; }}"
