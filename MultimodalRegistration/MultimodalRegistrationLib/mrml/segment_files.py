"""Segmentation and label map nodes as ``.seg.nrrd`` files, written in slabs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from .placement import Placement
from .segmentations import common_grid, label_names
from .segments import LABEL_MAP, all_segments, label_slabs, with_label_maps
from .volume_kinds import check_voxels
from .volumes import grid_in_world
from .voxel_slabs import Slabs, slabs_of_node

__all__ = ["SegmentFile"]


class SegmentFile:
    """All structures of a node, as ``segmentation_of_node`` reads them.

    The node may be changed or removed afterwards: what it holds now is kept as long as it is needed.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode
        Not changed.
    placement : Placement
        Where it is read.

    Raises
    ------
    InputError
        Another kind of node, no segments, or none with voxels.
    """

    def __init__(self, node: Any, placement: Placement) -> None:
        self._name = node.GetName()
        self._names: dict[int, str] = {}
        self._segments: list[tuple[str, int, int]] | None = None
        if node.IsA("vtkMRMLSegmentationNode"):
            self._layers = self._of_segments(node, placement)
        elif node.IsA("vtkMRMLLabelMapVolumeNode"):
            check_voxels(node)
            self._layers = [slabs_of_node(node, placement=placement, nearest=True)]
            self._names = label_names(node)
        else:
            raise InputError(
                self._name, f"this holds no structures ({node.GetClassName()})", "Choose a segmentation or a label map."
            )

    def _of_segments(self, node: Any, placement: Placement) -> list[Slabs]:
        identifiers = all_segments(node.GetSegmentation())
        segmentation = with_label_maps(node, identifiers)
        grid = grid_in_world(common_grid(segmentation, self._name), placement, self._name)
        segments = [segmentation.GetSegment(one) for one in identifiers]
        maps = [one.GetRepresentation(LABEL_MAP) for one in segments]
        # Several segments may share a label map.
        layers = list(dict.fromkeys(one for one in maps if one is not None and not one.IsEmpty()))
        # No voxel has this value: a segment without voxels gets it.
        unused = 1 + max(segment.GetLabelValue() for segment in segments)
        self._segments = [
            (segment.GetName(), layers.index(labels), segment.GetLabelValue())
            if labels in layers
            else (segment.GetName(), 0, unused)
            for segment, labels in zip(segments, maps, strict=True)
        ]
        return [label_slabs(labels, placement, grid) for labels in layers]

    def write(self, path: Path) -> Iterator[float]:
        """Write the file.

        Yields
        ------
        float
            How much is done, 0 to 1; a step takes some milliseconds.

        Raises
        ------
        InputError
            No voxel is above zero.
        """
        segments = self._segments
        if segments is None:
            found: set[int] = set()
            for part in self._layers[0].parts():
                found.update(np.unique(part).tolist())
                yield 0.0
            labels = sorted(int(label) for label in found if label > 0)
            if not labels:
                raise InputError(self._name, "the label map is empty", "Draw a structure, or choose another one.")
            # Without any name, structures are matched by number.
            named = any(label in self._names for label in labels)
            segments = [(self._names.get(label, str(label)), 0, label) for label in labels] if named else []
        dtype = np.dtype(np.int32) if len(self._layers) > 1 else _storable(self._layers[0].dtype)
        grid = self._layers[0].grid
        total, done = int(np.prod(grid.size)), 0
        with path.open("wb") as file:
            file.write(_header(grid, dtype, len(self._layers), segments))
            for parts in zip(*(layer.parts() for layer in self._layers), strict=True):
                file.write(_bytes(parts, dtype))
                done += parts[0].size
                yield done / total


def _storable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind in "iu" and dtype.itemsize <= 4 else np.dtype(np.int32)


def _bytes(parts: tuple[NDArray[Any], ...], dtype: np.dtype[Any]) -> memoryview:
    columns = np.stack([part.ravel() for part in parts], axis=-1)
    if columns.dtype.kind == "f":
        columns = np.rint(columns)
    return np.ascontiguousarray(columns.astype(dtype.newbyteorder("<"))).data.cast("B")


def _header(grid: VolumeGrid, dtype: np.dtype[Any], layers: int, segments: list[tuple[str, int, int]]) -> bytes:
    columns = grid.ijk_to_lps[:3, :3].T.tolist()
    several = layers > 1
    lines = [
        "NRRD0004",
        f"type: {dtype.name}",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        f"sizes: {f'{layers} ' if several else ''}{' '.join(map(str, grid.size))}",
        f"space directions: {'none ' if several else ''}{' '.join(_vector(column) for column in columns)}",
        f"kinds: {'vector ' if several else ''}domain domain domain",
        "endian: little",
        "encoding: raw",
        f"space origin: {_vector(grid.origin_lps)}",
    ]
    for number, (name, layer, label) in enumerate(segments):
        entries = {"ID": f"Segment_{number}", "Name": " ".join(name.split()), "Layer": layer, "LabelValue": label}
        lines += [f"Segment{number}_{key}:={value}" for key, value in entries.items()]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def _vector(values: Any) -> str:
    return f"({','.join(repr(float(value)) for value in values)})"
