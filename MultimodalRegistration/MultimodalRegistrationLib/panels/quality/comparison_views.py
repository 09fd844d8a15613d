"""Both volumes over each other in linked slice views: before and after, fade, checkerboard, flicker, maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

from MultimodalRegistrationLib.application.result_views import link_views
from MultimodalRegistrationLib.application.slice_views import SliceViews
from MultimodalRegistrationLib.mrml.moved_copy import MovedCopy
from MultimodalRegistrationLib.panels.common.buttons import set_quietly
from MultimodalRegistrationLib.panels.common.checkerboard_view import CheckerboardView
from MultimodalRegistrationLib.panels.quality import texts

__all__ = ["ComparisonViews"]

_FLICKER_MILLISECONDS = 600


class ComparisonViews:
    """What the widgets of the views do; nothing where there are no views.

    Parameters
    ----------
    ui : namespace
        With ``beforeButton``, ``fadeSlider``, ``checkerboardBox``, ``flickerBox`` and ``shownLabel``.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._views = SliceViews()
        self._fixed: Any = None
        self._copy: MovedCopy | None = None
        self._after: Any = None
        self._map: Any = None
        self._board = CheckerboardView(self._views)
        self._flicker_on = False
        self._timer = qt.QTimer()
        self._timer.setInterval(_FLICKER_MILLISECONDS)
        self._timer.connect("timeout()", self._flicker)
        ui.beforeButton.connect("toggled(bool)", self._place)
        ui.fadeSlider.connect("valueChanged(double)", self._fade)
        ui.checkerboardBox.connect("toggled(bool)", self._show)
        ui.flickerBox.connect("toggled(bool)", self._set_flicker)

    @property
    def available(self) -> bool:
        """Whether there are views."""
        return self._views.available

    @property
    def shown(self) -> bool:
        """Whether they show what is assessed."""
        return self._copy is not None

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
        self.hide()
        if not self.available:
            return
        self._fixed, self._copy, self._after = fixed_node, MovedCopy(moving_node, results), after_node
        link_views(True)
        self._place()

    def show_after(self, result_node: Any) -> None:
        """Show the moving volume after another transform."""
        self._after = result_node
        if self._copy is not None:
            set_quietly(self._ui.beforeButton, False)
            self._place()

    def show_map(self, map_node: Any) -> None:
        """Show a map over the fixed volume instead, or the moving volume again where that is None."""
        self._map = map_node
        self._show()

    def hide(self) -> None:
        """Show what was shown before, and leave nothing in the scene."""
        self.stop()
        self._board.end(self._show_volumes)
        if self._copy is not None:
            link_views(False)
            self._views.restore()
            self._copy.remove()
        self._forget()

    def forget(self) -> None:
        """The scene is being closed: nothing of it may be used any more."""
        self.stop()
        self._board.forget()
        self._forget()

    def stop(self) -> None:
        """End what goes on by itself."""
        set_quietly(self._ui.flickerBox, False)
        self._timer.stop()

    def _forget(self) -> None:
        self._copy = self._fixed = self._after = self._map = None
        self._ui.shownLabel.text = ""
        for box in (self._ui.beforeButton, self._ui.checkerboardBox):
            set_quietly(box, False)

    def _place(self, *_state: Any) -> None:
        if self._copy is None:
            return
        after = None if self._ui.beforeButton.checked else self._after
        if after is not None and after.GetScene() is None:
            after = None
        self._copy.put_under(after)
        self._ui.beforeButton.text = texts.SHOW_AFTER if self._ui.beforeButton.checked else texts.SHOW_BEFORE
        self._ui.shownLabel.text = texts.shown_words(
            self._fixed.GetName(), self._copy.node.GetName(), None if after is None else after.GetName()
        )
        self._map = None
        self._show()

    def _show(self, *_state: Any) -> None:
        """Bring the views up to date."""
        if self._copy is None or not self._copy.there or self._fixed.GetScene() is None:
            return
        self._board.end(self._show_volumes)
        if self._map is not None:
            self._views.show(self._fixed, self._map, self._ui.fadeSlider.value)
        elif self._ui.checkerboardBox.checked:
            self._board.show(self._fixed, self._copy.node)
        else:
            self._show_volumes()

    def _show_volumes(self) -> None:
        if self._copy is not None:
            self._views.show(self._fixed, self._copy.node, self._ui.fadeSlider.value)

    def _fade(self, opacity: float) -> None:
        if self._copy is not None:
            self._views.fade(opacity)

    def _set_flicker(self, wanted: bool) -> None:
        self._timer.stop()
        if self._copy is None:
            return
        if wanted:
            self._timer.start()
        else:
            self._fade(self._ui.fadeSlider.value)

    def _flicker(self) -> None:
        if self._copy is None or not self._copy.there:
            self._timer.stop()
            return
        self._flicker_on = not self._flicker_on
        self._views.fade(1.0 if self._flicker_on else 0.0)
