"""An assessment in a scene: tables, charts, markups and maps that can be removed together."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from MultimodalRegistrationLib.mrml.plots import add_chart
from MultimodalRegistrationLib.mrml.quality_charts import quality_charts
from MultimodalRegistrationLib.mrml.quality_glyphs import add_error_lines, add_error_points
from MultimodalRegistrationLib.mrml.quality_maps import add_map_node
from MultimodalRegistrationLib.mrml.tables import add_table_node
from MultimodalRegistrationLib.quality.assess import Assessment
from MultimodalRegistrationLib.quality.maps import quality_maps
from MultimodalRegistrationLib.quality.tables import columns_of, quality_tables

__all__ = ["RUN_ATTRIBUTE", "QualityNodes", "add_quality_nodes", "remove_quality_nodes"]

RUN_ATTRIBUTE = "MultimodalRegistration.QualityRun"


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
    scene: Any, assessment: Assessment, content: dict[str, Any], fixed_node: Any, moving_node: Any
) -> QualityNodes:
    """Add an assessment to a scene, in the world.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the nodes; nothing else in it changes.
    assessment : Assessment
        What was measured.
    content : dict
        The same, from :func:`~MultimodalRegistrationLib.quality.content.quality_content`.
    fixed_node, moving_node : vtkMRMLVolumeNode
        The volumes. The nodes are named after the moving one; the table of methods references both.

    Returns
    -------
    QualityNodes
        What was added, to be removed with :func:`remove_quality_nodes`.
    """
    prefix = f"{moving_node.GetName()}: "
    tables = {
        name: add_table_node(
            scene,
            {column: [row.get(column) for row in rows] for column in columns_of(rows)},
            name=f"{prefix}{name}",
        )
        for name, rows in quality_tables(content).items()
    }
    tables["methods"].SetNodeReferenceID("spatialRegistrationFixed", fixed_node.GetID())
    tables["methods"].SetNodeReferenceID("spatialRegistrationMoving", moving_node.GetID())
    charts, others = {}, []
    for name, chart in quality_charts(assessment).items():
        charts[name], parts = add_chart(scene, chart, name=f"{prefix}{name}")
        others += parts
    best = next(one for one in assessment.methods if one.transform.name == assessment.verdict.method)
    points, lines = None, []
    if best.targets is not None:
        points = add_error_points(scene, best.targets, name=f"{prefix}errors of {best.transform.name}")
        lines = add_error_lines(scene, best.targets, assessment.tolerance, name=f"{prefix}error at ")
    maps = {
        name: add_map_node(scene, volume, name, name=f"{prefix}{name}")
        for name, volume in quality_maps(assessment).items()
    }
    run_id = uuid.uuid4().hex
    for node in (*tables.values(), *charts.values(), *others, *lines, *maps.values()):
        node.SetAttribute(RUN_ATTRIBUTE, run_id)
    if points is not None:
        points.SetAttribute(RUN_ATTRIBUTE, run_id)
    return QualityNodes(run_id, tables, charts, points, tuple(lines), maps)


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
