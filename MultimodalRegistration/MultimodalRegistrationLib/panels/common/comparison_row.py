"""The row of buttons that says how two volumes are shown over each other, the same in all panels."""

from __future__ import annotations

from typing import Any

from MultimodalRegistrationLib.panels.common.buttons import set_quietly
from MultimodalRegistrationLib.panels.common.comparison import CHECKERBOARD, COLOR, EDGES, GREY, Comparison

__all__ = ["ComparisonRow"]


class ComparisonRow:
    """Connects the buttons and the slider to a comparison.

    Parameters
    ----------
    ui : namespace
        With ``colorButton``, ``greyButton``, ``checkerboardButton``, ``edgesButton``, ``beforeButton`` and
        ``fadeSlider``.
    comparison : Comparison
        Shows the volumes.
    """

    def __init__(self, ui: Any, comparison: Comparison) -> None:
        self._ui, self._comparison = ui, comparison
        self._buttons = {
            COLOR: ui.colorButton,
            GREY: ui.greyButton,
            CHECKERBOARD: ui.checkerboardButton,
            EDGES: ui.edgesButton,
        }
        for mode, button in self._buttons.items():
            button.connect("clicked(bool)", lambda _checked=False, mode=mode: self._choose(mode))
        # While the button, its shortcut or, once it has the focus, the space bar is held.
        ui.beforeButton.connect("pressed()", lambda: comparison.show_before(True))
        ui.beforeButton.connect("released()", lambda: comparison.show_before(False))
        ui.fadeSlider.connect("valueChanged(double)", comparison.fade)
        self._choose(COLOR)

    def _choose(self, mode: str) -> None:
        """Show the volumes in a way; the one that is shown already goes back to the colours."""
        if mode == self._comparison.mode:
            mode = COLOR
        self._comparison.set_mode(mode)
        for each, button in self._buttons.items():
            set_quietly(button, each == mode)
