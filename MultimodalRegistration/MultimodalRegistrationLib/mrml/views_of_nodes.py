"""Which views show a node; what the user had is given back."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

__all__ = ["ViewsOfNodes", "leave_views"]


class ViewsOfNodes:
    """Shows nodes in some views only."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, tuple[str, ...]]] = []

    def show_only_in(self, shown: Sequence[tuple[Any, Sequence[str]]]) -> None:
        """Show nodes in some views only, and give back what the user had to all that are not among them.

        Parameters
        ----------
        shown : sequence of (vtkMRMLDisplayableNode, sequence of str)
            Nodes, and the identifiers of the view nodes that show each.
        """
        wanted = [(display, tuple(views)) for node, views in shown for display in _display_nodes(node)]
        kept = [(display, views) for display, views in self._before if any(display is one for one, _ in wanted)]
        self._give_back([entry for entry in self._before if not any(entry[0] is one for one, _ in kept)])
        for display, views in wanted:
            if not any(display is one for one, _ in kept):
                kept.append((display, tuple(display.GetViewNodeIDs())))
            if tuple(display.GetViewNodeIDs()) != views:
                display.SetViewNodeIDs(views)
        self._before = kept

    def give_back(self) -> None:
        """Show all of them where they were shown before."""
        before, self._before = self._before, []
        self._give_back(before)

    @staticmethod
    def _give_back(before: Sequence[tuple[Any, tuple[str, ...]]]) -> None:
        for display, views in before:
            if display.GetScene() is not None:
                display.SetViewNodeIDs(views)


def leave_views(node: Any, view_ids: Container[str]) -> None:
    """Show a node in these views no more; one that was shown in no others is shown in all."""
    for display in _display_nodes(node):
        views = tuple(display.GetViewNodeIDs())
        others = [view for view in views if view not in view_ids]
        if len(others) != len(views):
            display.SetViewNodeIDs(others)


def _display_nodes(node: Any) -> list[Any]:
    nodes = (node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes()))
    return [display for display in nodes if display is not None]
