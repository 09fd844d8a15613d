"""Volumes that are drawn over another one in the slice views: every second field of a board, or outlines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.frames import flip_points_lps_ras
from ..core.linear import apply_matrix
from .placement import placement_in_world
from .scene_nodes import add_hidden, remove_present
from .volumes import slabs_of_node
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix

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


# Finer than this, outlines of large volumes follow the noise.
_VOXELS_ACROSS = 200
_THRESHOLDS = 2
_BINS = 64
_VALUES_LOOKED_AT = 100_000
_ORANGE = (1.0, 0.55, 0.0)


class ContourVolume:
    """Where the brightness of a volume passes thresholds that tell its parts apart, such as air and tissue.

    Made of a smoothed and shrunken copy in short steps; from then on the views follow the planes by themselves.

    Parameters
    ----------
    moving_node : vtkMRMLScalarVolumeNode
        Not changed.
    """

    def __init__(self, moving_node: Any) -> None:
        self._moving = moving_node
        size = np.array(moving_node.GetImageData().GetDimensions())
        self._factor = np.minimum(np.maximum(1, size // _VOXELS_ACROSS), size)
        self._size = size // self._factor
        self._labels = np.zeros(self._size[::-1], dtype=np.uint8)
        self._nodes: list[Any] = []

    def make(self) -> Iterator[float]:
        """Fill in the labels; yields how much is done, 0 to 1, after some milliseconds each."""
        image = self._moving.GetImageData()
        source = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
        i, j, k = self._factor
        columns, rows, slices = self._size
        smooth = np.empty(self._size[::-1], dtype=np.float32)
        for number in range(slices):
            total = np.zeros((rows, columns), dtype=np.float32)
            for part in source[number * k : (number + 1) * k, : rows * j, : columns * i]:
                total += part.reshape(rows, j, columns, i).mean(axis=(1, 3), dtype=np.float32)
                yield 0.6 * number / slices
            smooth[number] = _blurred(_blurred(total / k, 0), 1)
        thresholds = otsu_thresholds(smooth.ravel()[:: max(1, smooth.size // _VALUES_LOOKED_AT)], _THRESHOLDS)
        for number in range(slices):
            below, above = smooth[max(number - 1, 0)], smooth[min(number + 1, slices - 1)]
            value = (below + 2 * smooth[number] + above) / 4
            for threshold in thresholds:
                self._labels[number] += value > threshold
            yield 0.6 + 0.4 * number / slices

    def add(self) -> Any:
        """Add it to the scene of the moving volume, under its transform: hidden from lists, not saved with the scene.

        Returns
        -------
        vtkMRMLLabelMapVolumeNode
            Remove it by :meth:`remove`.
        """
        scene = self._moving.GetScene()
        name = f"{self._moving.GetName()} outlines"
        colors = add_hidden(scene, "vtkMRMLColorTableNode", name)
        colors.SetTypeToUser()
        colors.SetNumberOfColors(_THRESHOLDS + 1)
        colors.GetLookupTable().SetRange(0, _THRESHOLDS)
        colors.SetColor(0, "nothing", 0.0, 0.0, 0.0, 0.0)
        for label in range(1, _THRESHOLDS + 1):
            colors.SetColor(label, str(label), *_ORANGE, 1.0)
        display = add_hidden(scene, "vtkMRMLLabelMapVolumeDisplayNode", name)
        display.SetAndObserveColorNodeID(colors.GetID())
        node = add_hidden(scene, "vtkMRMLLabelMapVolumeNode", name)
        own = vtk.vtkMatrix4x4()
        self._moving.GetIJKToRASMatrix(own)
        shrink = np.diag([*self._factor, 1.0])
        shrink[:3, 3] = (self._factor - 1) / 2
        node.SetIJKToRASMatrix(vtk_from_matrix(matrix_from_vtk(own) @ shrink))
        image = vtk.vtkImageData()
        image.SetDimensions(*(int(count) for count in self._size))
        image.GetPointData().SetScalars(numpy_to_vtk(self._labels.ravel()))
        node.SetAndObserveDisplayNodeID(display.GetID())
        node.SetAndObserveImageData(image)
        node.SetAndObserveTransformNodeID(self._moving.GetTransformNodeID())
        self._nodes = [node, display, colors]
        return node

    def remove(self) -> None:
        """Take it out of the scene again."""
        remove_present(self._nodes)
        self._nodes = []


def _blurred(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Each value with a half of its neighbours."""
    padded = np.pad(values, [(1, 1) if each == axis else (0, 0) for each in range(2)], mode="edge")
    first, middle, last = (np.take(padded, range(begin, begin + values.shape[axis]), axis=axis) for begin in range(3))
    return np.asarray((first + 2 * middle + last) / 4)


def otsu_thresholds(values: Sequence[float] | NDArray[Any], count: int) -> list[float]:
    """Thresholds between the groups that values fall into: the spread between the groups is as large as can be.

    Parameters
    ----------
    values : array_like
        Outliers may be among them.
    count : int
        How many thresholds.

    Returns
    -------
    list of float
        Ascending; empty where all values are the same.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if known.size == 0:
        return []
    low, high = np.percentile(known, [0.5, 99.5])
    if not high > low:
        return []
    counts, edges = np.histogram(np.clip(known, low, high), bins=_BINS, range=(low, high))
    weight = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)])
    cuts = np.array(list(itertools.combinations(range(1, _BINS), count)))
    ends = np.column_stack([np.zeros(len(cuts), int), cuts, np.full(len(cuts), _BINS)])
    group_weight, group_moment = np.diff(weight[ends], axis=1), np.diff(moment[ends], axis=1)
    spread = (group_moment**2 / np.maximum(group_weight, 1e-9)).sum(axis=1)
    return [float(edges[cut]) for cut in cuts[np.argmax(spread)]]
