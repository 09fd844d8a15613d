"""The slice views, where the application has some: without a main window, everything here does nothing."""

from __future__ import annotations

from typing import Any

import slicer

__all__ = ["SliceViews", "slice_composite_nodes"]


def slice_composite_nodes() -> list[Any]:
    """The nodes that say what the slice views of the layout show; empty without a layout."""
    layout = slicer.app.layoutManager()
    if layout is None:
        return []
    return [layout.sliceWidget(name).mrmlSliceCompositeNode() for name in layout.sliceViewNames()]


class SliceViews:
    """Shows two volumes in the slice views, and puts back what was there."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[str | None, str | None, float]] = {}

    @property
    def available(self) -> bool:
        """Whether there are views at all."""
        return bool(slice_composite_nodes())

    def show(self, background: Any, foreground: Any, opacity: float) -> None:
        """Show one volume over another in all views.

        Parameters
        ----------
        background, foreground : vtkMRMLVolumeNode
            The volumes.
        opacity : float
            Of the foreground, 0 to 1.
        """
        for node in slice_composite_nodes():
            before = node.GetBackgroundVolumeID(), node.GetForegroundVolumeID(), node.GetForegroundOpacity()
            self._before.setdefault(node.GetID(), before)
            node.SetBackgroundVolumeID(background.GetID())
            node.SetForegroundVolumeID(foreground.GetID())
            node.SetForegroundOpacity(opacity)

    def fade(self, opacity: float) -> None:
        """Set the opacity of the foreground, 0 to 1."""
        for node in slice_composite_nodes():
            node.SetForegroundOpacity(opacity)

    def restore(self) -> None:
        """Show what was shown before."""
        for node in slice_composite_nodes():
            if node.GetID() in self._before:
                background, foreground, opacity = self._before[node.GetID()]
                node.SetBackgroundVolumeID(background)
                node.SetForegroundVolumeID(foreground)
                node.SetForegroundOpacity(opacity)
        self._before.clear()
