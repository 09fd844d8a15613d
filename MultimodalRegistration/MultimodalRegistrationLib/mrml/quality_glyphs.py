"""Errors at targets as markups in the fixed volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.frames import flip_points_lps_ras
from ..core.points import LandmarkList
from .landmarks import add_landmark_node

__all__ = ["add_error_lines", "add_error_points"]

_GREEN = (0.1, 0.6, 0.3)
_LABELLED = 3
_RED = (0.85, 0.1, 0.1)


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
