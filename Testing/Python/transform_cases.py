"""Smooth non-linear transforms with known size, on grids with no symmetry to hide behind."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from conftest import centered_grid, rigid, rotation
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.spatial import SpatialTransform

OBLIQUE = rotation([1, 0.3, -0.2], 33)
GRIDS = {
    "oblique": centered_grid([50, 44, 40], [2.0, 2.0, 2.0], OBLIQUE, [12, -31, 40]),
    "anisotropic": centered_grid([60, 50, 24], [1.1, 1.7, 3.0], OBLIQUE, [-80, 31, 4]),
    "flipped": centered_grid([48, 40, 30], [1.5, 2.2, 2.8], OBLIQUE @ np.diag([1, -1, 1]), [12, -31, 40]),
}
POSE = rigid([0.3, -1, 0.6], 37, [12, -40, 25])
AFFINE = POSE @ np.array([[1.1, 0.05, 0, 3], [0, 0.93, 0.04, -2], [0.02, 0, 1.05, 1], [0, 0, 0, 1]])


def waves(points_lps: np.ndarray, largest_mm: float, center_lps: np.ndarray) -> np.ndarray:
    """Displacements in waves of 180 to 240 mm across all axes: they fold nowhere up to 20 mm."""
    vectors = 2 * np.pi * np.diag([1 / 200, 1 / 240, 1 / 180]) @ rotation([1, 2, 3], 40)
    u = np.sin((points_lps - center_lps) @ vectors.T + [0, 1, 2])
    return largest_mm * u / np.linalg.norm(u, axis=-1).max()


def field(grid: VolumeGrid, largest_mm: float, name: str = "field") -> SpatialTransform:
    u = waves(grid.points_lps, largest_mm, grid.center_lps)
    image = sitk.GetImageFromArray(u.reshape(*grid.size[::-1], 3), isVector=True)
    grid.place(image)
    return SpatialTransform(name, sitk.DisplacementFieldTransform(image))


def spline(grid: VolumeGrid, largest_mm: float) -> SpatialTransform:
    """A cubic B-spline over the grid, with seeded coefficients."""
    transform = sitk.BSplineTransformInitializer(blank(grid), [4, 4, 4], 3)
    random = np.random.default_rng(7).normal(size=len(transform.GetParameters()))
    transform.SetParameters((largest_mm / 3 * random).tolist())
    return SpatialTransform("spline", transform)


def blank(grid: VolumeGrid) -> sitk.Image:
    image = sitk.Image(list(grid.size), sitk.sitkUInt8)
    grid.place(image)
    return image


def posed(transform: SpatialTransform, matrix: np.ndarray = POSE) -> SpatialTransform:
    """The same, followed by a linear one."""
    return SpatialTransform("posed", sitk.CompositeTransform([sitk_from_matrix(matrix), transform.transform]))


def points_in(grid: VolumeGrid, count: int, seed: int, margin: float = 0.0) -> np.ndarray:
    """Random points between the outermost voxel centres, or further in by a share of the size."""
    random = np.random.default_rng(seed)
    size = np.asarray(grid.size) - 1
    index = random.uniform(margin * size, (1 - margin) * size, (count, 3))
    return index @ grid.ijk_to_lps[:3, :3].T + grid.ijk_to_lps[:3, 3]
