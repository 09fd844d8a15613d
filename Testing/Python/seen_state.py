"""What a user sees and the scene holds, in values that can be compared: to see that all of it is given back."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk
from panel_helpers import scene_state

# Without those that Slicer observes of the list in which points are placed next.
_EVENTS = (
    *(vtk.vtkCommand.DeleteEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent),
    *(slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent),
    *(slicer.vtkMRMLMarkupsNode.PointModifiedEvent, slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent),
    slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent,
)
_USERS = ("vtkMRMLDisplayableNode", "vtkMRMLTransformNode")
_DISPLAY_VALUES = (
    *("GetVisibility", "GetVisibility2D", "GetVisibility3D", "GetOpacity", "GetColor", "GetSelectedColor"),
    *("GetColorNodeID", "GetViewNodeIDs", "GetInterpolate", "GetAutoWindowLevel", "GetApplyThreshold"),
    *("GetPointLabelsVisibility", "GetPropertiesLabelVisibility", "GetHandlesInteractive"),
    *("GetEditorVisibility", "GetEditorSliceIntersectionVisibility"),
)


def snapshot():
    """Nodes, their observers and transforms, display settings, layouts, layers, planes, cameras, and what is placed.

    Views of the two rows of landmarks stay, as Slicer leaves the views of all its layouts; they do not count.
    """
    kept = {"nodes": {one for one in scene_state() if not _is_of_rows(one)}}
    for node in slicer.util.getNodesByClass("vtkMRMLDisplayNode"):
        if not _is_of_rows(node.GetID()) and "Slice" not in (node.GetName() or ""):
            kept[node.GetID()] = _display_values(node)
    for kind in _USERS:
        for node in slicer.util.getNodesByClass(kind):
            if not node.GetHideFromEditors():
                kept[f"observers of {node.GetID()}"] = [event for event in _EVENTS if node.HasObserver(event)]
                kept[f"parent of {node.GetID()}"] = node.GetTransformNodeID()
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if not _is_of_rows(node.GetID()):
            kept[node.GetID()] = _plane_values(node)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if not _is_of_rows(node.GetID()):
            kept[node.GetID()] = _layer_values(node)
    for node in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        values = (*node.GetPosition(), *node.GetFocalPoint(), *node.GetViewUp(), node.GetParallelScale())
        kept[node.GetID()] = np.round(values, 6).tolist()
    for node in slicer.util.getNodesByClass("vtkMRMLPlotViewNode"):
        kept[node.GetID()] = node.GetPlotChartNodeID()
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout is not None:
        kept["layout"] = layout.GetViewArrangement()
        kept["layouts"] = (tuple(layout.GetLayoutIndices()), layout.GetSaveWithScene())
    logic = slicer.app.applicationLogic()
    selection = logic.GetSelectionNode()
    kept["mouse"] = logic.GetInteractionNode().GetCurrentInteractionMode()
    kept["list"] = (selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID())
    kept["chart"] = selection.GetActivePlotChartID()
    return kept


def assert_given_back(after, before, results=()):
    """Compare two snapshots; results of a run, by their IDs, are there for good, and seen by the user."""
    new = after["nodes"] - before["nodes"] - set(results)
    assert not new, f"left: {sorted(new)}"
    assert before["nodes"] <= after["nodes"]
    for key, value in before.items():
        if key != "nodes":
            assert after.get(key) == value, f"{key}: {after.get(key)} instead of {value}"


def expect_moved(before, after, node, result_id):
    """A node lies under a result for good, which tells it of its changes."""
    before[f"parent of {node.GetID()}"] = result_id
    before[f"observers of {node.GetID()}"] = after[f"observers of {node.GetID()}"]


def assert_views_as_before(after, before):
    """Compare what is seen, and not which nodes there are and who observes them."""
    seen = [key for key in before if key != "nodes" and not key.startswith(("observers of", "parent of"))]
    assert {key: after.get(key) for key in seen} == {key: before[key] for key in seen}


def _is_of_rows(node_id):
    """A view of the rows, or what Slicer's slice logic adds for it, which is hidden and not saved."""
    node = slicer.mrmlScene.GetNodeByID(node_id)
    return "Landmarks" in node_id or (node.GetHideFromEditors() and "Landmarks" in (node.GetName() or ""))


def _display_values(node):
    values = {name: getattr(node, name)() for name in _DISPLAY_VALUES if hasattr(node, name)}
    if node.IsA("vtkMRMLScalarVolumeDisplayNode"):
        values["window"] = (node.GetWindow(), node.GetLevel(), node.GetLowerThreshold(), node.GetUpperThreshold())
    return values


def _plane_values(node):
    return (
        *(node.GetOrientation(), node.GetViewGroup(), node.GetUseLabelOutline(), node.IsMappedInLayout()),
        *np.round([*matrix_from_vtk(node.GetSliceToRAS()).ravel(), *node.GetFieldOfView()], 6).tolist(),
    )


def _layer_values(node):
    return (
        *(node.GetBackgroundVolumeID(), node.GetForegroundVolumeID(), node.GetLabelVolumeID()),
        *(node.GetForegroundOpacity(), node.GetLabelOpacity(), node.GetLinkedControl(), node.GetCompositing()),
    )
