"""A layout with the fixed volume in three slice views above and the moving one in three below.

Where the application has no layout, nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..mrml.linked_rows import LinkedRows, Side
from .slice_views import turn_to_volume

__all__ = ["ROW_VIEW_IDS", "TwoRows"]

# Slicer's own layouts have numbers below 100, and its view groups small ones.
_LAYOUT = 7140
_GROUPS: dict[Side, int] = {"fixed": 7141, "moving": 7142}
_TAGS: dict[Side, str] = {"fixed": "FixedLandmarks", "moving": "MovingLandmarks"}
# Orientation, letter, and the colour that Slicer gives to this orientation.
_COLUMNS = (("Axial", "A", "#F34A33"), ("Sagittal", "S", "#EDD54C"), ("Coronal", "C", "#6EB04B"))

# Slicer makes them of the class and the tag.
ROW_VIEW_IDS = tuple(f"vtkMRMLSliceNode{tag}{orientation}" for tag in _TAGS.values() for orientation, _, _ in _COLUMNS)


class TwoRows(VTKObservationMixin):  # type: ignore[misc]
    """Shows the two rows, and gives back the layout that was there.

    The other views are not touched. Those of the rows stay when the layout is left, as Slicer leaves the views of all
    its layouts: it keeps their widgets for the next time. They are empty then, and are not saved with the scene.

    Parameters
    ----------
    on_left : callable
        Called without arguments after the user chose another layout.
    """

    def __init__(self, on_left: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._on_left = on_left
        self._layout_before = 0
        self.link: LinkedRows | None = None

    @property
    def available(self) -> bool:
        """Whether there is a layout at all."""
        return slicer.app.layoutManager() is not None

    @property
    def shown(self) -> bool:
        """Whether the rows are shown."""
        return self.link is not None

    def show(self, fixed_node: Any, moving_node: Any) -> None:
        """Show each volume in its own row, turned to its planes and fitted.

        Parameters
        ----------
        fixed_node, moving_node : vtkMRMLVolumeNode
            Not changed.
        """
        if not self.available:
            return
        if self.link is None:
            self._choose_layout()
        else:
            self.link.stop()
        volumes: dict[Side, Any] = {"fixed": fixed_node, "moving": moving_node}
        for side, volume in volumes.items():
            for widget in _widgets(side):
                layers, plane = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
                for node in (layers, plane):
                    node.SetSaveWithScene(False)
                plane.SetViewGroup(_GROUPS[side])
                layers.SetBackgroundVolumeID(volume.GetID())
                layers.SetForegroundVolumeID(None)
                layers.SetLabelVolumeID(None)
                layers.SetLinkedControl(True)
                turn_to_volume(widget, volume)
        self.link = LinkedRows({side: self.slice_nodes(side) for side in volumes})
        self.fit()

    def fit(self) -> None:
        """Show the whole of each volume, all at one zoom, and from its middle."""
        if self.link is None:
            return
        with self.link.unlinked():
            for side in _TAGS:
                for widget in _widgets(side):
                    widget.sliceLogic().FitSliceToBackground()
                    widget.sliceLogic().SnapSliceOffsetToIJK()
        self.link.share_zoom()
        self.link.follow("fixed")

    def hide(self) -> None:
        """Give back the layout, and empty the views of the rows."""
        if self.link is None:
            return
        self.link.stop()
        self.link = None
        self.removeObservers()
        for side in _TAGS:
            for widget in _widgets(side):
                widget.mrmlSliceCompositeNode().SetBackgroundVolumeID(None)
        node = _layout_node()
        if node.GetViewArrangement() == _LAYOUT:
            node.SetViewArrangement(self._layout_before)
        # An empty description takes the layout out of the list.
        node.SetLayoutDescription(_LAYOUT, "")
        node.SetSaveWithScene(True)

    def slice_nodes(self, side: Side) -> Sequence[Any]:
        """The nodes of a row, vtkMRMLSliceNode, from left to right; empty before it was first shown."""
        return [widget.mrmlSliceNode() for widget in _widgets(side)]

    def _choose_layout(self) -> None:
        node = _layout_node()
        self._layout_before = node.GetViewArrangement()
        # A saved scene may be loaded where nobody knows this layout.
        node.SetSaveWithScene(False)
        node.AddLayoutDescription(_LAYOUT, _description())
        node.SetViewArrangement(_LAYOUT)
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._layout_changed)

    def _layout_changed(self, node: Any, _event: str) -> None:
        if node.GetViewArrangement() != _LAYOUT:
            self._on_left()


def _layout_node() -> Any:
    return slicer.app.layoutManager().layoutLogic().GetLayoutNode()


def _widgets(side: Side) -> list[Any]:
    layout = slicer.app.layoutManager()
    widgets = (layout.sliceWidget(f"{_TAGS[side]}{orientation}") for orientation, _, _ in _COLUMNS)
    return [widget for widget in widgets if widget is not None]


def _description() -> str:
    """The layout as Slicer's XML."""
    rows = "".join(
        '<item><layout type="horizontal">'
        + "".join(
            f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}{orientation}">'
            f'<property name="orientation" action="default">{orientation}</property>'
            f'<property name="viewlabel" action="default">{side[0].upper()}{letter}</property>'
            f'<property name="viewcolor" action="default">{color}</property>'
            f'<property name="viewgroup" action="default">{_GROUPS[side]}</property>'
            "</view></item>"
            for orientation, letter, color in _COLUMNS
        )
        + "</layout></item>"
        for side, tag in _TAGS.items()
    )
    return f'<layout type="vertical" split="true">{rows}</layout>'
