"""Volumes shrunken to a few mm, where the body is found, and masks of that size brought back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coarse", "shrink"]

_BLOCK_MM = 3.5


@dataclass(frozen=True)
class Coarse:
    """Means of blocks of voxels.

    Parameters
    ----------
    means : array of float32, shape (K', J', I')
        One for each block; those at the end of an axis may hold fewer voxels.
    block : tuple of 3 int
        Voxels of a block along K, J, I.
    spacing_mm : tuple of 3 float
        Size of a block along K, J, I.
    shape : tuple of 3 int
        Voxels of the volume along K, J, I.
    """

    means: NDArray[np.float32]
    block: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give every voxel the value of its block, shape (K, J, I)."""
        for axis, count in enumerate(self.block):
            if count > 1:
                values = np.repeat(values, count, axis)
        k, j, i = self.shape
        return values[:k, :j, :i]


def shrink(
    voxels: NDArray[Any],
    spacing_mm: tuple[float, float, float],
    *,
    limits: tuple[float, float] | None = None,
    ignored: NDArray[np.bool_] | None = None,
    ignored_value: float = 0.0,
) -> Coarse:
    """Take the means of blocks of about 3.5 mm.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities; not changed.
    spacing_mm : tuple of 3 float
        Along I, J, K.
    limits : tuple of 2 float, optional
        Intensities are cut off here first, so that metal and padding do not shift the mean of a block.
    ignored : array of bool, shape (K, J, I), optional
        Voxels that count as ``ignored_value``.
    ignored_value : float
        See there.
    """
    along_kji = spacing_mm[::-1]
    block = tuple(max(1, round(_BLOCK_MM / spacing)) for spacing in along_kji)
    counts = [-(-size // step) for size, step in zip(voxels.shape, block, strict=True)]
    means = np.empty(counts, dtype=np.float32)
    # Slab by slab: a copy of a large volume as floats would need more memory than the volume itself.
    for index in range(counts[0]):
        rows = slice(index * block[0], (index + 1) * block[0])
        slab = voxels[rows].astype(np.float32)
        if ignored is not None:
            slab[ignored[rows]] = ignored_value
        if limits is not None:
            np.clip(slab, *limits, out=slab)
        plane = np.pad(
            slab.mean(axis=0),
            [(0, counts[1] * block[1] - voxels.shape[1]), (0, counts[2] * block[2] - voxels.shape[2])],
            mode="edge",
        )
        means[index] = plane.reshape(counts[1], block[1], counts[2], block[2]).mean(axis=(1, 3))
    return Coarse(
        means,
        (block[0], block[1], block[2]),
        (along_kji[0] * block[0], along_kji[1] * block[1], along_kji[2] * block[2]),
        (voxels.shape[0], voxels.shape[1], voxels.shape[2]),
    )
