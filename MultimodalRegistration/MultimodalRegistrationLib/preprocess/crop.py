"""Cropping and resampling that keep every voxel where it is in the world.

A crop is a smaller grid on the same voxels, so a transform found on crops is one of the full volumes, unchanged.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ..core.box import OrientedBox
from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.volume import Volume

__all__ = ["crop_to_box", "resample_to_spacing", "voxels_in_box"]

_FEWEST_VOXELS = 4
_MOST_VOXELS = 1e9
# Standard deviation of the anti-aliasing filter, in voxels of the coarser grid: half the response at its Nyquist limit.
_ANTI_ALIAS = 0.375


def crop_to_box(volume: Volume, box: OrientedBox, *, kept: Volume | None = None) -> Volume:
    """Keep the voxels that a box touches.

    Parameters
    ----------
    volume : Volume
        Not changed.
    box : OrientedBox
        World coordinates. Where it is oblique to the volume, the voxels of the block that holds it are kept.
    kept : Volume, optional
        Another volume on the same grid, whose voxels are returned instead: a mask, for example.

    Returns
    -------
    Volume
        The same voxels, at the same place, with their own pixel type.

    Raises
    ------
    InputError
        The box misses the volume, or keeps fewer than four voxels along an axis that has more.
    """
    grid = volume.grid
    low, size = voxels_in_box(grid, box)
    if np.any(size < np.minimum(_FEWEST_VOXELS, grid.size)):
        shape = " x ".join(str(max(int(n), 0)) for n in size)
        raise InputError(
            volume.name,
            f"the region keeps {shape} of its {' x '.join(map(str, grid.size))} voxels",
            "Choose a larger region, or check that it lies in the volume.",
        )
    source = volume if kept is None else kept
    image = sitk.RegionOfInterest(source.image, size=size.tolist(), index=low.tolist())
    return Volume(image, source.name)


def voxels_in_box(grid: VolumeGrid, box: OrientedBox) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The block of voxels that a box touches: index (I, J, K) of its first voxel, and its size, which may be empty."""
    corners = apply_matrix(np.linalg.inv(grid.ijk_to_lps), box.corners_lps)
    low = np.clip(np.ceil(corners.min(axis=0) - 0.5 - 1e-6), 0, None).astype(np.int64)
    high = np.minimum(np.floor(corners.max(axis=0) + 0.5 + 1e-6).astype(np.int64), np.asarray(grid.size) - 1)
    return low, high - low + 1


def resample_to_spacing(volume: Volume, spacing_mm: ArrayLike, *, is_mask: bool = False) -> Volume:
    """Resample over the same extent.

    Parameters
    ----------
    volume : Volume
        Not changed.
    spacing_mm : float or array, shape (3,)
        New voxel size, along I, J, K.
    is_mask : bool, optional
        Nearest neighbour instead of linear interpolation after an anti-aliasing filter along axes that get coarser.

    Returns
    -------
    Volume
        Scalar volumes become 32-bit floating point.

    Raises
    ------
    InputError
        It would have fewer than four voxels along an axis, or more than a thousand million.
    """
    grid = volume.grid
    old = np.asarray(grid.spacing_mm)
    new = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), 3)
    size = np.maximum(np.rint(grid.extent_mm / new), 1)
    if np.prod(size) > _MOST_VOXELS or np.any(size < np.minimum(_FEWEST_VOXELS, grid.size)):
        shape = " x ".join(f"{count:.0f}" for count in size)
        raise InputError(
            volume.name,
            f"voxels of {' x '.join(f'{step:g}' for step in new)} mm would make it {shape}",
            "Choose another voxel size.",
        )
    size = size.astype(int)
    # The outer borders of the two grids coincide at the first corner.
    matrix = grid.ijk_to_lps
    origin = apply_matrix(matrix, (new / old - 1) / 2)
    image = volume.image
    if not is_mask:
        image = sitk.Cast(image, sitk.sitkFloat32)
        sigma = np.where(new > old, _ANTI_ALIAS * np.sqrt(np.maximum(new**2 - old**2, 0)), 0)
        if sigma.any():
            image = sitk.SmoothingRecursiveGaussian(image, np.maximum(sigma, 1e-3 * old).tolist())
    resampled = sitk.Resample(
        image,
        size.tolist(),
        sitk.Transform(),
        sitk.sitkNearestNeighbor if is_mask else sitk.sitkLinear,
        origin.tolist(),
        new.tolist(),
        grid.direction,
        float(volume.voxels.min()),
        image.GetPixelID(),
    )
    return Volume(resampled, volume.name)
