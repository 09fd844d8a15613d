"""A copy of the moving volume, shown before or after any of some transforms while the scene stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import vtk

from .display import window_of_content
from .placement import placement_without
from .scene_nodes import add_hidden, remove_present
from .vtk_arrays import vtk_from_matrix

__all__ = ["MovedCopy"]

_WARM_COLORS = 256


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
        # A window that the user chose is kept.
        self._warm_window: tuple[float, float] | None = None
        if moving_node.GetScalarVolumeDisplayNode() is not None:
            if moving_node.GetImageData() is not None and moving_node.GetScalarVolumeDisplayNode().GetAutoWindowLevel():
                self._warm_window = window_of_content(moving_node)
            # Its window, too: to find one anew would take a look at every voxel.
            self._display.CopyContent(moving_node.GetScalarVolumeDisplayNode())
            self._display.SetAutoWindowLevel(False)
        self._own_window = self._display.GetWindowLevelMin(), self._display.GetWindowLevelMax()
        self._warm: Any = None
        self._is_warm = False
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

    def show_warm(self, warm: bool) -> None:
        """Show it in warm colours, with air in black, or in those of the moving volume."""
        if warm and self._warm is None:
            self._warm = _add_warm_table(self.node.GetScene())
        self._display.SetAndObserveColorNodeID(self._warm.GetID() if warm else self._own_colors)
        if warm != self._is_warm and self._warm_window is not None:
            self._display.SetWindowLevelMinMax(*(self._warm_window if warm else self._own_window))
        self._is_warm = warm

    def put_under(self, result_node: Any) -> None:
        """Show it after a result, or before all of them where that is None."""
        self._placement.SetAndObserveTransformNodeID(None if result_node is None else result_node.GetID())

    def remove(self) -> None:
        """Take it out of the scene."""
        remove_present((self.node, self._display, self._placement, *([] if self._warm is None else [self._warm])))


def _add_warm_table(scene: Any) -> Any:
    """Black over red to yellow: the tables of the application begin with a colour, in which air would be shown."""
    node = add_hidden(scene, "vtkMRMLColorTableNode", "warm")
    node.SetTypeToUser()
    node.SetNumberOfColors(_WARM_COLORS)
    node.GetLookupTable().SetRange(0, _WARM_COLORS - 1)
    for number in range(_WARM_COLORS):
        share = number / (_WARM_COLORS - 1)
        red, green, blue = min(1.0, 2.2 * share), min(1.0, max(0.0, 1.5 * share - 0.4)), max(0.0, 2 * share - 1.4)
        node.SetColor(number, str(number), red, green, blue, 1.0)
    return node
