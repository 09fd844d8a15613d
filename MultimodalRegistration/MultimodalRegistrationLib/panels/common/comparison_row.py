"""The row of buttons that says how two volumes are shown over each other, the same in all panels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .buttons import set_quietly
from .comparison import CHECKERBOARD, COLOR, EDGES, GREY, Comparison

__all__ = ["ComparisonRow"]


class ComparisonRow:
    """Connects the buttons and the slider to a comparison.

    Parameters
    ----------
    ui : namespace
        With ``colorButton``, ``greyButton``, ``checkerboardButton``, ``edgesButton``, ``beforeButton``,
        ``surfacesButton``, ``surfacesLabel`` and ``fadeSlider``.
    comparison : Comparison
        Shows the volumes.
    look : callable
        Shows the volumes of the panel where others are shown: what is used here has to be seen.
    """

    def __init__(self, ui: Any, comparison: Comparison, look: Callable[[], None]) -> None:
        self._ui, self._comparison, self._look = ui, comparison, look
        self._buttons = {
            COLOR: ui.colorButton,
            GREY: ui.greyButton,
            CHECKERBOARD: ui.checkerboardButton,
            EDGES: ui.edgesButton,
        }
        for mode, button in self._buttons.items():
            button.connect("clicked(bool)", lambda _checked=False, mode=mode: self._choose(mode))
        # While the button, its shortcut or, once it has the focus, the space bar is held.
        ui.beforeButton.connect("pressed()", self._hold)
        ui.beforeButton.connect("released()", lambda: comparison.show_before(False))
        comparison.surfaces.tell = self._tell
        ui.surfacesButton.connect("clicked(bool)", self._show_surfaces)
        self._tell("")
        ui.fadeSlider.connect("valueChanged(double)", self._fade)
        set_quietly(ui.colorButton, True)

    def _see(self) -> None:
        if not self._comparison.shown:
            self._look()

    def _hold(self) -> None:
        self._see()
        self._comparison.show_before(True)

    def _show_surfaces(self, wanted: bool) -> None:
        self._see()
        self._comparison.show_surfaces(wanted)

    def _tell(self, words: str) -> None:
        self._ui.surfacesLabel.text = words
        self._ui.surfacesLabel.visible = bool(words)

    def _fade(self, opacity: float) -> None:
        self._see()
        self._comparison.fade(opacity)

    def _choose(self, mode: str) -> None:
        """Show the volumes in a way; the one that is shown already goes back to the colours."""
        self._see()
        if mode == self._comparison.mode:
            mode = COLOR
        self._comparison.set_mode(mode)
        for each, button in self._buttons.items():
            set_quietly(button, each == mode)
