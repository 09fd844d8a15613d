"""What the views show of an assessment: the volumes before and after a transform, flicker, and maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import qt

from ..common.buttons import set_quietly
from ..common.comparison import Comparison
from ..common.comparison_row import ComparisonRow
from . import texts

__all__ = ["ComparisonViews"]

_FLICKER_MILLISECONDS = 600


class ComparisonViews:
    """What the widgets of the views do; nothing where there are no views.

    Parameters
    ----------
    ui : namespace
        With the widgets of :class:`~MultimodalRegistrationLib.panels.common.comparison_row.ComparisonRow`,
        ``flickerBox`` and ``shownLabel``.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._comparison = Comparison()
        self.look: Callable[[], None] = lambda: None
        """Shows what the panel assesses where nothing is shown."""
        self._row = ComparisonRow(ui, self._comparison, lambda: self.look())
        self._names = ("", "")
        self._segmentations: list[Any] = []
        self._hidden: list[Any] = []
        self._flicker_on = False
        self._timer = qt.QTimer()
        self._timer.setInterval(_FLICKER_MILLISECONDS)
        self._timer.connect("timeout()", self._flicker)
        ui.beforeButton.connect("pressed()", self._tell)
        ui.beforeButton.connect("released()", self._tell)
        ui.flickerBox.connect("toggled(bool)", self._set_flicker)

    @property
    def available(self) -> bool:
        """Whether there are views."""
        return self._comparison.available

    @property
    def shown(self) -> bool:
        """Whether they show what is assessed."""
        return self._comparison.shown

    def show(self, fixed_node: Any, moving_node: Any, results: Sequence[Any], after_node: Any) -> None:
        """Show a moving volume over a fixed one.

        Parameters
        ----------
        fixed_node, moving_node : vtkMRMLScalarVolumeNode
            Not changed.
        results : sequence of vtkMRMLTransformNode
            Transforms that are assessed.
        after_node : vtkMRMLTransformNode or None
            The one that is shown first.
        """
        self._comparison.show(fixed_node, moving_node, results, after_node)
        self._names = fixed_node.GetName(), moving_node.GetName()
        self._hide_segmentations()
        self._tell()

    def hide_segmentations(self, nodes: Iterable[Any]) -> None:
        """Hide segmentations of the moving volume while that is shown elsewhere; others are seen again.

        Parameters
        ----------
        nodes : iterable of vtkMRMLDisplayableNode or None
            At their own places they would contradict the volume beside them.
        """
        self._segmentations = [node for node in nodes if node is not None]
        self._hide_segmentations()

    def _hide_segmentations(self) -> None:
        there = [node for node in self._segmentations if node.GetScene() is not None] if self.shown else []
        displays = [node.GetDisplayNode() for node in there]
        again = [display for display in self._hidden if display not in displays]
        self._hidden = [display for display in self._hidden if display in displays]
        for display in again:
            if display.GetScene() is not None:
                display.SetVisibility(True)
        for display in displays:
            # One that the user shows again stays.
            if display is not None and display not in self._hidden and display.GetVisibility():
                self._hidden.append(display)
                display.SetVisibility(False)

    def show_after(self, result_node: Any) -> None:
        """Show the moving volume after another transform."""
        self._comparison.show_after(result_node)
        self._tell()

    def show_map(self, map_node: Any) -> None:
        """Show a map over the fixed volume instead, or the moving volume again where that is None."""
        self._comparison.show_map(map_node)

    def hide(self) -> None:
        """Show what was shown before, and leave nothing in the scene."""
        self.stop()
        self._comparison.hide()
        self._hide_segmentations()
        self._tell()

    def stop(self) -> None:
        """End what goes on by itself."""
        set_quietly(self._ui.flickerBox, False)
        self._timer.stop()

    def _tell(self) -> None:
        """Say what is shown."""
        after = self._comparison.after
        name = None if after is None else after.GetName()
        self._ui.shownLabel.text = texts.shown_words(*self._names, name) if self.shown else ""

    def _set_flicker(self, wanted: bool) -> None:
        self._timer.stop()
        if not self.shown:
            return
        if wanted:
            self._timer.start()
        else:
            self._comparison.flash(self._ui.fadeSlider.value)

    def _flicker(self) -> None:
        if not self.shown:
            self._timer.stop()
            return
        self._flicker_on = not self._flicker_on
        self._comparison.flash(1.0 if self._flicker_on else 0.0)
