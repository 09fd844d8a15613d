"""The voxel grid of a volume in space, and boxes along any axes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from .linear import apply_matrix

# Spacings of oblique grids come out of matrices, some units in the last place off.
_ROUNDED = 1 - 1e-6
_THICK_MM = 5.0 * _ROUNDED
_TIMES_THICKER = 2.0 * _ROUNDED
_TIMES_LARGER = 8.0 * _ROUNDED


@dataclass(frozen=True)
class VolumeGrid:
    """Size and placement of a voxel grid.

    Parameters
    ----------
    size : tuple of 3 int
        Number of voxels along I, J, K.
    spacing_mm : tuple of 3 float
        Voxel size along I, J, K.
    origin_lps : tuple of 3 float
        Centre of voxel (0, 0, 0) in mm.
    direction : tuple of 9 float
        Direction cosines, row by row; its columns are the I, J and K axes in LPS.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_lps: tuple[float, float, float]
    direction: tuple[float, ...]

    @classmethod
    def of_image(cls, image: sitk.Image) -> VolumeGrid:
        """Read the grid of a three-dimensional SimpleITK image."""
        return cls(
            size=tuple(image.GetSize()),
            spacing_mm=tuple(image.GetSpacing()),
            origin_lps=tuple(image.GetOrigin()),
            direction=tuple(image.GetDirection()),
        )

    @classmethod
    def of_matrix(cls, size: tuple[int, int, int], ijk_to_lps: ArrayLike) -> VolumeGrid:
        """Make a grid of its size and its voxel-to-space matrix, shape (4, 4), LPS, mm."""
        matrix = np.asarray(ijk_to_lps, dtype=np.float64)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        return cls(
            size=size,
            spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
            origin_lps=(float(matrix[0, 3]), float(matrix[1, 3]), float(matrix[2, 3])),
            direction=tuple(float(d) for d in (matrix[:3, :3] / spacing).ravel()),
        )

    @property
    def ijk_to_lps(self) -> NDArray[np.float64]:
        """Matrix from voxel indices (I, J, K) to LPS points in mm, shape (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(self.direction).reshape(3, 3) * np.asarray(self.spacing_mm)
        matrix[:3, 3] = self.origin_lps
        return matrix

    @property
    def center_lps(self) -> NDArray[np.float64]:
        """Centre of the volume in mm, shape (3,)."""
        return apply_matrix(self.ijk_to_lps, (np.asarray(self.size) - 1) / 2)

    @property
    def extent_mm(self) -> NDArray[np.float64]:
        """Edge lengths of the volume along I, J, K, voxel borders included, shape (3,)."""
        return np.asarray(self.size) * np.asarray(self.spacing_mm)

    @property
    def corners_lps(self) -> NDArray[np.float64]:
        """The eight outer corners of the volume (voxel borders, not centres) in mm, shape (8, 3)."""
        unit = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
        return apply_matrix(self.ijk_to_lps, unit * np.asarray(self.size) - 0.5)

    @property
    def points_lps(self) -> NDArray[np.float64]:
        """All voxel centres in mm, shape (N, 3), in the order of the voxels: I runs fastest."""
        return self.points_at(np.arange(int(np.prod(self.size))))

    def points_at(self, numbers: NDArray[np.integer]) -> NDArray[np.float64]:
        """Voxel centres in mm, shape (N, 3), by the numbers of the voxels, shape (N,), of which I runs fastest."""
        k, j, i = np.unravel_index(numbers, self.size[::-1])
        return apply_matrix(self.ijk_to_lps, np.stack([i, j, k], axis=-1))

    @property
    def is_orthogonal(self) -> bool:
        """Whether the axes are perpendicular, which the engines assume."""
        direction = np.asarray(self.direction).reshape(3, 3)
        return bool(np.abs(direction.T @ direction - np.eye(3)).max() < 1e-4)

    def coincides_with(self, other: VolumeGrid) -> bool:
        """Whether the voxels of another grid lie at the same places, to within 0.001 mm."""
        return self.size == other.size and bool(np.allclose(self.corners_lps, other.corners_lps, atol=1e-3))

    def contains(self, points_lps: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points, shape (N, 3), LPS, mm, lie inside the volume; shape (N,)."""
        index = apply_matrix(np.linalg.inv(self.ijk_to_lps), points_lps)
        return np.asarray(np.all((index >= -0.5) & (index <= np.asarray(self.size) - 0.5), axis=-1))

    def sample_points_lps(self, count_per_axis: int) -> NDArray[np.float64]:
        """Points spread evenly over the volume, shape (count_per_axis**3, 3), LPS, mm."""
        axes = [(np.arange(count_per_axis) + 0.5) / count_per_axis * n - 0.5 for n in self.size]
        index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        return apply_matrix(self.ijk_to_lps, index)

    def places_lps(self, count_per_axis: int) -> NDArray[np.float64]:
        """:meth:`sample_points_lps` and the eight corners, to find what is worst anywhere in the volume."""
        return np.concatenate([self.sample_points_lps(count_per_axis), self.corners_lps])

    def moved(self, matrix_lps: ArrayLike) -> VolumeGrid:
        """The grid after every voxel was moved by a linear transform, shape (4, 4), LPS."""
        return VolumeGrid.of_matrix(self.size, np.asarray(matrix_lps, dtype=np.float64) @ self.ijk_to_lps)

    def place(self, image: sitk.Image) -> None:
        """Set the spacing, origin and direction of a SimpleITK image to this grid's."""
        image.SetSpacing(self.spacing_mm)
        image.SetOrigin(self.origin_lps)
        image.SetDirection(self.direction)


@dataclass(frozen=True)
class OrientedBox:
    """A box in world coordinates.

    Parameters
    ----------
    center_lps : array, shape (3,)
        Middle, LPS, mm.
    axes : array, shape (3, 3)
        Unit vectors along its edges, as columns, at right angles; left-handed ones are allowed.
    size_mm : array, shape (3,)
        Edge lengths along the axes.
    """

    center_lps: NDArray[np.float64]
    axes: NDArray[np.float64]
    size_mm: NDArray[np.float64]

    @classmethod
    def around(cls, points_lps: ArrayLike, axes: ArrayLike, margin_mm: float = 0.0) -> OrientedBox:
        """Smallest box along given axes, shape (3, 3), around points, shape (N, 3), LPS, mm, with a margin."""
        directions = np.asarray(axes, dtype=np.float64)
        along = np.asarray(points_lps, dtype=np.float64) @ directions
        low, high = along.min(axis=0) - margin_mm, along.max(axis=0) + margin_mm
        return cls(directions @ ((low + high) / 2), directions, high - low)

    @property
    def corners_lps(self) -> NDArray[np.float64]:
        """The eight corners, shape (8, 3), LPS, mm."""
        signs = np.array(list(product((-0.5, 0.5), repeat=3)))
        return np.asarray(self.center_lps + (signs * self.size_mm) @ self.axes.T)

    def contains(self, points_lps: ArrayLike) -> NDArray[np.bool_]:
        """Which points, shape (N, 3), LPS, mm, lie inside."""
        along = (np.asarray(points_lps, dtype=np.float64) - self.center_lps) @ self.axes
        return np.asarray((np.abs(along) <= self.size_mm / 2 + 1e-9).all(axis=1))

    def seen_from(self, matrix: ArrayLike, axes: ArrayLike) -> OrientedBox:
        """The box along other axes that holds this one after a linear transform, shape (4, 4)."""
        return OrientedBox.around(apply_matrix(matrix, self.corners_lps), axes)


def has_thick_slices(grid: VolumeGrid, other: VolumeGrid) -> bool:
    """Whether slices of a grid are at least 5 mm, and at least twice as thick as any spacing of another grid.

    A metric is then best sampled at the voxels of the first volume: between its slices there is nothing but
    interpolation, which blurs, and by different amounts at different places.

    Parameters
    ----------
    grid, other : VolumeGrid
        Of the two volumes.
    """
    thickness_mm = max(grid.spacing_mm)
    return thickness_mm >= _THICK_MM and thickness_mm >= _TIMES_THICKER * max(other.spacing_mm)


def has_coarse_voxels(grid: VolumeGrid, other: VolumeGrid) -> bool:
    """Whether the voxels of a grid have at least the volume of eight of another, whatever their shape.

    So are those of PET beside CT. A metric is then best sampled in the first volume.

    Parameters
    ----------
    grid, other : VolumeGrid
        Of the two volumes.
    """
    return bool(np.prod(grid.spacing_mm) >= _TIMES_LARGER * np.prod(other.spacing_mm))
