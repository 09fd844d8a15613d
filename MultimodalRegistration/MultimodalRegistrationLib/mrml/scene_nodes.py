"""Nodes that are hidden, shown, found and removed, and changes of a scene that are taken back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import SimpleITK as sitk
from vtk.util.numpy_support import vtk_to_numpy

from ..assess.pictures.planes import display_window, finite_sample
from ..core.volume import Volume

_VOXELS_LOOKED_AT = 100_000


def add_hidden(scene: Any, kind: str, name: str) -> Any:
    """Add a node of a class that users do not see in lists, and that is not saved with the scene."""
    node = scene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return scene.AddNode(node)


def remove_present(nodes: Iterable[Any]) -> None:
    """Remove nodes that are still in their scenes: the application takes display nodes along with what they display."""
    for node in nodes:
        if node.GetScene() is not None:
            node.GetScene().RemoveNode(node)


def nodes_of_class(scene: Any, kind: str) -> list[Any]:
    """Nodes of a class and of those derived from it, in the order of the scene."""
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]


def only_two_scans(scene: Any) -> tuple[Any, Any] | None:
    """Tell what is meant where nothing is chosen yet: the scalar volumes that a user sees, if they are two.

    Parameters
    ----------
    scene : vtkMRMLScene
        Not changed.

    Returns
    -------
    tuple of vtkMRMLScalarVolumeNode, or None
        In the order of the scene; label maps and the like are no scans.
    """
    found = scans(scene)
    return (found[0], found[1]) if len(found) == 2 else None


def scans(scene: Any) -> list[Any]:
    """The scalar volumes that a user sees, without label maps and the like."""
    kind = "vtkMRMLScalarVolumeNode"
    return [
        node for node in nodes_of_class(scene, kind) if node.GetClassName() == kind and not node.GetHideFromEditors()
    ]


def add_display_node(node: Any, like: Any = None) -> Any:
    """Give a volume a display node.

    Left to itself, a display node finds its window by a look at every voxel, which takes a second in a large volume.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        In a scene, with voxels, without display node.
    like : vtkMRMLScalarVolumeDisplayNode, optional
        Whose window and colours are taken; by default the window holds all values but outliers.

    Returns
    -------
    vtkMRMLScalarVolumeDisplayNode
        Of the volume.
    """
    display = node.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    if like is not None:
        display.CopyContent(like)
        display.SetAutoWindowLevel(False)
    else:
        low, high = np.percentile(_sample(node), [0.1, 99.9])
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(float(low), float(high))
        display.SetDefaultColorMap()
    node.SetAndObserveDisplayNodeID(display.GetID())
    return display


def window_of_content(node: Any) -> tuple[float, float]:
    """Intensities to show as black and as white, as in pictures: the air of a CT and what surrounds it are black.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        With voxels.
    """
    sample = finite_sample(_sample(node)).astype(np.float32)
    return display_window(Volume(sitk.GetImageFromArray(sample[None, None]), str(node.GetName())), sample)


def _sample(node: Any) -> Any:
    voxels = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
    return voxels[:: max(1, voxels.size // _VOXELS_LOOKED_AT)]
