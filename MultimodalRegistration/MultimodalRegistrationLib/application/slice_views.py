"""The slice views, where the application has some: without a main window, everything here does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from ..mrml.views import planes_cross_at

__all__ = ["SliceViews", "shown_slice_nodes", "slice_composite_nodes", "turn_to_volume", "views_cross_at"]


def _slice_widgets() -> list[Any]:
    layout = slicer.app.layoutManager()
    return [] if layout is None else [layout.sliceWidget(name) for name in layout.sliceViewNames()]


def slice_composite_nodes() -> list[Any]:
    """The nodes that say what the slice views of the layout show; empty without a layout."""
    return [widget.mrmlSliceCompositeNode() for widget in _slice_widgets()]


def shown_slice_nodes() -> list[Any]:
    """The nodes of the slice views that the user sees; empty without a layout."""
    # The names are also those of views of layouts that were left.
    nodes = [widget.mrmlSliceNode() for widget in _slice_widgets()]
    return [node for node in nodes if node.IsMappedInLayout()]


def views_cross_at() -> list[float] | None:
    """Where the planes of the slice views that the user sees cross.

    Returns
    -------
    list of 3 float, or None
        World coordinates, RAS, mm; None without three views of different directions. Of parallel ones the first counts.
    """
    return planes_cross_at(shown_slice_nodes())


def turn_to_volume(widget: Any, volume: Any) -> None:
    """Turn a slice view to the planes of a volume, and fit it to what it shows.

    Parameters
    ----------
    widget : qMRMLSliceWidget
        Shows the volume as its background.
    volume : vtkMRMLVolumeNode
        Under a transform that is not linear, the view keeps its usual direction.
    """
    plane, parent = widget.mrmlSliceNode(), volume.GetParentTransformNode()
    # From its usual direction, and not from one that a view was turned to when another volume was loaded.
    usual = plane.GetDefaultOrientation()
    if usual and plane.HasSliceOrientationPreset(usual):
        plane.SetOrientation(usual)
    if parent is None or parent.IsTransformToWorldLinear():
        plane.RotateToVolumePlane(volume)
    widget.sliceLogic().FitSliceToBackground()


@dataclass(frozen=True)
class _Kept:
    """What a view showed."""

    background: str | None
    foreground: str | None
    label: str | None
    foreground_opacity: float
    label_opacity: float
    linked: int
    outline: int
    slice_to_ras: Any
    field_of_view: tuple[float, ...]
    pixels: tuple[int, ...]
    origin: tuple[float, ...]


class SliceViews:
    """Shows two volumes in the slice views, and puts back what was there: layers, planes, zoom and links."""

    def __init__(self) -> None:
        self._before: dict[str, _Kept] = {}

    @property
    def available(self) -> bool:
        """Whether there are views at all."""
        return bool(_slice_widgets())

    def show(self, background: Any, foreground: Any, opacity: float, *, outlines: Any = None) -> None:
        """Show one volume, over another or alone, in all views.

        Parameters
        ----------
        background : vtkMRMLVolumeNode
            The volume below.
        foreground : vtkMRMLVolumeNode or None
            The volume above.
        opacity : float
            Of the foreground, 0 to 1.
        outlines : vtkMRMLLabelMapVolumeNode, optional
            Its outlines are drawn over both.
        """
        for widget in _slice_widgets():
            layers, plane = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
            kept = self._before.setdefault(layers.GetID(), _look_at(layers, plane))
            layers.SetBackgroundVolumeID(background.GetID())
            layers.SetForegroundVolumeID(None if foreground is None else foreground.GetID())
            layers.SetForegroundOpacity(opacity)
            layers.SetLabelVolumeID(kept.label if outlines is None else outlines.GetID())
            layers.SetLabelOpacity(kept.label_opacity if outlines is None else 1.0)
            plane.SetUseLabelOutline(kept.outline if outlines is None else True)

    def arrange(self, volume: Any, point_ras: Sequence[float]) -> None:
        """Turn all views to the planes of a volume, fit them to it, link them and let them pass through a point.

        Parameters
        ----------
        volume : vtkMRMLVolumeNode
            That :meth:`show` was given as the background.
        point_ras : sequence of 3 float
            World coordinates, mm.
        """
        for widget in _slice_widgets():
            turn_to_volume(widget, volume)
            plane, logic = widget.mrmlSliceNode(), widget.sliceLogic()
            plane.JumpSliceByOffsetting(*point_ras)
            logic.SnapSliceOffsetToIJK()
            widget.mrmlSliceCompositeNode().SetLinkedControl(True)

    def fade(self, opacity: float) -> None:
        """Set the opacity of the foreground, 0 to 1."""
        for node in slice_composite_nodes():
            node.SetForegroundOpacity(opacity)

    def restore(self) -> None:
        """Show what was shown before."""
        for widget in _slice_widgets():
            layers, plane = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
            kept = self._before.get(layers.GetID())
            if kept is None:
                continue
            layers.SetBackgroundVolumeID(kept.background)
            layers.SetForegroundVolumeID(kept.foreground)
            layers.SetLabelVolumeID(kept.label)
            layers.SetForegroundOpacity(kept.foreground_opacity)
            layers.SetLabelOpacity(kept.label_opacity)
            layers.SetLinkedControl(kept.linked)
            plane.SetUseLabelOutline(kept.outline)
            plane.GetSliceToRAS().DeepCopy(kept.slice_to_ras)
            plane.UpdateMatrices()
            x_mm, y_mm, z_mm = kept.field_of_view
            across, down = plane.GetDimensions()[:2]
            if (across, down) != kept.pixels[:2] and across > 0:
                # The view has another shape now: pixels stay square.
                y_mm = x_mm * down / across
            plane.SetFieldOfView(x_mm, y_mm, z_mm)
            plane.SetXYZOrigin(*kept.origin)
        self._before.clear()


def _look_at(layers: Any, plane: Any) -> _Kept:
    slice_to_ras = vtk.vtkMatrix4x4()
    slice_to_ras.DeepCopy(plane.GetSliceToRAS())
    return _Kept(
        layers.GetBackgroundVolumeID(),
        layers.GetForegroundVolumeID(),
        layers.GetLabelVolumeID(),
        layers.GetForegroundOpacity(),
        layers.GetLabelOpacity(),
        layers.GetLinkedControl(),
        plane.GetUseLabelOutline(),
        slice_to_ras,
        tuple(plane.GetFieldOfView()),
        tuple(plane.GetDimensions()),
        tuple(plane.GetXYZOrigin()),
    )
