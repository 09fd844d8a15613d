"""Watches the points while they are placed and dragged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

__all__ = ["PointWatch"]

# Every move of the mouse sends several events; the eye does not need more than this.
_FOLLOW_MS = 30
_SETTLE_MS = 300


class PointWatch(VTKObservationMixin):  # type: ignore[misc]
    """Calls back soon after a point moved, and again when all rest.

    Parameters
    ----------
    owner : QWidget
        Owns the timers.
    on_moved : callable
        Called at most every 30 ms while points change.
    on_settled : callable
        Called once nothing has changed for 300 ms and no point is held by the mouse.
    """

    def __init__(self, owner: Any, on_moved: Callable[[], None], on_settled: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._nodes: list[Any] = []
        self._held = False
        self._on_settled = on_settled
        self._follow, self._settle = (qt.QTimer(owner) for _ in range(2))
        for timer, milliseconds, called in (
            (self._follow, _FOLLOW_MS, on_moved),
            (self._settle, _SETTLE_MS, self._rested),
        ):
            timer.setSingleShot(True)
            timer.setInterval(milliseconds)
            timer.connect("timeout()", called)

    def watch(self, nodes: Iterable[Any]) -> None:
        """Watch these lists of points, and no others; None is skipped."""
        wanted: list[Any] = []
        for node in nodes:
            if node is not None and not any(node is other for other in wanted):
                wanted.append(node)
        if len(wanted) == len(self._nodes) and all(a is b for a, b in zip(wanted, self._nodes, strict=True)):
            return
        self.removeObservers()
        self._nodes, self._held = wanted, False
        events = slicer.vtkMRMLMarkupsNode
        for node in wanted:
            for event in (
                vtk.vtkCommand.ModifiedEvent,
                events.PointModifiedEvent,
                events.PointAddedEvent,
                events.PointRemovedEvent,
                events.PointPositionDefinedEvent,
                events.PointPositionUndefinedEvent,
                slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            ):
                self.addObserver(node, event, self._changed)
            self.addObserver(node, events.PointStartInteractionEvent, self._grabbed)
            self.addObserver(node, events.PointEndInteractionEvent, self._released)

    def stop(self) -> None:
        """Watch nothing, and call back no more."""
        self._follow.stop()
        self._settle.stop()
        self.watch([])

    def settle_now(self) -> None:
        """Judge at once what is waiting."""
        self._follow.stop()
        self._settle.stop()
        self._on_settled()

    def _changed(self, _caller: Any, _event: str) -> None:
        if not self._follow.isActive():
            self._follow.start()
        self._settle.start()

    def _grabbed(self, _caller: Any, _event: str) -> None:
        self._held = True

    def _released(self, caller: Any, event: str) -> None:
        self._held = False
        self._changed(caller, event)

    def _rested(self) -> None:
        if not self._held:
            self._on_settled()
