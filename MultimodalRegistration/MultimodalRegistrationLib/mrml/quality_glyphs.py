"""Errors at targets as markups in the fixed volume."""

from __future__ import annotations

from typing import Any

from MultimodalRegistrationLib.geometry.frames import flip_points_lps_ras
from MultimodalRegistrationLib.landmarks.points import LandmarkList
from MultimodalRegistrationLib.mrml.landmarks import add_landmark_node
from MultimodalRegistrationLib.quality.targets import TargetErrors
from MultimodalRegistrationLib.quality.tolerance import Tolerance

__all__ = ["add_error_lines", "add_error_points"]

_GREEN = (0.1, 0.6, 0.3)
_RED = (0.85, 0.1, 0.1)


def add_error_points(scene: Any, errors: TargetErrors, *, name: str) -> Any:
    """Add a point at each target, with the size of the error in its label.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node and its display node.
    errors : TargetErrors
        Of one transform.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLMarkupsFiducialNode
        Locked; where the targets are in the fixed volume.
    """
    labels = [f"{label}: {mm:.1f} mm" for label, mm in zip(errors.labels, errors.errors_mm.tolist(), strict=True)]
    node = add_landmark_node(scene, LandmarkList.of_points(name, errors.fixed_lps, labels), name=name)
    node.SetLocked(True)
    # Slicer shows selected points in this colour.
    node.GetDisplayNode().SetSelectedColor(*_GREEN)
    return node


def add_error_lines(scene: Any, errors: TargetErrors, tolerance: Tolerance, *, name: str) -> list[Any]:
    """Add a line for each error above the tolerance, from where the target belongs to where it lands.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the nodes and their display nodes.
    errors : TargetErrors
        Of one transform.
    tolerance : Tolerance
        Smaller errors get no line.
    name : str
        First part of the names of the nodes.

    Returns
    -------
    list of vtkMRMLMarkupsLineNode
        Locked; Slicer shows the length of each.
    """
    belongs = flip_points_lps_ras(errors.fixed_lps)
    lands = flip_points_lps_ras(errors.fixed_lps + errors.vectors_lps_mm)
    nodes = []
    for i, mm in enumerate(errors.errors_mm.tolist()):
        if mm <= tolerance.mm:
            continue
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", scene.GenerateUniqueName(f"{name}{errors.labels[i]}"))
        node.CreateDefaultDisplayNodes()
        for point_ras, label in ((belongs[i], "belongs"), (lands[i], "lands")):
            node.AddControlPoint(*point_ras.tolist(), label)
        node.SetLocked(True)
        display = node.GetDisplayNode()
        display.SetSelectedColor(*_RED)
        display.SetPointLabelsVisibility(False)
        nodes.append(node)
    return nodes
