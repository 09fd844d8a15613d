"""What nodes hold as files, written in steps that take some milliseconds: a window can live between them."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..io.tools.itk import write_transform
from .placement import Placement
from .segments import LABEL_MAP, all_segments, common_grid, label_names, label_slabs, with_label_maps
from .spatial import spatial_transform_steps
from .steps import in_thread, shares
from .volume_kinds import check_voxels
from .volumes import Slabs, grid_in_world, slabs_of_node

# What a reader unpacks at a time.
_BYTES_UNPACKED_A_STEP = 4_000_000
_NRRD_TYPES = {f"{kind}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)} | {
    "float32": "float",
    "float64": "double",
}


def write_nrrd(path: Path, slabs: Slabs) -> Iterator[float]:
    """Write a volume as an uncompressed NRRD file, slab by slab.

    Parameters
    ----------
    path : Path
        The file.
    slabs : Slabs
        The volume.

    Yields
    ------
    float
        How much of it is written, 0 to 1.
    """
    total = int(np.prod(slabs.grid.size))
    done = 0
    with path.open("wb") as file:
        file.write(_header(slabs.grid, slabs.dtype))
        for part in slabs.parts():
            file.write(np.ascontiguousarray(part).data.cast("B"))
            done += part.size
            yield done / total


def _header(
    grid: VolumeGrid, dtype: np.dtype[Any], layers: int = 1, segments: Sequence[tuple[str, int, int]] = ()
) -> bytes:
    """Of a file with several values a voxel where there are layers; segments have a name, a layer and a label."""
    several = layers > 1
    columns = grid.ijk_to_lps[:3, :3].T.tolist()
    lines = [
        "NRRD0004",
        f"type: {_NRRD_TYPES[dtype.name]}",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        f"sizes: {f'{layers} ' if several else ''}{' '.join(map(str, grid.size))}",
        f"space directions: {'none ' if several else ''}{' '.join(_vector(column) for column in columns)}",
        f"kinds: {'vector ' if several else ''}domain domain domain",
        f"endian: {sys.byteorder}",
        "encoding: raw",
        f"space origin: {_vector(grid.origin_lps)}",
    ]
    for number, (name, layer, label) in enumerate(segments):
        entries = {"ID": f"Segment_{number}", "Name": " ".join(name.split()), "Layer": layer, "LabelValue": label}
        lines += [f"Segment{number}_{key}:={value}" for key, value in entries.items()]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def _vector(values: Any) -> str:
    return f"({','.join(repr(float(value)) for value in values)})"


def read_gzip_nrrd(path: Path, voxels: NDArray[Any]) -> Iterator[float]:
    """Read the voxels of a NRRD file with attached, compressed data, step by step.

    Parameters
    ----------
    path : Path
        A file of this program's own: its type and size are known.
    voxels : array
        Gets them; contiguous, of the file's type and size.

    Yields
    ------
    float
        How much of it is read, 0 to 1.

    Raises
    ------
    OSError
        The file ends early.
    """
    target = voxels.data.cast("B")
    done = 0
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    with path.open("rb") as file:
        _skip_header(file)
        while done < len(target):
            compressed = inflate.unconsumed_tail or file.read(1 << 20)
            if not compressed:
                raise OSError(f"{path} ends after {done} of {len(target)} bytes")
            part = inflate.decompress(compressed, _BYTES_UNPACKED_A_STEP)
            target[done : done + len(part)] = part
            done += len(part)
            yield done / len(target)


def _skip_header(file: BinaryIO) -> None:
    while file.readline().strip():
        pass


class SegmentFile:
    """All structures of a node; segments may overlap and be empty, and labels have the names of the colour table.

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
        dtype = self._layers[0].dtype
        if len(self._layers) > 1 or dtype.kind not in "iu" or dtype.itemsize > 4:
            dtype = np.dtype(np.int32)
        grid = self._layers[0].grid
        total, done = int(np.prod(grid.size)), 0
        with path.open("wb") as file:
            file.write(_header(grid, dtype, len(self._layers), segments))
            for parts in zip(*(layer.parts() for layer in self._layers), strict=True):
                file.write(_bytes(parts, dtype))
                done += parts[0].size
                yield done / total


def _bytes(parts: tuple[NDArray[Any], ...], dtype: np.dtype[Any]) -> memoryview:
    columns = np.stack([part.ravel() for part in parts], axis=-1)
    if columns.dtype.kind == "f":
        columns = np.rint(columns)
    return np.ascontiguousarray(columns.astype(dtype)).data.cast("B")


# A finer grid takes longer to write than a window may stand still.
_MAX_NODES = 1_000_000
# Nobody knows how many steps there will be.
_SHARE = 0.5


def write_transform_node(
    path: Path, node: Any, over: VolumeGrid, on_read: Callable[[SpatialTransform, float], None] | None = None
) -> Generator[float, None, tuple[SpatialTransform, float]]:
    """Write what a node does to points of the world, with all its parents.

    Parameters
    ----------
    path : Path
        ITK transform, ``fixed_to_moving_lps``.
    node : vtkMRMLTransformNode
        Moves the moving volume onto the fixed one; may be changed or removed between two steps.
    over : VolumeGrid
        Of the fixed volume: a deformable one is sampled there.
    on_read : callable, optional
        Called with what is returned once the node is not needed any more.

    Yields
    ------
    float
        How much is done, 0 to 1.

    Returns
    -------
    spatial : SpatialTransform
        What was written.
    error_mm : float
        The largest error of the sampling.
    """
    spatial, error_mm = yield from shares(spatial_transform_steps(node, over, most_nodes=_MAX_NODES), _SHARE)
    if on_read is not None:
        on_read(spatial, error_mm)
    yield from shares(in_thread(lambda: write_transform(path, spatial)), _SHARE)
    yield 1.0
    return spatial, error_mm
