"""The slice views, where the application has some: without a main window, everything here does nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk

__all__ = ["SliceViews", "slice_composite_nodes", "views_cross_at"]

# Smallest singular value of the normals of planes whose crossing is worth the name; 0 where two are parallel.
_DIFFERENT = 0.05


def slice_composite_nodes() -> list[Any]:
    """The nodes that say what the slice views of the layout show; empty without a layout."""
    layout = slicer.app.layoutManager()
    if layout is None:
        return []
    return [layout.sliceWidget(name).mrmlSliceCompositeNode() for name in layout.sliceViewNames()]


def views_cross_at() -> list[float] | None:
    """Where the planes of the slice views that the user sees cross.

    Returns
    -------
    list of 3 float, or None
        World coordinates, RAS, mm; None without three views of different directions. Of parallel ones the first counts.
    """
    layout = slicer.app.layoutManager()
    if layout is None:
        return None
    normals, distances = np.empty((0, 3)), []
    for name in layout.sliceViewNames():
        node = layout.sliceWidget(name).mrmlSliceNode()
        # The names are also those of views of layouts that were left.
        if not node.IsMappedInLayout():
            continue
        plane = matrix_from_vtk(node.GetSliceToRAS())
        more = np.vstack([normals, plane[:3, 2]])
        if np.linalg.svd(more, compute_uv=False).min() > _DIFFERENT:
            normals = more
            distances.append(plane[:3, 2] @ plane[:3, 3])
        if len(distances) == 3:
            crossing: list[float] = np.linalg.solve(normals, distances).tolist()
            return crossing
    return None


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
