"""Masks on the grid of the fixed volume, and the segments of the moving volume resampled to them.

The mask of a segment is interpolated linearly and cut at one half. Against ellipsoids of 3, 6 and 15 mm on twelve pairs
of turned grids each, with voxels of 1 mm or slices of 3 to 4 mm, this halves the 95 % Hausdorff distance to the truth
between fine grids and gives a Dice higher by 0.01 to 0.06 than the nearest neighbour does. Its price: corners are
rounded, so that a radius of three voxels loses up to a tenth of the volume. The volume and the centroid are therefore
taken before the cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ...core.grid import VolumeGrid
from ...core.linear import apply_matrix
from ...core.spatial import SpatialTransform
from ...io.segmentations import Segment

_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Patch:
    """A mask, cropped.

    Parameters
    ----------
    corner_kji : tuple of 3 int
        Index in the grid of the first voxel of the patch.
    mask : array, shape (K, J, I)
        Voxels of the patch.
    """

    corner_kji: tuple[int, ...]
    mask: NDArray[np.bool_]

    @classmethod
    def joined(cls, patches: Sequence[Patch]) -> Patch:
        """One patch of several that do not overlap, as small as its voxels allow; each has voxels."""
        if not patches:
            return cls((0, 0, 0), np.zeros((0, 0, 0), dtype=bool))
        tight = [patch._tight() for patch in patches]
        low = np.min([patch.corner_kji for patch in tight], axis=0)
        mask = np.zeros(np.max([patch.end_kji for patch in tight], axis=0) - low, dtype=bool)
        for patch in tight:
            first = np.subtract(patch.corner_kji, low)
            mask[tuple(slice(a, a + n) for a, n in zip(first, patch.mask.shape, strict=True))] = patch.mask
        return cls(tuple(low.tolist()), mask)

    @property
    def end_kji(self) -> tuple[int, ...]:
        """Index in the grid after the last voxel."""
        return tuple(np.add(self.corner_kji, self.mask.shape).tolist())

    @property
    def voxel_count(self) -> int:
        """Number of voxels inside."""
        return int(np.count_nonzero(self.mask))

    def ijk_to_lps(self, grid_ijk_to_lps: ArrayLike) -> NDArray[np.float64]:
        """Matrix from indices of the patch, shape (4, 4), given that of the grid."""
        return counted_from(grid_ijk_to_lps, self.corner_kji)

    def common_voxels(self, other: Patch) -> int:
        """Number of voxels inside both."""
        low = np.maximum(self.corner_kji, other.corner_kji)
        high = np.minimum(self.end_kji, other.end_kji)
        if np.any(low >= high):
            return 0
        return int(np.count_nonzero(self._between(low, high) & other._between(low, high)))

    def centroid_lps(self, grid_ijk_to_lps: ArrayLike) -> NDArray[np.float64]:
        """Mean place of its voxels, LPS, mm, shape (3,)."""
        # Sums along the axes, because the indices of all voxels would be 24 bytes for each.
        counts = [np.count_nonzero(self.mask, axis=axes) for axes in ((0, 1), (0, 2), (1, 2))]
        mean = [count @ np.arange(len(count)) / count.sum() for count in counts]
        return apply_matrix(self.ijk_to_lps(grid_ijk_to_lps), mean)

    def _between(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.bool_]:
        sides = zip(self.corner_kji, low.tolist(), high.tolist(), strict=True)
        return self.mask[tuple(slice(a - corner, b - corner) for corner, a, b in sides)]

    def _tight(self) -> Patch:
        box = ndimage.find_objects(self.mask.view(np.uint8))[0]
        return Patch(tuple(a + side.start for a, side in zip(self.corner_kji, box, strict=True)), self.mask[box])


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
    moving = [_Moving(segment) for segment in segments]
    lps_to_index = np.asarray(np.linalg.inv(moving_grid.ijk_to_lps), dtype=np.float64)
    shape = fixed_grid.size[::-1]
    for low in product(*(range(0, n, _BLOCK) for n in shape)):
        size = [min(_BLOCK, n - first) for n, first in zip(shape, low, strict=True)]
        block = VolumeGrid.of_matrix((size[2], size[1], size[0]), counted_from(fixed_grid.ijk_to_lps, low))
        if transform.matrix is not None:
            # Its corners bound where a linear transform sends the block.
            corners = apply_matrix(lps_to_index @ transform.matrix, block.corners_lps)[:, ::-1].T
            if not any(one.may_hold(corners) for one in moving):
                continue
        kji = _moving_kji(block, transform, lps_to_index)
        bounds = np.stack([kji.min(axis=1), kji.max(axis=1)], axis=1)
        for one in moving:
            if one.may_hold(bounds):
                one.collect(low, one.values(kji).reshape(size))
    return [one.moved(fixed_grid) for one in moving]


class _Moving:
    """A mask with a border of empty voxels on the moving grid, and what is found of it on the fixed one."""

    def __init__(self, segment: Segment) -> None:
        assert segment.box is not None
        self._voxels = np.pad(segment.cropped_mask, 1).view(np.uint8)
        self._first = np.array([[side.start - 1.0] for side in segment.box])
        self._last = self._first + np.array(self._voxels.shape)[:, None] - 1
        self._patches: list[Patch] = []
        self._sum = 0.0
        self._moments = np.zeros(3)

    def may_hold(self, kji: NDArray[np.float64]) -> bool:
        """Whether the box around positions, shape (3, N), meets that of the mask."""
        return bool(np.all(kji.max(axis=1) > self._first[:, 0]) and np.all(kji.min(axis=1) < self._last[:, 0]))

    def values(self, kji: NDArray[np.float64]) -> NDArray[np.float32]:
        """The mask, interpolated at positions in the moving grid, shape (3, N); shape (N,), 0 to 1."""
        near = np.all((kji > self._first) & (kji < self._last), axis=0)
        values = np.zeros(kji.shape[1], dtype=np.float32)
        if near.any():
            inside = kji[:, near] - self._first
            values[near] = ndimage.map_coordinates(self._voxels, inside, output=np.float32, order=1)
        return values

    def collect(self, low: tuple[int, ...], values: NDArray[np.float32]) -> None:
        """Add what is found in a block, given the index of its first voxel."""
        sides = [values.sum(axis=axes, dtype=np.float64) for axes in ((1, 2), (0, 2), (0, 1))]
        self._sum += float(sides[0].sum())
        self._moments += [side @ (np.arange(len(side)) + first) for side, first in zip(sides, low, strict=True)]
        hits = values >= 0.5
        if hits.any():
            self._patches.append(Patch(low, hits))

    def moved(self, grid: VolumeGrid) -> MovedSegment:
        """The segment, from all blocks."""
        centroid = np.full(3, np.nan)
        if self._patches:
            centroid = apply_matrix(grid.ijk_to_lps, self._moments[::-1] / self._sum)
        return MovedSegment(Patch.joined(self._patches), self._sum * voxel_mm3(grid), centroid)


def _moving_kji(
    block: VolumeGrid, transform: SpatialTransform, lps_to_index: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where the voxels of a block lie in the moving grid: shape (3, N), indices along K, J, I."""
    matrix = lps_to_index @ (np.eye(4) if transform.matrix is None else transform.matrix) @ block.ijk_to_lps
    i, j, k = (np.arange(n, dtype=np.float64) for n in block.size)
    kji = np.stack([
        row[2] * k[:, None, None] + row[1] * j[:, None] + (row[0] * i + row[3]) for row in matrix[2::-1]
    ])  # fmt: skip
    if transform.matrix is None:
        kji += np.moveaxis(transform.displacements_mm(block) @ lps_to_index[2::-1, :3].T, -1, 0)
    return kji.reshape(3, -1)


def counted_from(ijk_to_lps: ArrayLike, first_kji: Sequence[int]) -> NDArray[np.float64]:
    """Matrix to LPS, shape (4, 4), of indices that start at a voxel of a grid, given the matrix of the grid."""
    matrix = np.array(ijk_to_lps, dtype=np.float64)
    matrix[:3, 3] = apply_matrix(matrix, first_kji[::-1])
    return matrix


def voxel_mm3(grid: VolumeGrid) -> float:
    """Volume of a voxel."""
    return abs(float(np.linalg.det(grid.ijk_to_lps[:3, :3])))
