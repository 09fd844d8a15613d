"""The part of a grid that holds a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ...core.linear import apply_matrix

__all__ = ["Patch"]


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

    corner_kji: tuple[int, int, int]
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
        return cls((int(low[0]), int(low[1]), int(low[2])), mask)

    @property
    def end_kji(self) -> tuple[int, int, int]:
        """Index in the grid after the last voxel."""
        ends = [corner + n for corner, n in zip(self.corner_kji, self.mask.shape, strict=True)]
        return ends[0], ends[1], ends[2]

    @property
    def voxel_count(self) -> int:
        """Number of voxels inside."""
        return int(np.count_nonzero(self.mask))

    def ijk_to_lps(self, grid_ijk_to_lps: ArrayLike) -> NDArray[np.float64]:
        """Matrix from indices of the patch, shape (4, 4), given that of the grid."""
        matrix = np.array(grid_ijk_to_lps, dtype=np.float64)
        matrix[:3, 3] = apply_matrix(matrix, self.corner_kji[::-1])
        return matrix

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
        corner = [start + side.start for start, side in zip(self.corner_kji, box, strict=True)]
        return Patch((corner[0], corner[1], corner[2]), self.mask[box])
