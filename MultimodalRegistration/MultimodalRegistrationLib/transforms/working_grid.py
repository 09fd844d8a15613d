"""Grids of bounded size on which a registration is judged, and statistics of the distances found there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, translation_matrix
from ..core.volume import Volume
from ..io.downsample import Size, coarse_grid, coarse_size

_HALVINGS = 40
# Second derivatives need three nodes along each axis.
_FEWEST_NODES = 3


def bounded_size(grid: VolumeGrid, most_voxels: int, finest_mm: float = 0.0) -> Size:
    """Size of the finest even coarsening of a grid with a bounded number of voxels.

    Parameters
    ----------
    grid : VolumeGrid
        Its finest axes are coarsened first.
    most_voxels : int
        Not exceeded.
    finest_mm : float
        No axis is made finer than this, to within the rounding to whole voxels.

    Returns
    -------
    tuple of 3 int
        Voxels along I, J, K; the grid's own size when that is small enough.
    """
    size = coarse_size(grid, max(finest_mm, min(grid.spacing_mm)))
    if np.prod(size) <= most_voxels:
        return size
    low, high = min(grid.spacing_mm), float(grid.extent_mm.max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if np.prod(coarse_size(grid, middle)) <= most_voxels else (middle, high)
    return coarse_size(grid, max(high, finest_mm))


def node_grid(grid: VolumeGrid, most_nodes: int, *, region: Volume | None = None) -> VolumeGrid:
    """Nodes at which a transform is looked at.

    Parameters
    ----------
    grid : VolumeGrid
        Where the transform matters.
    most_nodes : int
        Not exceeded, unless an axis would have fewer than three.
    region : Volume, optional
        Voxels above zero: the nodes are spent on the box around them.

    Returns
    -------
    VolumeGrid
        Over the box of the grid or of the region in it, never finer than the grid except along an axis of one or two
        voxels.

    Raises
    ------
    InputError
        The region marks nothing on the grid.
    """
    box = grid if region is None else _box_around(grid, region)
    size = bounded_size(box, most_nodes)
    return coarse_grid(box, (max(size[0], _FEWEST_NODES), max(size[1], _FEWEST_NODES), max(size[2], _FEWEST_NODES)))


def mask_on(grid: VolumeGrid, region: Volume) -> NDArray[np.bool_]:
    """Tell which voxels of a grid lie in a region, shape (K, J, I).

    Parameters
    ----------
    grid : VolumeGrid
        Any.
    region : Volume
        Voxels above zero, on any grid; the nearest one counts.

    Raises
    ------
    InputError
        No voxel of the grid lies in it.
    """
    marked = _resampled(region, grid)
    if not marked.any():
        raise InputError(
            region.name,
            "the region marks nothing where the registration is judged",
            "Give a region that lies in the fixed volume and marks more than single voxels.",
        )
    return marked


def region_points(region: Volume | VolumeGrid, most_points: int) -> NDArray[np.float64]:
    """Points spread evenly over a region.

    Parameters
    ----------
    region : Volume or VolumeGrid
        Voxels above zero, or a whole grid.
    most_points : int
        Not exceeded, but for regions with fewer than three nodes along an axis.

    Returns
    -------
    array, shape (N, 3)
        LPS, mm.

    Raises
    ------
    InputError
        The region marks nothing.
    """
    if isinstance(region, VolumeGrid):
        return node_grid(region, most_points).points_lps
    nodes = node_grid(region.grid, most_points, region=region)
    return nodes.points_lps[mask_on(nodes, region).ravel()]


def volume_of(values: NDArray[np.floating], grid: VolumeGrid, name: str) -> Volume:
    """Place values, shape (K, J, I), on a grid as a 32-bit volume."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values, dtype=np.float32))
    grid.place(image)
    return Volume(image, name)


def _resampled(region: Volume, grid: VolumeGrid) -> NDArray[np.bool_]:
    image = sitk.Resample(
        region.image > 0,
        grid.size,
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkNearestNeighbor,
        grid.origin_lps,
        grid.spacing_mm,
        grid.direction,
    )
    return np.asarray(sitk.GetArrayViewFromImage(image) > 0)


def _box_around(grid: VolumeGrid, region: Volume) -> VolumeGrid:
    """The part of a grid around the marked voxels of a region, with one voxel more on each side where there is one."""
    marked = region.voxels > 0
    spans = [np.flatnonzero(marked.any(axis=tuple({0, 1, 2} - {axis}))) for axis in (2, 1, 0)]
    if any(len(span) == 0 for span in spans):
        raise InputError(region.name, "the region is empty", "Give a region that marks voxels.")
    ends = [(span[0] - 0.5, span[-1] + 0.5) for span in spans]
    index = apply_matrix(np.linalg.inv(grid.ijk_to_lps) @ region.grid.ijk_to_lps, np.array(list(product(*ends))))
    first = np.maximum(np.floor(index.min(axis=0)).astype(int) - 1, 0)
    last = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, np.asarray(grid.size) - 1)
    if np.any(last < first):
        raise InputError(
            region.name,
            "the region lies outside the fixed volume",
            "Give a region that was drawn on the fixed volume, or say which transform brings it there.",
        )
    size = last - first + 1
    return VolumeGrid.of_matrix((int(size[0]), int(size[1]), int(size[2])), grid.ijk_to_lps @ translation_matrix(first))


@dataclass(frozen=True)
class DistanceStatistics:
    """Distances in mm.

    Parameters
    ----------
    mean_mm, rms_mm, median_mm, p95_mm, max_mm : float
        Mean, root of the mean square, median, 95th percentile and largest.
    count : int
        How many there are.
    """

    mean_mm: float
    rms_mm: float
    median_mm: float
    p95_mm: float
    max_mm: float
    count: int

    @classmethod
    def of(cls, distances_mm: NDArray[np.floating]) -> DistanceStatistics:
        """Sum up distances, any shape, at least one."""
        d = np.asarray(distances_mm, dtype=np.float64).ravel()
        median, p95 = np.percentile(d, [50, 95])
        return cls(
            mean_mm=float(d.mean()),
            rms_mm=float(np.sqrt(np.mean(d**2))),
            median_mm=float(median),
            p95_mm=float(p95),
            max_mm=float(d.max()),
            count=d.size,
        )
