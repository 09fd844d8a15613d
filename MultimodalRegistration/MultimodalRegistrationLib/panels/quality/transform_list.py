"""A list of all transforms of the scene, each with a tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer

from ...mrml.placement import RESULT_ROLE
from ..common.scene_watch import SceneWatch
from . import texts

__all__ = ["TransformList"]

_FEWEST_ROWS, _MOST_ROWS = 2, 6
_ROW_PIXELS = 22


class TransformList:
    """Follows the scene: transforms come, go and are renamed.

    Parameters
    ----------
    widget : QListWidget
        Filled here.
    on_chosen : callable
        Called with the ticked nodes when the user ticks or unticks one.
    """

    def __init__(self, widget: Any, on_chosen: Callable[[list[Any]], None]) -> None:
        self._list = widget
        self._on_chosen = on_chosen
        self._shown: list[tuple[str, str, bool]] = []
        self._ticked: set[str] = set()
        self._watch = SceneWatch(self.update)
        widget.connect("itemChanged(QListWidgetItem*)", self._changed)

    def close(self) -> None:
        """Look at the scene no more."""
        self._watch.close()

    def tick(self, nodes: Sequence[Any]) -> None:
        """Tick these and no others."""
        self._ticked = {node.GetID() for node in nodes if node is not None}
        self.update()

    def update(self) -> None:
        """Show the transforms that are there."""
        nodes = transforms_to_assess()
        for node in nodes:
            self._watch.follow(node)
        state = [(node.GetID(), node.GetName(), node.GetID() in self._ticked) for node in nodes]
        if state == self._shown and self._list.count > 0:
            return
        self._shown = state
        blocked = self._list.blockSignals(True)
        self._list.clear()
        for _identifier, name, ticked in state:
            item = qt.QListWidgetItem(name)
            item.setToolTip(name)
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsSelectable)
            item.setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)
            self._list.addItem(item)
        if not state:
            item = qt.QListWidgetItem(texts.NO_TRANSFORMS)
            item.setFlags(qt.Qt.NoItemFlags)
            self._list.addItem(item)
        self._list.blockSignals(blocked)
        rows = min(max(len(state), _FEWEST_ROWS), _MOST_ROWS)
        self._list.setFixedHeight(rows * _ROW_PIXELS + 6)

    def _changed(self, item: Any) -> None:
        row = self._list.row(item)
        if row >= len(self._shown):
            return
        identifier, name, _ = self._shown[row]
        ticked = item.checkState() == qt.Qt.Checked
        self._shown[row] = (identifier, name, ticked)
        (self._ticked.add if ticked else self._ticked.discard)(identifier)
        chosen = [slicer.mrmlScene.GetNodeByID(one) for one, _, on in self._shown if on]
        self._on_chosen([node for node in chosen if node is not None])


def transforms_to_assess() -> list[Any]:
    """The transforms that a user sees; one that holds an old parent and a result is left out, the result is there."""
    nodes = slicer.util.getNodesByClass("vtkMRMLTransformNode")
    return [node for node in nodes if not node.GetHideFromEditors() and node.GetNodeReferenceID(RESULT_ROLE) is None]
