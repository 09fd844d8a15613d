"""Watches which nodes the scene holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

__all__ = ["SceneWatch"]


class SceneWatch(VTKObservationMixin):  # type: ignore[misc]
    """Calls back, once in a turn of the event loop, after nodes came or went: many may come at once.

    Parameters
    ----------
    on_changed : callable
        Called without arguments.
    """

    def __init__(self, on_changed: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", on_changed)
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
            self.addObserver(scene, event, self._changed)

    def follow(self, node: Any) -> None:
        """Call back also after this node was changed, such as renamed."""
        if not self.hasObserver(node, vtk.vtkCommand.ModifiedEvent, self._changed):
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._changed)

    def close(self) -> None:
        """Watch no more."""
        self._timer.stop()
        self.removeObservers()

    def _changed(self, _caller: Any, _event: str) -> None:
        self._timer.start()
