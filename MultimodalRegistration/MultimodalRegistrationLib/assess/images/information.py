r"""Mutual information of the intensities, of the whole and in windows.

With the entropies :math:`H` of the classes of two volumes, mutual information is :math:`I = H(f) + H(m) - H(f, m)`, and
its normalised form :math:`(H(f) + H(m)) / H(f, m)`, from 1 to 2, depends less on how much the volumes overlap
(Studholme et al. 1999, doi:10.1016/S0031-3203(98)00091-0). In a window of N voxels, chance alone gives about
:math:`(C_f - 1)(C_m - 1) / 2N` nats to :math:`C_f` and :math:`C_m` classes (Miller 1955); the local map is
without them.

For the maps, the working grid is divided into cells of some mm. A window is three cells wide along each axis and is
centred on each cell in turn; what it holds is the sum over its cells. Values between the centres are interpolated
linearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.grid import VolumeGrid
from ...register.similarity import mutual_information_of_joint

NOTHING = -1.0
"""Value of a map where there is nothing to compare."""

_CELLS_PER_WINDOW = 3
_CELL_MM = 6.0
# Fewer voxels than these tell little about a joint distribution.
_MIN_VOXELS = 1000
# Of the voxels of a window: in one pair of classes, but for some noise.
_UNIFORM = 0.99


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
    wanted = (_MIN_VOXELS * float(np.prod(spacing))) ** (1 / 3) / _CELLS_PER_WINDOW
    block = np.maximum(np.rint(max(_CELL_MM, wanted) / spacing), 1).astype(int)
    size = block * spacing * _CELLS_PER_WINDOW
    return Windows(
        shape=(grid.size[2], grid.size[1], grid.size[0]),
        block=(int(block[2]), int(block[1]), int(block[0])),
        size_mm=(float(size[0]), float(size[1]), float(size[2])),
    )


def joint_histogram(
    fixed_classes: NDArray[np.integer], moving_classes: NDArray[np.integer], classes: int
) -> NDArray[np.float64]:
    """Count the pairs of classes, each of shape (N,), 0 to ``classes`` - 1: shape (classes, classes), fixed first."""
    pairs = fixed_classes.astype(np.int32) * classes + moving_classes
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def information_of_joint(joint: NDArray[np.float64]) -> tuple[float, float]:
    """Mutual information in nats, and its normalised form, of a joint histogram, shape (N, M)."""
    information = mutual_information_of_joint(joint)
    p = joint[joint > 0] / joint.sum()
    together = -float(np.sum(p * np.log(p)))
    return information, 1.0 + information / together if together > 0 else 1.0


def local_information(
    pairs: NDArray[np.int32], cells: NDArray[np.int32], windows: Windows, classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Mutual information in each window.

    Parameters
    ----------
    pairs : array of int, shape (N,)
        Pair of classes of each voxel, fixed times ``classes`` plus moving.
    cells : array of int, shape (N,)
        Flat index of the cell of each voxel.
    windows : Windows
        The division.
    classes : int
        Of each volume.

    Returns
    -------
    information : array, shape (K', J', I')
        In nats, never negative.
    counts : array, shape (K', J', I')
        Voxels in each window.
    varied : array of bool, shape (K', J', I')
        Whether either volume shows more than one class there: of air over air there is nothing to compare.
    """
    number = int(np.prod(windows.cells))
    counted = np.bincount(cells * np.int32(classes**2) + pairs, minlength=number * classes**2)
    joint = windows.sums(counted.astype(np.float32).reshape(*windows.cells, classes, classes))
    of_fixed, of_moving = joint.sum(axis=4), joint.sum(axis=3)
    count = of_fixed.sum(axis=3)
    n = np.maximum(count, 1)
    terms = _n_log_n(joint).sum(axis=(3, 4)) - _n_log_n(of_fixed).sum(axis=3) - _n_log_n(of_moving).sum(axis=3)
    freedom = ((of_fixed > 0).sum(axis=3) - 1) * ((of_moving > 0).sum(axis=3) - 1)
    information = terms / n + np.log(n) - freedom / (2 * n)
    varied = joint.max(axis=(3, 4)) < _UNIFORM * count
    return np.maximum(information, 0).astype(np.float32), count, varied


def _n_log_n(counts: NDArray[np.floating]) -> NDArray[np.floating]:
    return counts * np.log(np.maximum(counts, 1))
