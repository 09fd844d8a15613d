"""An assessment in a scene: tables, charts, markups and maps that can be removed together."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..assess.content import columns_of, quality_tables
from ..assess.images.information import NOTHING
from ..core.frames import flip_points_lps_ras
from ..core.points import LandmarkList
from ..core.volume import Volume
from .charts import add_chart, add_table_node, quality_charts
from .landmarks import active_list_kept, add_landmark_node
from .volumes import fill_volume_node

# Files of colours that the application loads.
_SEQUENTIAL = "vtkMRMLColorTableNodeFileViridis.txt"
_DIVERGING = "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"
_PLAIN = "vtkMRMLColorTableNodeGrey"
_TOP_PERCENTILE = 99.0
_VALUES_LOOKED_AT = 100_000
_GREEN = (0.1, 0.6, 0.3)
_LABELLED = 3
_RED = (0.85, 0.1, 0.1)
RUN_ATTRIBUTE = "MultimodalRegistration.QualityRun"
# Everything that was measured, as JSON, in the table of methods.
CONTENT_ATTRIBUTE = "MultimodalRegistration.Quality"
# What a map shows: its name among the maps.
MAP_ATTRIBUTE = "MultimodalRegistration.QualityMap"
# Of the table of methods: the segmentation of the moving volume.
SEGMENTATION_ROLE = "MultimodalRegistration.MovingSegmentation"


def add_map_node(scene: Any, volume: Volume, kind: str, *, name: str) -> Any:
    """Add a map to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node and its display node.
    volume : Volume
        World coordinates.
    kind : str
        Its name in :func:`~MultimodalRegistrationLib.assess.content.quality_maps`.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLScalarVolumeNode
        A Jacobian determinant of 1 is in the middle of the colours; other maps begin at 0. What was not measured is
        transparent.
    """
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    # With a window before there are voxels: to find one, a display node takes a look at each.
    display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.SetAutoWindowLevel(False)
    values = volume.voxels.ravel()
    values = values[:: max(1, values.size // _VALUES_LOOKED_AT)]
    values = values[np.isfinite(values)]
    if kind == "jacobian":
        half = max(float(np.percentile(np.abs(values - 1), _TOP_PERCENTILE)), 0.01) if values.size else 1.0
        low, high, colors = 1 - half, 1 + half, _DIVERGING
    else:
        measured = values[values != NOTHING]
        top = max(float(np.percentile(measured, _TOP_PERCENTILE)), 1e-6) if measured.size else 1.0
        low, high, colors = 0.0, top, _SEQUENTIAL
        display.SetAutoThreshold(False)
        display.SetThreshold(0.0, float(np.finfo(np.float32).max))
        display.SetApplyThreshold(True)
    display.SetWindowLevelMinMax(low, high)
    for identifier in (colors, _PLAIN):
        if scene.GetNodeByID(identifier) is not None:
            display.SetAndObserveColorNodeID(identifier)
            break
    node.SetAndObserveDisplayNodeID(display.GetID())
    fill_volume_node(node, volume)
    return node


def add_error_points(scene: Any, targets: Mapping[str, Any], *, name: str) -> Any:
    """Add a point at each target, with the size of the error in its description and, at the worst three, its label.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node and its display node.
    targets : mapping
        Of one transform, in the content.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLMarkupsFiducialNode
        Locked; where the targets are in the fixed volume.
    """
    words = [f"{point['label']}: {point['error_mm']:.1f} mm" for point in targets["points"]]
    worst = sorted(range(len(words)), key=lambda number: -targets["points"][number]["error_mm"])[:_LABELLED]
    fixed_lps = flip_points_lps_ras([point["fixed_ras"] for point in targets["points"]])
    node = add_landmark_node(scene, LandmarkList.of_points(name, fixed_lps, words), name=name)
    for number, description in enumerate(words):
        node.SetNthControlPointDescription(number, description)
        if number not in worst:
            # Labels of all targets would cover the 3D view.
            node.SetNthControlPointLabel(number, "")
    node.SetLocked(True)
    # Slicer shows selected points in this colour.
    node.GetDisplayNode().SetSelectedColor(*_GREEN)
    return node


def add_error_lines(scene: Any, targets: Mapping[str, Any], *, name: str) -> list[Any]:
    """Add a line for each error above the tolerance, from where the target belongs to where it lands.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the nodes and their display nodes.
    targets : mapping
        Of one transform, in the content; errors within its tolerance get no line.
    name : str
        First part of the names of the nodes.

    Returns
    -------
    list of vtkMRMLMarkupsLineNode
        Locked, without labels.
    """
    nodes = []
    for point in targets["points"]:
        if point["error_mm"] <= targets["tolerance_mm"]:
            continue
        belongs = point["fixed_ras"]
        lands = [place + error for place, error in zip(belongs, point["error_ras_mm"], strict=True)]
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", scene.GenerateUniqueName(f"{name}{point['label']}"))
        node.CreateDefaultDisplayNodes()
        for point_ras, label in ((belongs, "belongs"), (lands, "lands")):
            node.AddControlPoint(*point_ras, label)
        node.SetLocked(True)
        display = node.GetDisplayNode()
        display.SetSelectedColor(*_RED)
        display.SetPointLabelsVisibility(False)
        # The name and the length, which are those of the target.
        display.SetPropertiesLabelVisibility(False)
        nodes.append(node)
    return nodes


@dataclass(frozen=True)
class QualityNodes:
    """Nodes of one assessment.

    Parameters
    ----------
    run_id : str
        Value of :data:`RUN_ATTRIBUTE` of all of them.
    tables : dict of str to vtkMRMLTableNode
        By name: methods, and targets, structures and comparisons where there are any.
    charts : dict of str to vtkMRMLPlotChartNode
        By name.
    points : vtkMRMLMarkupsFiducialNode or None
        Targets with the errors of the best transform; None where it has none.
    lines : tuple of vtkMRMLMarkupsLineNode
        Its errors above the tolerance.
    maps : dict of str to vtkMRMLScalarVolumeNode
        By name.
    """

    run_id: str
    tables: dict[str, Any]
    charts: dict[str, Any]
    points: Any
    lines: tuple[Any, ...]
    maps: dict[str, Any]


def quality_node_steps(
    scene: Any,
    content: Mapping[str, Any],
    maps: Mapping[str, Volume],
    fixed_node: Any,
    moving_node: Any,
    *,
    run_id: str,
) -> Generator[float, None, QualityNodes]:
    """Add an assessment to a scene, in the world, in steps that take some milliseconds each.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the nodes; nothing else in it changes.
    content : mapping
        What was measured, from :func:`~MultimodalRegistrationLib.assess.content.quality_content`.
    maps : mapping of str to Volume
        From :func:`~MultimodalRegistrationLib.assess.content.quality_maps`.
    fixed_node, moving_node : vtkMRMLVolumeNode
        The volumes. The nodes are named after the moving one; the table of methods references both.
    run_id : str
        By which :func:`remove_quality_nodes` removes what was added so far, after any step.

    Yields
    ------
    float
        How much is done, 0 to 1.

    Returns
    -------
    QualityNodes
        What was added, to be removed with :func:`remove_quality_nodes`.
    """
    prefix = f"{moving_node.GetName()}: "
    rows_of, charts_of = quality_tables(content), quality_charts(content)
    done, total = 0, len(rows_of) + len(charts_of) + 1 + len(maps)

    def step(*nodes: Any) -> float:
        nonlocal done
        for node in nodes:
            node.SetAttribute(RUN_ATTRIBUTE, run_id)
        done += 1
        return done / total

    tables, charts, map_nodes = {}, {}, {}
    for name, rows in rows_of.items():
        columns = {column: [row.get(column) for row in rows] for column in columns_of(rows)}
        tables[name] = add_table_node(scene, columns, name=f"{prefix}{name}")
        yield step(tables[name])
    tables["methods"].SetNodeReferenceID("spatialRegistrationFixed", fixed_node.GetID())
    tables["methods"].SetNodeReferenceID("spatialRegistrationMoving", moving_node.GetID())
    tables["methods"].SetAttribute(CONTENT_ATTRIBUTE, json.dumps(content))
    for name, chart in charts_of.items():
        charts[name], parts = add_chart(scene, chart, name=f"{prefix}{name}")
        yield step(charts[name], *parts)
    best = next(one for one in content["methods"] if one["name"] == content["verdict"]["method"])
    points, lines = None, []
    if best["targets"] is not None:
        with active_list_kept(scene):
            points = add_error_points(scene, best["targets"], name=f"{prefix}errors of {best['name']}")
            lines = add_error_lines(scene, best["targets"], name=f"{prefix}error at ")
        yield step(points, *lines)
    for name, volume in maps.items():
        map_nodes[name] = add_map_node(scene, volume, name, name=f"{prefix}{name}")
        map_nodes[name].SetAttribute(MAP_ATTRIBUTE, name)
        yield step(map_nodes[name])
    return QualityNodes(run_id, tables, charts, points, tuple(lines), map_nodes)


def remove_quality_nodes(scene: Any, run_id: str) -> None:
    """Remove the nodes of one assessment, with what displays and stores them.

    Parameters
    ----------
    scene : vtkMRMLScene
        Loses these nodes only.
    run_id : str
        Of the assessment.
    """
    nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    for node in nodes:
        if node.GetAttribute(RUN_ATTRIBUTE) != run_id:
            continue
        own = []
        if node.IsA("vtkMRMLDisplayableNode"):
            own += [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
        if node.IsA("vtkMRMLStorableNode"):
            own += [node.GetNthStorageNode(number) for number in range(node.GetNumberOfStorageNodes())]
        for one in (node, *own):
            if one is not None and one.GetScene() is not None:
                scene.RemoveNode(one)
