"""Tables and charts of an assessment, as nodes."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

# Those of the report: told apart with any kind of colour vision on a white ground, the grey one for "before".
_COLORS = ("#5f6a75", "#0072b2", "#c25400", "#008663", "#a8508a", "#7a6a00")
_GOLDEN_RATIO = 0.618034
_BLACK = (0.0, 0.0, 0.0)
# Errors before the registration that are larger than the others by this factor would squeeze them to a line.
_OFF_SCALE = 3.0


def add_table_node(scene: Any, columns: Mapping[str, Sequence[Any]], *, name: str) -> Any:
    """Add a table to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    columns : mapping of str to sequence
        Values of each column, all of one length. A column of numbers and None becomes one of doubles with NaN for None;
        any other one becomes texts, empty for None.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLTableNode
        Locked: what was measured is not to be edited by accident.
    """
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
    # Otherwise the names are shown as a row of the table.
    node.SetUseColumnTitleAsColumnHeader(True)
    for key, values in columns.items():
        column = _column(key, values)
        node.AddColumn(column)
        if column.IsNumeric():
            # What a missing number is when the table is loaded from its file.
            node.SetColumnNullValue(key, "nan")
    node.SetLocked(True)
    return node


def _column(name: str, values: Sequence[Any]) -> Any:
    if any(value is not None for value in values) and all(_is_number(value) for value in values if value is not None):
        column = numpy_to_vtk(np.array([np.nan if value is None else value for value in values], float), deep=True)
    else:
        column = vtk.vtkStringArray()
        for value in values:
            column.InsertNextValue("" if value is None else str(value))
    column.SetName(name)
    return column


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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


# Room for the legend, which Slicer puts into the upper right corner: a share of the height, and one for each line.
_HEADROOM, _HEADROOM_A_LINE = 1.15, 0.1


def quality_charts(content: Mapping[str, Any]) -> dict[str, Chart]:
    """Make the charts of the errors at targets; none without targets.

    Parameters
    ----------
    content : mapping
        From :func:`~MultimodalRegistrationLib.assess.content.quality_content`.

    Returns
    -------
    dict of str to Chart
        By name: errors at each target, the share of targets within each error, and Bland and Altman's plot of each pair
        of transforms.
    """
    measured = [
        (number, one)
        for number, one in enumerate((content["before"], *content["methods"]))
        if one["targets"] is not None
    ]
    if not measured:
        return {}
    top, tolerance_mm = _top(content, len(measured) + 1), content["settings"]["tolerance_mm"]
    series = [(_legend(one, top), color_of(number), one["targets"]["points"]) for number, one in measured]
    charts = {
        "errors at targets": _errors(series, tolerance_mm, top),
        "share of targets": _shares(series, tolerance_mm, top),
    }
    labels = {one["name"]: [point["label"] for point in one["targets"]["points"]] for _, one in measured}
    for one in content["comparisons"]:
        if one["targets"] is not None:
            charts[f"{one['a']} against {one['b']}"] = _bland_altman(one, labels[one["a"]])
    return charts


_Series = Sequence[tuple[str, tuple[float, float, float], Sequence[Mapping[str, Any]]]]


def _legend(one: Mapping[str, Any], top: float) -> str:
    """What the legend calls a transform; where its errors are beyond the axis it says how large they are."""
    errors_mm = [point["error_mm"] for point in one["targets"]["points"]]
    beyond = [mm for mm in errors_mm if mm > top]
    if not beyond:
        return str(one["name"])
    return f"{one['name']} (off the axis, up to {max(beyond):.0f} mm)"


def _top(content: Mapping[str, Any], lines: int) -> float:
    """Where the axis of errors ends, mm; above the errors, the legend has room for its lines."""
    after = [one["targets"]["max_mm"] for one in content["methods"] if one["targets"] is not None]
    before = [] if content["before"]["targets"] is None else [content["before"]["targets"]["max_mm"]]
    wanted = max([*(after or before), content["settings"]["tolerance_mm"]])
    wanted = max([wanted, *(mm for mm in before if mm <= _OFF_SCALE * wanted)])
    return (_HEADROOM + _HEADROOM_A_LINE * lines) * float(wanted)


def _errors(series: _Series, tolerance_mm: float, top: float) -> Chart:
    # By place: labels may occur twice, and points be left out for some transforms.
    places = [[tuple(point["fixed_ras"]) for point in points] for *_, points in series]
    numbers = {place: n for n, place in enumerate(dict.fromkeys(itertools.chain(*places)), start=1)}
    ends = (0.5, len(numbers) + 0.5)
    lines = [
        Line(
            name,
            [numbers[place] for place in own],
            [point["error_mm"] for point in points],
            color,
            labels=[point["label"] for point in points],
        )
        for (name, color, points), own in zip(series, places, strict=True)
    ]
    limit = Line(_tolerance_words(tolerance_mm), ends, (tolerance_mm, tolerance_mm), _BLACK, dashed=True)
    return Chart("Error at each target", "Target (number)", "Error (mm)", (*lines, limit), ends, (0.0, top))


def _shares(series: _Series, tolerance_mm: float, top: float) -> Chart:
    lines = []
    for name, color, points in series:
        ordered = np.sort([point["error_mm"] for point in points])
        # A step at each error: it is on the left with the share below it, and with the share up to it.
        share = 100 * np.arange(len(ordered) + 1) / len(ordered)
        x = np.concatenate([[0.0], np.repeat(ordered, 2), [max(top, float(ordered[-1]))]])
        lines.append(Line(name, x.tolist(), np.repeat(share, 2).tolist(), color))
    limit = Line(_tolerance_words(tolerance_mm), (tolerance_mm, tolerance_mm), (0.0, 100.0), _BLACK, dashed=True)
    return Chart(
        "Share of targets with an error up to a value",
        "Error (mm)",
        "Share of targets (%)",
        (*lines, limit),
        (0.0, top),
        (0.0, 100.0),
    )


def _tolerance_words(tolerance_mm: float) -> str:
    return f"tolerance {tolerance_mm:g} mm"


def _bland_altman(one: Mapping[str, Any], labels: Sequence[str]) -> Chart:
    """Differences against means, with their mean and the limits of agreement (doi:10.1016/S0140-6736(86)90837-8)."""
    plot = one["targets"]["bland_altman"]
    means, differences = np.array(plot["means_mm"]), np.array(plot["differences_mm"])
    spread = max(float(np.ptp(means)), 0.1)
    ends = (float(means.min()) - 0.1 * spread, float(means.max()) + 0.1 * spread)
    points = Line("targets", plot["means_mm"], plot["differences_mm"], color_of(1), labels=labels)
    levels = {"mean difference": plot["bias_mm"]}
    if plot["limits_mm"] is not None:
        levels.update(zip(("lower limit of agreement", "upper limit of agreement"), plot["limits_mm"], strict=True))
    lines = [
        Line(f"{name} {mm:.2f} mm", ends, (mm, mm), color_of(2), dashed=name != "mean difference")
        for name, mm in levels.items()
    ]
    low, high = (float(end(np.append(differences, list(levels.values())))) for end in (np.min, np.max))
    span = max(high - low, 0.1)
    return Chart(
        f"{one['a']} minus {one['b']}",
        "Mean of both errors (mm)",
        "Difference of the errors (mm)",
        (points, *lines),
        ends,
        (low - 0.1 * span, high + (_HEADROOM + _HEADROOM_A_LINE * (len(lines) + 1)) * span - span),
    )
