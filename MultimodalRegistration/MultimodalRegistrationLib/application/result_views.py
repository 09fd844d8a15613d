"""Where to look at results: points, charts and maps in the views of the application; nothing without a layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer

__all__ = ["ChartView", "add_color_legend", "center_views_on"]


def add_color_legend(volume: Any) -> Any:
    """Add a scale of the colours of a volume to the views that show it.

    Returns
    -------
    vtkMRMLColorLegendDisplayNode
        One more display node of the volume, not saved with the scene: remove it from the scene.
    """
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(volume)
    # The name of the volume is in the corner of each view; as a title, it would lie across the picture.
    legend.SetTitleText("")
    legend.SetSaveWithScene(False)
    return legend


def center_views_on(point_ras: Sequence[float]) -> None:
    """Move all slice views and the cross to a point.

    Parameters
    ----------
    point_ras : sequence of 3 float
        World coordinates, mm.
    """
    logic = slicer.modules.markups.logic()
    # Every group of views; -1 stands for all.
    logic.JumpSlicesToLocation(*point_ras, True, -1)


class ChartView:
    """Brings charts into sight, and puts back the layout and the charts that were there."""

    def __init__(self) -> None:
        self._layout: int | None = None
        self._own_layout: int | None = None
        self._charts: dict[str, str | None] = {}
        self._active: str | None = None

    def show(self, chart_node: Any) -> None:
        """Show a chart, in a layout with a view for it."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if self._layout is None or manager.layout != self._own_layout:
            self._layout = manager.layout
            self._active = _selection().GetActivePlotChartID()
            self._charts = {view.GetID(): view.GetPlotChartNodeID() for view in _plot_views()}
        slicer.modules.plots.logic().ShowChartInLayout(chart_node)
        self._own_layout = manager.layout

    def restore(self) -> None:
        """Show what was shown before, where the layout is still the one with the chart."""
        manager = slicer.app.layoutManager()
        if manager is None or self._layout is None or manager.layout != self._own_layout:
            return
        layout, self._layout = self._layout, None
        _selection().SetReferenceActivePlotChartID(self._active)
        for view in _plot_views():
            view.SetPlotChartNodeID(self._charts.get(view.GetID()))
        manager.setLayout(layout)


def _selection() -> Any:
    return slicer.app.applicationLogic().GetSelectionNode()


def _plot_views() -> Any:
    return slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
