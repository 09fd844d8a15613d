"""Where views look, and which of them show a node."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

import numpy as np
import vtk

from .vtk_arrays import matrix_from_vtk

# Smallest singular value of the normals of planes whose crossing is worth the name; 0 where two are parallel.
_DIFFERENT = 0.05


def degrees_off_planes(slice_node: Any, volume: Any) -> float:
    """The angle between the plane of a slice node and the nearest plane of voxels of a volume, degrees.

    Parameters
    ----------
    slice_node : vtkMRMLSliceNode
        Not changed.
    volume : vtkMRMLVolumeNode
        Where it lies in the world, under linear transforms.
    """
    own, parent = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(own)
    if volume.GetParentTransformNode() is not None:
        volume.GetParentTransformNode().GetMatrixTransformToWorld(parent)
    # Rows are the normals of the planes of voxels, which are not the axes where a transform shears.
    normals = np.linalg.inv((matrix_from_vtk(parent) @ matrix_from_vtk(own))[:3, :3])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    agreement = np.abs(normals @ matrix_from_vtk(slice_node.GetSliceToRAS())[:3, 2]).max()
    return float(np.degrees(np.arccos(min(1.0, agreement))))


def planes_cross_at(slice_nodes: Iterable[Any]) -> list[float] | None:
    """Where the planes of slice nodes cross.

    Parameters
    ----------
    slice_nodes : iterable of vtkMRMLSliceNode
        Of parallel ones the first counts.

    Returns
    -------
    list of 3 float, or None
        World coordinates, RAS, mm; None without three planes of different directions.
    """
    normals, distances = np.empty((0, 3)), []
    for node in slice_nodes:
        plane = matrix_from_vtk(node.GetSliceToRAS())
        more = np.vstack([normals, plane[:3, 2]])
        if np.linalg.svd(more, compute_uv=False).min() > _DIFFERENT:
            normals = more
            distances.append(plane[:3, 2] @ plane[:3, 3])
        if len(distances) == 3:
            crossing: list[float] = np.linalg.solve(normals, distances).tolist()
            return crossing
    return None


def overlap_center_ras(fixed_node: Any, moving_node: Any) -> list[float]:
    """Tell where to look at two volumes: the middle of what both fill, or of the fixed one where they are apart.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLVolumeNode
        Where they lie in the world.

    Returns
    -------
    list of 3 float
        World coordinates, mm; of the boxes along the axes of the patient.
    """
    fixed, moving = np.empty(6), np.empty(6)
    fixed_node.GetRASBounds(fixed)
    moving_node.GetRASBounds(moving)
    low, high = np.maximum(fixed[::2], moving[::2]), np.minimum(fixed[1::2], moving[1::2])
    if np.any(low >= high):
        low, high = fixed[::2], fixed[1::2]
    center: list[float] = ((low + high) / 2).tolist()
    return center


class ViewsOfNodes:
    """Shows nodes in some views only."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, tuple[str, ...]]] = []

    def show_only_in(self, shown: Sequence[tuple[Any, Sequence[str]]]) -> None:
        """Show nodes in some views only, and give back what the user had to all that are not among them.

        Parameters
        ----------
        shown : sequence of (vtkMRMLDisplayableNode, sequence of str)
            Nodes, and the identifiers of the view nodes that show each.
        """
        wanted = [(display, tuple(views)) for node, views in shown for display in _display_nodes(node)]
        kept = [(display, views) for display, views in self._before if any(display is one for one, _ in wanted)]
        self._give_back([entry for entry in self._before if not any(entry[0] is one for one, _ in kept)])
        for display, views in wanted:
            if not any(display is one for one, _ in kept):
                kept.append((display, tuple(display.GetViewNodeIDs())))
            if tuple(display.GetViewNodeIDs()) != views:
                display.SetViewNodeIDs(views)
        self._before = kept

    def give_back(self) -> None:
        """Show all of them where they were shown before."""
        before, self._before = self._before, []
        self._give_back(before)

    @staticmethod
    def _give_back(before: Sequence[tuple[Any, tuple[str, ...]]]) -> None:
        for display, views in before:
            if display.GetScene() is not None:
                display.SetViewNodeIDs(views)


def leave_views(node: Any, view_ids: Container[str]) -> None:
    """Show a node in these views no more; one that was shown in no others is shown in all."""
    for display in _display_nodes(node):
        views = tuple(display.GetViewNodeIDs())
        others = [view for view in views if view not in view_ids]
        if len(others) != len(views):
            display.SetViewNodeIDs(others)


def _display_nodes(node: Any) -> list[Any]:
    nodes = (node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes()))
    return [display for display in nodes if display is not None]
