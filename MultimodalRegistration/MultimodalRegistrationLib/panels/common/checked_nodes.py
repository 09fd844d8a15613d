"""Nodes of which any number can be ticked: a list of the parameter node and a selector, kept the same."""

from __future__ import annotations

from typing import Any

import qt

from .texts import ticked_words

__all__ = ["CheckedNodes"]


class CheckedNodes:
    """Keeps a selector and a parameter the same.

    Parameters
    ----------
    selector : qMRMLCheckableNodeComboBox
        Offers the nodes.
    name : str
        Of the parameter, a list of nodes.
    label : QLabel
        Of the selector, which may show a node that is not ticked: the label says how many are.
    """

    def __init__(self, selector: Any, name: str, label: Any) -> None:
        self._selector = selector
        self._name = name
        self._label, self._words = label, label.text.rstrip(":")
        self._parameters: Any = None
        self._showing = False
        selector.connect("checkedNodesChanged()", self._chosen)

    def show(self, parameters: Any) -> None:
        """Tick what the parameter node holds."""
        self._parameters = parameters
        if parameters is None or self._showing:
            return
        self._showing = True
        try:
            wanted = [node for node in getattr(parameters, self._name) if node is not None]
            for node in self._selector.checkedNodes():
                if node not in wanted:
                    self._selector.setCheckState(node, qt.Qt.Unchecked)
            for node in wanted:
                self._selector.setCheckState(node, qt.Qt.Checked)
            self._label.text = ticked_words(self._words, len(wanted))
        finally:
            self._showing = False

    def _chosen(self) -> None:
        if self._parameters is not None and not self._showing:
            setattr(self._parameters, self._name, list(self._selector.checkedNodes()))
