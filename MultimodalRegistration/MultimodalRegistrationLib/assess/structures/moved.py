"""Segments of the moving volume on the grid of the fixed one.

The mask of a segment is interpolated linearly and cut at one half. Against ellipsoids of 3, 6 and 15 mm on twelve pairs
of turned grids each, with voxels of 1 mm or slices of 3 to 4 mm, this halves the 95 % Hausdorff distance to the truth
between fine grids and gives a Dice higher by 0.01 to 0.06 than the nearest neighbour does. Its price: corners are
rounded, so that a radius of three voxels loses up to a tenth of the volume. The volume and the centroid are therefore
taken before the cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...core.grid import VolumeGrid
from ...core.linear import apply_matrix
from ...core.spatial import SpatialTransform
from ...io.segmentations import Segment
from .patch import Patch

__all__ = ["MovedSegment", "move_segments"]

_BLOCK = 64


@dataclass(frozen=True, eq=False)
class MovedSegment:
    """A segment on the grid of the fixed volume.

    Parameters
    ----------
    patch : Patch
        Its voxels.
    volume_mm3 : float
        Sum of the interpolated values, before they are cut at one half, so that neither rounded corners nor a shift by
        half a voxel count.
    centroid_lps : array, shape (3,)
        Their centre of mass, LPS, mm; NaN if the patch has no voxels.
    """

    patch: Patch
    volume_mm3: float
    centroid_lps: NDArray[np.float64]


def move_segments(
    segments: Sequence[Segment], moving_grid: VolumeGrid, transform: SpatialTransform, fixed_grid: VolumeGrid
) -> list[MovedSegment]:
    """Resample segments, each once, with one evaluation of the transform for all of them.

    Parameters
    ----------
    segments : sequence of Segment
        Of the moving volume, on ``moving_grid``. Each has voxels.
    moving_grid : VolumeGrid
        Theirs.
    transform : SpatialTransform
        ``fixed_to_moving_lps``, of any kind.
    fixed_grid : VolumeGrid
        Where to resample to.

    Returns
    -------
    list of MovedSegment
        For each segment.
    """
    sources = [_Source.of(segment) for segment in segments]
    found = [_Collected() for _ in segments]
    for low, size in _blocks(fixed_grid.size[::-1]):
        block = _part(fixed_grid, low, size)
        if transform.matrix is not None:
            # Its corners bound where a linear transform sends the block.
            to_index = np.linalg.inv(moving_grid.ijk_to_lps) @ transform.matrix
            corners = apply_matrix(to_index, block.corners_lps)[:, ::-1].T
            if not any(source.may_hold(corners) for source in sources):
                continue
        kji = _moving_kji(block, transform, moving_grid)
        bounds = np.stack([kji.min(axis=1), kji.max(axis=1)], axis=1)
        for source, collected in zip(sources, found, strict=True):
            if source.may_hold(bounds):
                collected.add(low, source.values(kji).reshape(size))
    return [collected.segment(fixed_grid) for collected in found]


class _Collected:
    """What is found of a segment, block by block."""

    def __init__(self) -> None:
        self._patches: list[Patch] = []
        self._sum = 0.0
        self._moments = np.zeros(3)

    def add(self, low: tuple[int, int, int], values: NDArray[np.float32]) -> None:
        sides = [values.sum(axis=axes, dtype=np.float64) for axes in ((1, 2), (0, 2), (0, 1))]
        self._sum += float(sides[0].sum())
        self._moments += [side @ (np.arange(len(side)) + first) for side, first in zip(sides, low, strict=True)]
        hits = values >= 0.5
        if hits.any():
            self._patches.append(Patch(low, hits))

    def segment(self, grid: VolumeGrid) -> MovedSegment:
        voxel_mm3 = abs(float(np.linalg.det(grid.ijk_to_lps[:3, :3])))
        centroid = np.full(3, np.nan)
        if self._patches:
            centroid = apply_matrix(grid.ijk_to_lps, self._moments[::-1] / self._sum)
        return MovedSegment(Patch.joined(self._patches), self._sum * voxel_mm3, centroid)


@dataclass(frozen=True, eq=False)
class _Source:
    """A mask with a border of empty voxels, and where its first voxel is in the moving grid."""

    first_kji: NDArray[np.float64]
    voxels: NDArray[np.uint8]

    @classmethod
    def of(cls, segment: Segment) -> _Source:
        assert segment.box is not None
        first = np.array([side.start - 1.0 for side in segment.box])
        return cls(first, np.pad(segment.cropped_mask, 1).view(np.uint8))

    @property
    def last_kji(self) -> NDArray[np.float64]:
        return np.asarray(self.first_kji + np.asarray(self.voxels.shape) - 1)

    def may_hold(self, kji: NDArray[np.float64]) -> bool:
        """Whether the box around positions, shape (3, N), meets that of the mask."""
        return bool(np.all(kji.max(axis=1) > self.first_kji) and np.all(kji.min(axis=1) < self.last_kji))

    def values(self, kji: NDArray[np.float64]) -> NDArray[np.float32]:
        """The mask, interpolated at positions in the moving grid, shape (3, N); shape (N,), 0 to 1."""
        near = np.ones(kji.shape[1], dtype=bool)
        for position, low, high in zip(kji, self.first_kji, self.last_kji, strict=True):
            near &= (position > low) & (position < high)
        values = np.zeros(kji.shape[1], dtype=np.float32)
        if near.any():
            inside = kji[:, near] - self.first_kji[:, None]
            values[near] = ndimage.map_coordinates(self.voxels, inside, output=np.float32, order=1)
        return values


def _moving_kji(block: VolumeGrid, transform: SpatialTransform, moving_grid: VolumeGrid) -> NDArray[np.float64]:
    """Where the voxels of a block lie in the moving grid: shape (3, N), indices along K, J, I."""
    to_index = np.linalg.inv(moving_grid.ijk_to_lps)
    matrix = to_index @ (np.eye(4) if transform.matrix is None else transform.matrix) @ block.ijk_to_lps
    i, j, k = (np.arange(n, dtype=np.float64) for n in block.size)
    kji = np.stack([
        row[2] * k[:, None, None] + row[1] * j[:, None] + (row[0] * i + row[3]) for row in matrix[2::-1]
    ])  # fmt: skip
    if transform.matrix is None:
        kji += np.moveaxis(transform.displacements_mm(block) @ to_index[2::-1, :3].T, -1, 0)
    return kji.reshape(3, -1)


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, int, int], tuple[int, int, int]]]:
    for k, j, i in product(*(range(0, n, _BLOCK) for n in shape)):
        yield (k, j, i), (min(_BLOCK, shape[0] - k), min(_BLOCK, shape[1] - j), min(_BLOCK, shape[2] - i))


def _part(grid: VolumeGrid, low_kji: tuple[int, int, int], shape: tuple[int, int, int]) -> VolumeGrid:
    matrix = grid.ijk_to_lps
    matrix[:3, 3] = apply_matrix(matrix, low_kji[::-1])
    return VolumeGrid.of_matrix((shape[2], shape[1], shape[0]), matrix)
