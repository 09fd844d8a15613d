"""Numbers of small windows all over a volume, as maps.

The working grid is divided into cells of some mm. A window is three cells wide along each axis and is centred on each
cell in turn; what it holds is the sum over its cells. Values between the centres are interpolated linearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.grid import VolumeGrid

__all__ = ["NOTHING", "Windows", "windows_on"]

NOTHING = -1.0
"""Value of a map where there is nothing to compare."""

_CELLS_PER_WINDOW = 3
_CELL_MM = 6.0
# Fewer voxels than these tell little about a joint distribution.
_FEWEST_VOXELS = 1000


@dataclass(frozen=True)
class Windows:
    """Division of a working grid.

    Parameters
    ----------
    shape : tuple of 3 int
        Voxels along K, J, I.
    block : tuple of 3 int
        Voxels of a cell along K, J, I; cells at the end of an axis may hold fewer.
    size_mm : tuple of 3 float
        Of a window, along I, J, K.
    """

    shape: tuple[int, int, int]
    block: tuple[int, int, int]
    size_mm: tuple[float, float, float]

    @property
    def cells(self) -> tuple[int, int, int]:
        """Number of cells along K, J, I."""
        k, j, i = (-(-n // b) for n, b in zip(self.shape, self.block, strict=True))
        return k, j, i

    @property
    def voxels(self) -> int:
        """Number of voxels of a whole window."""
        return int(np.prod(self.block)) * _CELLS_PER_WINDOW**3

    def cell_of_voxels(self) -> NDArray[np.int32]:
        """Flat index of the cell of each voxel, shape (K, J, I)."""
        k, j, i = (np.arange(n, dtype=np.int32) // b for n, b in zip(self.shape, self.block, strict=True))
        _, rows, columns = self.cells
        return (k[:, None, None] * rows + j[:, None]) * columns + i

    def sums(self, of_cells: NDArray[np.floating]) -> NDArray[np.floating]:
        """Sums over windows, shape (K', J', I', ...), of values of cells, of the same shape."""
        for axis in range(3):
            along = np.moveaxis(of_cells, axis, 0)
            total = along.copy()
            total[1:] += along[:-1]
            total[:-1] += along[1:]
            of_cells = np.moveaxis(total, 0, axis)
        return of_cells

    def spread(self, values: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Interpolate a map.

        Parameters
        ----------
        values : array, shape (K', J', I')
            Of the windows.
        known : array of bool, shape (K', J', I')
            Those that have a value.

        Returns
        -------
        array of float32, shape (K, J, I)
            :data:`NOTHING` in cells whose window has no value.
        """
        weight = self._between(known.astype(np.float32))
        result = self._between(np.where(known, values, 0.0).astype(np.float32))
        np.divide(result, weight, out=result, where=weight > 1e-6)
        for axis, block in enumerate(self.block):
            known = np.repeat(known, block, axis=axis)
        k, j, i = self.shape
        result[~known[:k, :j, :i]] = NOTHING
        return result

    def _between(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        for axis, (count, block) in enumerate(zip(self.shape, self.block, strict=True)):
            cells = values.shape[axis]
            place = np.clip((np.arange(count) - (block - 1) / 2) / block, 0, cells - 1)
            weights = np.maximum(1 - np.abs(place[:, None] - np.arange(cells)), 0).astype(np.float32)
            values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
        return np.ascontiguousarray(values)


def windows_on(grid: VolumeGrid) -> Windows:
    """Divide a grid into windows of about 18 mm, or larger ones where those would hold fewer than 1,000 voxels."""
    spacing = np.asarray(grid.spacing_mm)
    wanted = (_FEWEST_VOXELS * float(np.prod(spacing))) ** (1 / 3) / _CELLS_PER_WINDOW
    block = np.maximum(np.rint(max(_CELL_MM, wanted) / spacing), 1).astype(int)
    size = block * spacing * _CELLS_PER_WINDOW
    return Windows(
        shape=(grid.size[2], grid.size[1], grid.size[0]),
        block=(int(block[2]), int(block[1]), int(block[0])),
        size_mm=(float(size[0]), float(size[1]), float(size[2])),
    )
