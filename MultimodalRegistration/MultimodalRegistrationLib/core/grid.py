"""The voxel grid of a volume in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from .linear import apply_matrix

__all__ = ["VolumeGrid"]


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
