"""Where to look at results: points, charts and maps in the views of the application; nothing without a layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer

__all__ = ["center_views_on", "show_chart"]


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
