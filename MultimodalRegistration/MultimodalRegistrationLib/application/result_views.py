"""Where to look at results: points, charts and maps in the views of the application; nothing without a layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer

__all__ = ["add_color_legend", "center_views_on", "show_chart"]


def add_color_legend(volume: Any, title: str) -> Any:
    """Add a scale of the colours of a volume to the views that show it.

    Returns
    -------
    vtkMRMLColorLegendDisplayNode
        One more display node of the volume, not saved with the scene: remove it from the scene.
    """
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(volume)
    legend.SetTitleText(title)
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


def show_chart(chart_node: Any) -> bool:
    """Show a chart in the layout; False where there is none."""
    if slicer.app.layoutManager() is None:
        return False
    slicer.modules.plots.logic().ShowChartInLayout(chart_node)
    return True
