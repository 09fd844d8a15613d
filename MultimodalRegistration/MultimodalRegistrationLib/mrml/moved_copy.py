"""A copy of the moving volume, shown before or after any of some transforms while the scene stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import vtk

from MultimodalRegistrationLib.mrml.placement import placement_without
from MultimodalRegistrationLib.mrml.scene_nodes import add_hidden, remove_present
from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix

__all__ = ["MovedCopy"]


class MovedCopy:
    """Shares the voxels of the moving volume; hidden from lists and not saved with the scene.

    Parameters
    ----------
    moving_node : vtkMRMLScalarVolumeNode
        In a scene; not changed.
    results : sequence of vtkMRMLTransformNode
        Transforms that are assessed; one of them may be applied to the volume.

    Raises
    ------
    InputError
        Several of them are.
    """

    def __init__(self, moving_node: Any, results: Sequence[Any]) -> None:
        placement = placement_without(moving_node, results)
        scene = moving_node.GetScene()
        self._placement = add_hidden(scene, "vtkMRMLTransformNode", f"{moving_node.GetName()} before")
        if placement.matrix_ras is not None:
            self._placement.SetMatrixTransformToParent(vtk_from_matrix(placement.matrix_ras))
        else:
            frozen = vtk.vtkGeneralTransform()
            frozen.DeepCopy(placement.to_world)
            self._placement.SetAndObserveTransformToParent(frozen)
        self._display = add_hidden(scene, "vtkMRMLScalarVolumeDisplayNode", "")
        if moving_node.GetScalarVolumeDisplayNode() is not None:
            # Its window, too: to find one anew would take a look at every voxel.
            self._display.CopyContent(moving_node.GetScalarVolumeDisplayNode())
            self._display.SetAutoWindowLevel(False)
        self._own_colors = self._display.GetColorNodeID()
        self.node = add_hidden(scene, "vtkMRMLScalarVolumeNode", moving_node.GetName())
        own = vtk.vtkMatrix4x4()
        moving_node.GetIJKToRASMatrix(own)
        self.node.SetIJKToRASMatrix(own)
        self.node.SetAndObserveDisplayNodeID(self._display.GetID())
        self.node.SetAndObserveImageData(moving_node.GetImageData())
        self.node.SetAndObserveTransformNodeID(self._placement.GetID())

    @property
    def there(self) -> bool:
        """Whether it is still in the scene."""
        return self.node.GetScene() is not None

    def color(self, color_node_id: str | None) -> None:
        """Show it in other colours, or in those of the moving volume where that is None."""
        self._display.SetAndObserveColorNodeID(color_node_id or self._own_colors)

    def put_under(self, result_node: Any) -> None:
        """Show it after a result, or before all of them where that is None."""
        self._placement.SetAndObserveTransformNodeID(None if result_node is None else result_node.GetID())

    def remove(self) -> None:
        """Take it out of the scene."""
        remove_present((self.node, self._display, self._placement))
