"""Outlines of what is seen in a volume, as a label map whose borders the slice views draw in any plane."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .scene_nodes import add_hidden, remove_present
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix

__all__ = ["ContourVolume", "otsu_thresholds"]

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
