"""An assessment in a scene: tables, charts, markups and maps that can be removed together."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from ..assess.content import columns_of, quality_tables
from ..core.volume import Volume
from .landmarks import active_list_kept
from .plots import add_chart
from .quality_charts import quality_charts
from .quality_glyphs import add_error_lines, add_error_points
from .quality_maps import add_map_node
from .tables import add_table_node

__all__ = [
    "CONTENT_ATTRIBUTE",
    "MAP_ATTRIBUTE",
    "RUN_ATTRIBUTE",
    "SEGMENTATION_ROLE",
    "QualityNodes",
    "add_quality_nodes",
    "quality_node_steps",
    "remove_quality_nodes",
]

RUN_ATTRIBUTE = "MultimodalRegistration.QualityRun"
# Everything that was measured, as JSON, in the table of methods.
CONTENT_ATTRIBUTE = "MultimodalRegistration.Quality"
# What a map shows: its name among the maps.
MAP_ATTRIBUTE = "MultimodalRegistration.QualityMap"
# Of the table of methods: the segmentation of the moving volume.
SEGMENTATION_ROLE = "MultimodalRegistration.MovingSegmentation"


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


def add_quality_nodes(
    scene: Any, content: Mapping[str, Any], maps: Mapping[str, Volume], fixed_node: Any, moving_node: Any
) -> QualityNodes:
    """Add an assessment to a scene, in the world.

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

    Returns
    -------
    QualityNodes
        What was added, to be removed with :func:`remove_quality_nodes`.
    """
    steps = quality_node_steps(scene, content, maps, fixed_node, moving_node, run_id=uuid.uuid4().hex)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            nodes: QualityNodes = end.value
            return nodes


def quality_node_steps(
    scene: Any,
    content: Mapping[str, Any],
    maps: Mapping[str, Volume],
    fixed_node: Any,
    moving_node: Any,
    *,
    run_id: str,
) -> Generator[float, None, QualityNodes]:
    """Do as :func:`add_quality_nodes`, in steps that take some milliseconds each.

    Parameters
    ----------
    scene, content, maps, fixed_node, moving_node
        As there.
    run_id : str
        By which :func:`remove_quality_nodes` removes what was added so far, after any step.

    Yields
    ------
    float
        How much is done, 0 to 1.

    Returns
    -------
    QualityNodes
        What was added.
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
