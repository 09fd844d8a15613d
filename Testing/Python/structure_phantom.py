"""Structures of a fixed volume, pasted where they moved into a moving volume of soft tissue and noise."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from conftest import centered_grid, rigid, rotation
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.volume import Volume
from scipy import ndimage

FIXED_GRID = centered_grid(
    [54, 44, 36], [1.8, 2.0, 2.4], rotation([1, 0.3, -0.2], 25) @ np.diag([1, 1, -1]), [12, -31, 40]
)
MOVING_GRID = centered_grid([80, 76, 70], [1.9, 2.0, 2.1], rotation([0.2, 1, 0.4], 50), [70, 10, 80])
COMMON = rigid([0.2, 1, 0.3], 25, [50, 20, 50])


def points_of(grid):
    k, j, i = np.indices(grid.size[::-1])
    return apply_matrix(grid.ijk_to_lps, np.stack([i, j, k], axis=-1).reshape(-1, 3))


def volume(values, grid, name, kind=np.float32):
    image = sitk.GetImageFromArray(np.asarray(values, dtype=kind).reshape(grid.size[::-1]))
    grid.place(image)
    return Volume(image, name)


def at(array, grid, points, order=1):
    index = apply_matrix(np.linalg.inv(grid.ijk_to_lps), points)
    return ndimage.map_coordinates(np.asarray(array, dtype=float), index.T[::-1], order=order, mode="nearest")


def other_modality(values):
    """As another modality would show it: not linear, not even monotonous."""
    return 400 * np.exp(-(((values - 60) / 350) ** 2)) - 60 * np.tanh((values - 300) / 300) + 120


def paste(fixed, labels, motions, grid, *, modality, seed):
    """The structures at their places in a volume of nothing but soft tissue and noise."""
    rng = np.random.default_rng(seed)
    points = points_of(grid)
    values = 40 + 500 * ndimage.gaussian_filter(rng.normal(size=grid.size[::-1]), 4).ravel()
    for label, motion in motions.items():
        grown = ndimage.binary_dilation(labels.voxels == label)
        soft = ndimage.gaussian_filter(grown.astype(float), (0.3, 0.7, 0.7))
        places = apply_matrix(np.linalg.inv(motion), points)
        share = np.clip(1.2 * at(soft, fixed.grid, places), 0, 1) * fixed.grid.contains(places)
        values = share * at(fixed.voxels, fixed.grid, places) + (1 - share) * values
    if modality == "other":
        values = np.clip(other_modality(values) + rng.normal(0, 20, values.shape), 0, None)
    else:
        values += rng.normal(0, 15, values.shape)
    return volume(values, grid, f"moving ({modality})")


def around(structure, motion):
    """A motion about the middle of a structure."""
    middle = structure.points_lps.mean(axis=0)
    matrix = motion.copy()
    matrix[:3, 3] += middle - matrix[:3, :3] @ middle
    return matrix
