"""Voxels of nodes in slabs, so that a program with a window can hand them over without standing still.

Everything here is a generator: between two steps the caller may let its window live. A step takes some milliseconds.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from ..core.box import OrientedBox
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from .placement import Placement, placement_in_world
from .volume_kinds import check_voxels
from .volumes import world_voxels

__all__ = ["Slabs", "box_slabs", "read_gzip_nrrd", "slabs_of_node", "voxels_in_steps", "write_nrrd"]

_BYTES_A_STEP = 4_000_000
# A non-linear parent takes microseconds a voxel.
_WARPED_VOXELS_A_STEP = 4_000

_NRRD_TYPES = {f"{kind}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)} | {
    "float32": "float",
    "float64": "double",
}


@dataclass(frozen=True, eq=False)
class Slabs:
    """A volume that is seen in parts.

    Parameters
    ----------
    grid : VolumeGrid
        World coordinates.
    dtype : numpy.dtype
        Of the voxels.
    parts : callable
        Gives the voxels from the first to the last, in arrays of any shape whose order is that of (K, J, I).
    """

    grid: VolumeGrid
    dtype: np.dtype[Any]
    parts: Callable[[], Iterator[NDArray[Any]]]


def slabs_of_node(node: Any, *, placement: Placement | None = None, nearest: bool = False) -> Slabs:
    """The voxels of a volume node where it lies in the world, parent transforms included.

    The node may be changed or removed afterwards: the voxels it has now are kept as long as they are needed.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        Not changed, nor copied where its placement is linear.
    placement : Placement, optional
        Where it is read instead.
    nearest : bool
        Under a non-linear placement, take voxels as they are: for label maps.

    Raises
    ------
    InputError
        The node has no voxels, or its placement is flat.
    """
    check_voxels(node)
    grid, source = world_voxels(node, placement or placement_in_world(node), nearest=nearest)
    voxels = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
    if not source.IsA("vtkImageReslice"):
        return Slabs(grid, voxels.dtype, lambda: _pieces(voxels))
    kept = type(node.GetImageData())()
    kept.ShallowCopy(node.GetImageData())
    source.SetInputData(kept)
    return Slabs(grid, voxels.dtype, lambda: _warped_pieces(source, grid))


def voxels_in_steps(slabs: Slabs) -> Generator[None, None, NDArray[Any]]:
    """A copy of the voxels of a volume, shape (K, J, I), that another thread may use."""
    voxels = np.empty(slabs.grid.size[::-1], dtype=slabs.dtype)
    flat, done = voxels.reshape(-1), 0
    for part in slabs.parts():
        flat[done : done + part.size] = part.ravel()
        done += part.size
        yield
    return voxels


def _pieces(voxels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, _BYTES_A_STEP // voxels.itemsize)
    for first in range(0, voxels.size, step):
        yield voxels[first : first + step]


def _warped_pieces(reslice: Any, grid: VolumeGrid) -> Iterator[NDArray[Any]]:
    i, j, k = grid.size
    rows = max(1, _WARPED_VOXELS_A_STEP // i)
    for slice_number in range(k):
        for first in range(0, j, rows):
            reslice.SetOutputExtent(0, i - 1, first, min(first + rows, j) - 1, slice_number, slice_number)
            reslice.Update()
            yield np.array(vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars()))


def box_slabs(grid: VolumeGrid, box: OrientedBox, marked: Slabs | None = None) -> Slabs:
    """Mark the voxels of a grid whose centres lie in a box, and that another mask marks too.

    Parameters
    ----------
    grid : VolumeGrid
        World coordinates; that of ``marked``, where it is given.
    box : OrientedBox
        World coordinates.
    marked : Slabs, optional
        Above zero where it marks.

    Returns
    -------
    Slabs
        Zeros and ones, unsigned 8 bit.
    """
    i, j, _ = grid.size
    to_box = np.eye(4)
    to_box[:3, :3] = box.axes.T
    to_box[:3, 3] = -box.axes.T @ box.center_lps
    matrix = to_box @ grid.ijk_to_lps

    def inside(first: int, count: int) -> NDArray[np.uint8]:
        number = np.arange(first, first + count)
        index = np.stack([number % i, number // i % j, number // (i * j)], axis=1)
        return np.asarray((np.abs(apply_matrix(matrix, index)) <= box.size_mm / 2).all(axis=1), dtype=np.uint8)

    def parts() -> Iterator[NDArray[Any]]:
        step, total, done = 50_000, int(np.prod(grid.size)), 0
        given = (None for _ in range(0, total, step)) if marked is None else _at_most(marked.parts(), step)
        for part in given:
            count = min(step, total - done) if part is None else part.size
            mask = inside(done, count)
            yield mask if part is None else mask * (part.ravel() > 0)
            done += count

    return Slabs(grid, np.dtype(np.uint8), parts)


def _at_most(parts: Iterator[NDArray[Any]], step: int) -> Iterator[NDArray[Any]]:
    for part in parts:
        flat = part.ravel()
        for first in range(0, flat.size, step):
            yield flat[first : first + step]


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
        file.write(_header(slabs))
        for part in slabs.parts():
            file.write(np.ascontiguousarray(part).data.cast("B"))
            done += part.size
            yield done / total


def _header(slabs: Slabs) -> bytes:
    grid = slabs.grid
    columns = grid.ijk_to_lps[:3, :3].T.tolist()
    little = slabs.dtype.newbyteorder("=").str.startswith(("<", "|"))
    lines = [
        "NRRD0004",
        f"type: {_NRRD_TYPES[slabs.dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, grid.size))}",
        f"space directions: {' '.join(_vector(column) for column in columns)}",
        "kinds: domain domain domain",
        f"endian: {'little' if little else 'big'}",
        "encoding: raw",
        f"space origin: {_vector(grid.origin_lps)}",
    ]
    return ("\n".join(lines) + "\n\n").encode("ascii")


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
            part = inflate.decompress(compressed, _BYTES_A_STEP)
            target[done : done + len(part)] = part
            done += len(part)
            yield done / len(target)


def _skip_header(file: BinaryIO) -> None:
    while file.readline().strip():
        pass
