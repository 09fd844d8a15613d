"""Volumes in the slice views, where the application has some: without a main window, nothing is done."""

from __future__ import annotations

from typing import Any

import slicer

__all__ = ["show_region"]


def show_region(volume: Any, roi: Any) -> None:
    """Show a volume in all slice views, through the middle of a ROI.

    Parameters
    ----------
    volume : vtkMRMLVolumeNode
        Becomes the background.
    roi : vtkMRMLMarkupsROINode
        Not changed.
    """
    if slicer.app.layoutManager() is None:
        return
    slicer.util.setSliceViewerLayers(background=volume, foreground=None, fit=True, rotateToVolumePlane=True)
    center = [0.0, 0.0, 0.0]
    roi.GetCenterWorld(center)
    slicer.vtkMRMLSliceNode.JumpAllSlices(roi.GetScene(), *center)
