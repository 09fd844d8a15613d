"""A region in the slice views, where the application has some: without a main window, nothing is done."""

from __future__ import annotations

from typing import Any

from .slice_views import SliceViews

__all__ = ["RegionViews"]


class RegionViews:
    """Shows where a region lies, and puts back what the views showed."""

    def __init__(self) -> None:
        self._views = SliceViews()

    def show(self, volume: Any, roi: Any) -> None:
        """Show a volume in all slice views, in its own planes, through the middle of a ROI.

        Parameters
        ----------
        volume : vtkMRMLVolumeNode
            Becomes the background.
        roi : vtkMRMLMarkupsROINode
            Not changed.
        """
        if not self._views.available:
            return
        center = [0.0, 0.0, 0.0]
        roi.GetCenterWorld(center)
        self._views.show(volume, None, 0.0)
        self._views.arrange(volume, center)

    def restore(self) -> None:
        """Show what was shown before."""
        self._views.restore()
