"""Surfaces of model nodes and of segments, where they lie in the world."""

from __future__ import annotations

from typing import Any

import vtk

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.io.surfaces import surface_of_polydata
from MultimodalRegistrationLib.mrml.placement import placement_in_world
from MultimodalRegistrationLib.mrml.segments import copy_of_segments, segment_identifier
from MultimodalRegistrationLib.surfaces.surface import Surface

__all__ = ["surface_from_model_node", "surface_from_segment"]


def surface_from_model_node(node: Any) -> Surface:
    """Read a model node where it lies in the world, parent transforms of any kind included.

    Parameters
    ----------
    node : vtkMRMLModelNode
        Not changed.

    Returns
    -------
    Surface
        World coordinates, LPS, mm.

    Raises
    ------
    InputError
        Another kind of node, or a model without a surface.
    """
    if not node.IsA("vtkMRMLModelNode"):
        raise InputError(node.GetName(), f"this is not a model ({node.GetClassName()})", "Choose a model.")
    data = node.GetPolyData()
    if data is None:
        raise InputError(
            node.GetName(), "the model holds no surface", "Load its data, or make a surface of its volume mesh."
        )
    return surface_of_polydata(_in_world(node, data), node.GetName(), space="RAS")


def surface_from_segment(node: Any, segment: str) -> Surface:
    """Make the closed surface of a segment, as Slicer shows it, where it lies in the world.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
        Not changed: a surface that it lacks is made of a copy.
    segment : str
        Identifier or name of the segment.

    Returns
    -------
    Surface
        World coordinates, LPS, mm, parent transforms of any kind included.

    Raises
    ------
    InputError
        Another kind of node, no such segment, several of that name, or a segment without a surface.
    """
    if not node.IsA("vtkMRMLSegmentationNode"):
        raise InputError(
            node.GetName(), f"this is not a segmentation ({node.GetClassName()})", "Choose a segmentation."
        )
    segmentation = node.GetSegmentation()
    identifier = segment_identifier(node, segment)
    name = f"{node.GetName()}: {segmentation.GetSegment(identifier).GetName()}"
    # Names of representations and converters are Slicer's own.
    copy = copy_of_segments(segmentation, [identifier])
    if not copy.CreateRepresentation("Closed surface"):
        raise InputError(name, "no surface can be made of this segment", "Check that the segment is not empty.")
    data = copy.GetSegment(identifier).GetRepresentation("Closed surface")
    return surface_of_polydata(_in_world(node, data), name, space="RAS")


def _in_world(node: Any, data: Any) -> Any:
    if node.GetParentTransformNode() is None:
        return data
    move = vtk.vtkTransformPolyDataFilter()
    move.SetInputData(data)
    move.SetTransform(placement_in_world(node).to_world)
    move.Update()
    return move.GetOutput()
