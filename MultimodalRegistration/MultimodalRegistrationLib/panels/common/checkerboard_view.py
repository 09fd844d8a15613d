"""A checkerboard of two volumes in the slice views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from MultimodalRegistrationLib.application.slice_views import SliceViews
from MultimodalRegistrationLib.mrml.checkerboard import CheckerboardVolume
from MultimodalRegistrationLib.panels.common.stepper import Stepper

__all__ = ["CheckerboardView"]


class CheckerboardView:
    """Makes the checkerboard while the event loop is idle, shows it, and takes it away.

    Parameters
    ----------
    views : SliceViews
        Where it is shown.
    """

    def __init__(self, views: SliceViews) -> None:
        self._views = views
        self._fixed: Any = None
        self._board: CheckerboardVolume | None = None
        self._stepper: Stepper | None = None

    def show(self, fixed_node: Any, moving_node: Any) -> None:
        """Show one as soon as it is made; the last one was taken away."""
        self._fixed = fixed_node
        self._board = CheckerboardVolume(fixed_node, moving_node)
        self._stepper = Stepper(self._board.make(), lambda share: None, self._made)
        self._stepper.start()

    def end(self, show_volumes: Callable[[], None]) -> None:
        """Take it away, if there is one, after the volumes are shown in its place."""
        board = self._board
        self.forget()
        if board is not None:
            show_volumes()
            board.remove()

    def forget(self) -> None:
        """The scene is being closed: nothing of it may be used any more."""
        if self._stepper is not None:
            self._stepper.stop()
        self._stepper = self._board = self._fixed = None

    def _made(self, error: Exception | None) -> None:
        if error is not None:
            raise error
        if self._board is not None and self._fixed.GetScene() is not None:
            # Whole fields of the moving volume; a faded checkerboard shows nothing.
            self._views.show(self._fixed, self._board.add(), 1.0)
