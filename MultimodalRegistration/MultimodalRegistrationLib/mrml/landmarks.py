"""Markups nodes as lists of landmarks in world coordinates, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.frames import flip_points_lps_ras
from ..core.points import Landmark, LandmarkList
from .placement import Placement, placement_in_world

__all__ = ["active_list_kept", "add_landmark_node", "landmarks_of_node"]


def landmarks_of_node(node: Any, placement: Placement | None = None) -> LandmarkList:
    """Read the control points of a markups node where they lie in the world, parent transforms included.

    Parameters
    ----------
    node : vtkMRMLMarkupsNode
        Of any type; not changed.
    placement : Placement, optional
        Where they are read instead.

    Returns
    -------
    LandmarkList
        All control points, LPS, mm. Those whose position is not defined (being placed, skipped) are not placed.

    Raises
    ------
    InputError
        Not a markups node, no control points, or a position that is not finite in the world.
    """
    name = node.GetName()
    if not node.IsA("vtkMRMLMarkupsNode"):
        raise InputError(name, f"this holds no landmarks ({node.GetClassName()})", "Choose a point list.")
    count = node.GetNumberOfControlPoints()
    if count == 0:
        raise InputError(name, "the list holds no points", "Place points in it first.")
    placement = placement or placement_in_world(node)
    return LandmarkList(name, tuple(_landmark(node, index, placement) for index in range(count)))


def _landmark(node: Any, index: int, placement: Placement) -> Landmark:
    label = node.GetNthControlPointLabel(index)
    selected = bool(node.GetNthControlPointSelected(index))
    if node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
        return Landmark(label, None, selected)
    position_ras = placement.points_in_world(node.GetNthControlPointPosition(index))[0]
    if not np.all(np.isfinite(position_ras)):
        raise InputError(
            node.GetName(),
            f"point {index + 1} '{label}' lies at {tuple(position_ras.tolist())} in the world",
            "Place it again, and check the transform above the list.",
        )
    x, y, z = flip_points_lps_ras(position_ras).tolist()
    return Landmark(label, (x, y, z), selected)


@contextmanager
def active_list_kept(scene: Any) -> Iterator[None]:
    """Add markups of the program's own: the application would place the user's next points in what came last."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    if selection is None:
        yield
        return
    kind, identifier = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    try:
        yield
    finally:
        selection.SetReferenceActivePlaceNodeClassName(kind)
        selection.SetReferenceActivePlaceNodeID(identifier)


def add_landmark_node(scene: Any, landmarks: LandmarkList, *, name: str) -> Any:
    """Add a list of landmarks to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node and its display node.
    landmarks : LandmarkList
        LPS, mm. Points that are not placed or not selected stay so.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLMarkupsFiducialNode
        Its parent is the world.
    """
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    for landmark in landmarks.landmarks:
        position_ras = flip_points_lps_ras(landmark.position_lps or (0.0, 0.0, 0.0)).tolist()
        index = node.AddControlPoint(*position_ras, landmark.label)
        # Slicer invents a label where it is given none.
        node.SetNthControlPointLabel(index, landmark.label)
        node.SetNthControlPointSelected(index, landmark.selected)
        if not landmark.placed:
            node.UnsetNthControlPointPosition(index)
    return node
