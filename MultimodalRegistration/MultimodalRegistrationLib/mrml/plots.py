"""Charts of Slicer: a table, series of its columns, and the chart that shows them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .tables import add_table_node

__all__ = ["Chart", "Line", "add_chart", "color_of"]

# Those of the report: told apart with any kind of colour vision on a white ground, the grey one for "before".
_COLORS = ("#5f6a75", "#0072b2", "#c25400", "#008663", "#a8508a", "#7a6a00")
_GOLDEN_RATIO = 0.618034


@dataclass(frozen=True)
class Line:
    """One series of a chart.

    Parameters
    ----------
    name : str
        For the legend.
    x, y : sequence of float
        Coordinates, of one length.
    color : tuple of 3 float
        Red, green and blue, 0 to 1.
    labels : sequence of str, optional
        What the points are, shown under the mouse: points without a line. Without labels it is a line without points.
    dashed : bool
        Of a line.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: tuple[float, float, float]
    labels: Sequence[str] | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """What a chart shows.

    Parameters
    ----------
    title, x_title, y_title : str
        With units.
    lines : tuple of Line
        In the order of the legend.
    x_range, y_range : tuple of 2 float, optional
        Ends of the axes; as the lines need by default.
    """

    title: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None


def color_of(number: int) -> tuple[float, float, float]:
    """The colour of a transform, red, green and blue, 0 to 1; number 0 is what was before."""
    if number < len(_COLORS):
        red, green, blue = (int(_COLORS[number][i : i + 2], 16) / 255 for i in (1, 3, 5))
        return red, green, blue
    return colorsys.hsv_to_rgb(number * _GOLDEN_RATIO % 1.0, 0.8, 0.6)


def add_chart(scene: Any, chart: Chart, *, name: str) -> tuple[Any, list[Any]]:
    """Add a chart to a scene, ready to be shown.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the nodes.
    chart : Chart
        What it shows.
    name : str
        Name of the chart and of its tables.

    Returns
    -------
    node : vtkMRMLPlotChartNode
        The chart.
    others : list
        A vtkMRMLTableNode and a vtkMRMLPlotSeriesNode for each line.
    """
    node = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", scene.GenerateUniqueName(name))
    node.SetTitle(chart.title)
    node.SetXAxisTitle(chart.x_title)
    node.SetYAxisTitle(chart.y_title)
    if chart.x_range is not None:
        node.SetXAxisRangeAuto(False)
        node.SetXAxisRange(*chart.x_range)
    if chart.y_range is not None:
        node.SetYAxisRangeAuto(False)
        node.SetYAxisRange(*chart.y_range)
    others = []
    for line in chart.lines:
        table, series = _add_line(scene, line, chart, name=name)
        node.AddAndObservePlotSeriesNodeID(series.GetID())
        others += [table, series]
    return node, others


def _add_line(scene: Any, line: Line, chart: Chart, *, name: str) -> tuple[Any, Any]:
    columns: dict[str, Sequence[Any]] = {chart.x_title: line.x, chart.y_title: line.y}
    if line.labels is not None:
        columns["Name"] = line.labels
    table = add_table_node(scene, columns, name=f"{name}, {line.name}")
    # The legend shows the name of the node; it need not be unique.
    series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", line.name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName(chart.x_title)
    series.SetYColumnName(chart.y_title)
    series.SetColor(*line.color)
    if line.labels is not None:
        series.SetLabelColumnName("Name")
        series.SetLineStyle(series.LineStyleNone)
        series.SetMarkerStyle(series.MarkerStyleCircle)
    else:
        series.SetLineStyle(series.LineStyleDash if line.dashed else series.LineStyleSolid)
        series.SetMarkerStyle(series.MarkerStyleNone)
    return table, series
