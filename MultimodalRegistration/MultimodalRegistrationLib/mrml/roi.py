"""ROI nodes as boxes in world coordinates, and back."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.frames import flip_ijk_to_space, flip_points_lps_ras
from ..core.grid import OrientedBox
from ..core.linear import apply_matrix, closest_rotation
from .landmarks import active_list_kept
from .placement import placement_in_world
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix


def box_of_roi_node(node: Any) -> OrientedBox:
    """Read a ROI node.

    Parameters
    ----------
    node : vtkMRMLMarkupsROINode
        Rotated or not, under any parent transform; where that is not rigid, the box holds what its
        corners become.

    Returns
    -------
    OrientedBox
        World coordinates, LPS, mm.

    Raises
    ------
    InputError
        The ROI has no size.
    """
    size = np.array(node.GetSize())
    if np.any(size <= 0):
        raise InputError(node.GetName(), f"the size of the ROI is {size.tolist()} mm", "Draw the ROI first.")
    corners = np.array(list(product((-0.5, 0.5), repeat=3))) * size
    corners_ras = apply_matrix(matrix_from_vtk(node.GetObjectToNodeMatrix()), corners)
    corners_ras = placement_in_world(node).points_in_world(corners_ras)
    axes_ras = closest_rotation(matrix_from_vtk(node.GetObjectToWorldMatrix()))
    return OrientedBox.around(flip_points_lps_ras(corners_ras), flip_points_lps_ras(axes_ras.T).T)


def add_roi_node(scene: Any, box: OrientedBox, *, name: str) -> Any:
    """Add a box to a scene as a ROI that the user can edit.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    box : OrientedBox
        World coordinates.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLMarkupsROINode
        Its parent is the world.
    """
    with active_list_kept(scene):
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", scene.GenerateUniqueName(name))
    set_roi_node(node, box)
    return node


def set_roi_node(node: Any, box: OrientedBox) -> None:
    """Set a ROI node, whose parent is the world, to a box in world coordinates."""
    box_to_lps = np.eye(4)
    # A ROI node is right-handed; the box is the same with an axis turned round.
    box_to_lps[:3, :3] = box.axes * [1, 1, np.sign(np.linalg.det(box.axes))]
    box_to_lps[:3, 3] = box.center_lps
    node.SetAndObserveObjectToNodeMatrix(vtk_from_matrix(flip_ijk_to_space(box_to_lps)))
    node.SetSize(box.size_mm)
