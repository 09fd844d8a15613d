"""Surfaces of model nodes and of segments, where they lie in the world."""

from __future__ import annotations

from typing import Any

import vtk

from ..core.errors import InputError
from ..core.surface import Surface
from ..io.surfaces import surface_of_polydata
from .placement import placement_in_world
from .segments import copy_of_segments, segment_identifier

__all__ = [
    "CLOSED_SURFACE",
    "polydata_of_model",
    "polydata_of_segment",
    "segment_title",
    "surface_from_model_node",
    "surface_from_segment",
]

# Slicer's own name.
CLOSED_SURFACE = "Closed surface"


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
    return surface_of_polydata(polydata_of_model(node), node.GetName(), space="RAS")


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
    return surface_of_polydata(polydata_of_segment(node, segment), segment_title(node, segment), space="RAS")


def polydata_of_model(node: Any) -> Any:
    """The ``vtkPolyData`` of a model in the world, RAS, mm; see :func:`surface_from_model_node`."""
    if not node.IsA("vtkMRMLModelNode"):
        raise InputError(node.GetName(), f"this is not a model ({node.GetClassName()})", "Choose a model.")
    data = node.GetPolyData()
    if data is None:
        raise InputError(
            node.GetName(), "the model holds no surface", "Load its data, or make a surface of its volume mesh."
        )
    return _in_world(node, data)


def polydata_of_segment(node: Any, segment: str) -> Any:
    """The ``vtkPolyData`` of a segment in the world, RAS, mm; see :func:`surface_from_segment`."""
    title, identifier = segment_title(node, segment), segment_identifier(node, segment)
    # Names of representations and converters are Slicer's own.
    copy = copy_of_segments(node.GetSegmentation(), [identifier])
    if not copy.CreateRepresentation(CLOSED_SURFACE):
        raise InputError(title, "no surface can be made of this segment", "Check that the segment is not empty.")
    return _in_world(node, copy.GetSegment(identifier).GetRepresentation(CLOSED_SURFACE))


def segment_title(node: Any, segment: str) -> str:
    """The names of a segmentation and of one of its segments, which is given by identifier or name.

    Raises
    ------
    InputError
        Another kind of node, no such segment, or several of that name.
    """
    if not node.IsA("vtkMRMLSegmentationNode"):
        raise InputError(
            node.GetName(), f"this is not a segmentation ({node.GetClassName()})", "Choose a segmentation."
        )
    identifier = segment_identifier(node, segment)
    return f"{node.GetName()}: {node.GetSegmentation().GetSegment(identifier).GetName()}"


def _in_world(node: Any, data: Any) -> Any:
    if node.GetParentTransformNode() is None:
        return data
    move = vtk.vtkTransformPolyDataFilter()
    move.SetInputData(data)
    move.SetTransform(placement_in_world(node).to_world)
    move.Update()
    return move.GetOutput()
