"""A volume that shows another one in every second field only, for a checkerboard in the slice views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from ..core.frames import flip_points_lps_ras
from ..core.linear import apply_matrix
from .placement import placement_in_world
from .scene_nodes import add_hidden, remove_present
from .voxel_slabs import slabs_of_node
from .vtk_arrays import matrix_from_vtk

__all__ = ["CheckerboardVolume"]

_FIELDS_ACROSS = 8
_VOXELS_A_STEP = 50_000


class CheckerboardVolume:
    """A copy of the moving volume that is see-through in every second field of a board fixed in the world.

    It lies under the same transform, so nothing is resampled. Shown over the fixed volume it gives a checkerboard in
    all directions.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        The volumes of a result; not changed.
    """

    def __init__(self, fixed_node: Any, moving_node: Any) -> None:
        self._moving = moving_node
        grid = slabs_of_node(fixed_node).grid
        self._field_mm = float(max(grid.extent_mm)) / _FIELDS_ACROSS
        self._corner_ras = flip_points_lps_ras(grid.corners_lps).min(axis=0)
        own = vtk.vtkMatrix4x4()
        moving_node.GetIJKToRASMatrix(own)
        placement = placement_in_world(moving_node)
        # Under a warp the board is that of the volume's own coordinates.
        parent = np.eye(4) if placement.matrix_ras is None else placement.matrix_ras
        self._ijk_to_ras = parent @ matrix_from_vtk(own)
        self._image = vtk.vtkImageData()
        self._image.CopyStructure(moving_node.GetImageData())
        self._image.AllocateScalars(moving_node.GetImageData().GetScalarType(), 1)
        self._lowest = 0.0
        self._nodes: list[Any] = []

    def make(self) -> Iterator[float]:
        """Fill in the voxels; yields how much is done, 0 to 1, after some milliseconds each."""
        source = vtk_to_numpy(self._moving.GetImageData().GetPointData().GetScalars())
        target = vtk_to_numpy(self._image.GetPointData().GetScalars())
        starts = range(0, source.size, _VOXELS_A_STEP)
        lowest = source[0]
        for first in starts:
            lowest = min(lowest, source[first : first + _VOXELS_A_STEP].min())
            yield 0.5 * first / source.size
        hidden, self._lowest = _hidden_value(lowest, source.dtype)
        for first in starts:
            part = source[first : first + _VOXELS_A_STEP]
            shown = self._in_moving_field(first, part.size)
            target[first : first + part.size] = np.where(shown, part, hidden)
            yield 0.5 + 0.5 * first / source.size
        self._image.GetPointData().GetScalars().Modified()

    def _in_moving_field(self, first: int, count: int) -> NDArray[np.bool_]:
        i, j, _ = self._image.GetDimensions()
        number = np.arange(first, first + count)
        index = np.stack([number % i, number // i % j, number // (i * j)], axis=1)
        points_ras = apply_matrix(self._ijk_to_ras, index)
        field = np.floor((points_ras - self._corner_ras) / self._field_mm).astype(np.int64)
        return np.asarray(field.sum(axis=1) % 2 == 1)

    def add(self) -> Any:
        """Add it to the scene of the moving volume: hidden from lists, not saved with the scene.

        Returns
        -------
        vtkMRMLScalarVolumeNode
            Remove it by :meth:`remove`.
        """
        scene = self._moving.GetScene()
        node = add_hidden(scene, "vtkMRMLScalarVolumeNode", f"{self._moving.GetName()} checkerboard")
        display = add_hidden(scene, "vtkMRMLScalarVolumeDisplayNode", "checkerboard")
        shown = self._moving.GetScalarVolumeDisplayNode()
        if shown is not None:
            display.SetAndObserveColorNodeID(shown.GetColorNodeID())
            display.SetAutoWindowLevel(False)
            display.SetWindowLevel(shown.GetWindow(), shown.GetLevel())
        display.SetAutoThreshold(False)
        display.SetApplyThreshold(True)
        display.SetLowerThreshold(self._lowest)
        display.SetUpperThreshold(float(np.finfo(np.float32).max))
        display.SetInterpolate(False)
        matrix = vtk.vtkMatrix4x4()
        self._moving.GetIJKToRASMatrix(matrix)
        node.SetIJKToRASMatrix(matrix)
        node.SetAndObserveDisplayNodeID(display.GetID())
        node.SetAndObserveImageData(self._image)
        node.SetAndObserveTransformNodeID(self._moving.GetTransformNodeID())
        self._nodes = [node, display]
        return node

    def remove(self) -> None:
        """Take it out of the scene again."""
        remove_present(self._nodes)
        self._nodes = []


def _hidden_value(lowest: Any, dtype: np.dtype[Any]) -> tuple[Any, float]:
    """A value for hidden voxels, and the lowest one that is shown."""
    room = np.finfo(dtype).min if dtype.kind == "f" else np.iinfo(dtype).min
    if float(lowest) > float(room):
        step = 1.0 if dtype.kind != "f" else max(1.0, abs(float(lowest)))
        return dtype.type(float(lowest) - step), float(lowest)
    # No lower value left: the background goes with the hidden fields.
    return dtype.type(lowest), float(lowest) + 1.0
