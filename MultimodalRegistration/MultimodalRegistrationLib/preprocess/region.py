"""The region that both volumes show, as a box in each, and cropping and resampling that keep voxels where they are.

A crop is a smaller grid on the same voxels, so a transform found on crops is one of the full volumes, unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.grid import OrientedBox, VolumeGrid
from ..core.linear import apply_matrix
from ..core.volume import Volume

DEFAULT_MARGIN_MM = 10.0
_SAMPLE_MM = 3.0
_MIN_SAMPLES = 64
_MIN_VOXELS = 4
_MAX_VOXELS = 1e9
# Standard deviation of the anti-aliasing filter, in voxels of the coarser grid: half the response at its Nyquist limit.
_ANTI_ALIAS = 0.375


@dataclass(frozen=True)
class Region:
    """Boxes around the same anatomy in both volumes.

    Parameters
    ----------
    fixed, moving : OrientedBox
        Each along the axes of its volume, in its own world coordinates.
    words : str
        What the region was made of.
    """

    fixed: OrientedBox
    moving: OrientedBox
    words: str


def common_region(
    fixed: VolumeGrid,
    moving: VolumeGrid,
    fixed_to_moving_lps: ArrayLike,
    *,
    fixed_mask: NDArray[np.uint8] | None = None,
    moving_mask: NDArray[np.uint8] | None = None,
    margin_mm: float = DEFAULT_MARGIN_MM,
) -> Region | None:
    """Find what both volumes show.

    Parameters
    ----------
    fixed, moving : VolumeGrid
        World coordinates.
    fixed_to_moving_lps : array, shape (4, 4)
        A prealignment.
    fixed_mask, moving_mask : array, shape (K, J, I), optional
        Voxels above zero count: the foreground, for example.
    margin_mm : float, optional
        Added on all sides.

    Returns
    -------
    Region or None
        Boxes that hold what is common; None when nothing is.
    """
    matrix = np.asarray(fixed_to_moving_lps, dtype=np.float64)
    points = _sample_points(fixed, fixed_mask)
    mapped = apply_matrix(matrix, points)
    shown = _is_marked(moving, moving_mask, mapped)
    if not shown.any():
        return None
    # What lies between the samples belongs to the region as well.
    widened_mm = margin_mm + min(_SAMPLE_MM, float(fixed.extent_mm.max()) / _MIN_SAMPLES)
    return Region(
        OrientedBox.around(points[shown], _axes(fixed), widened_mm),
        OrientedBox.around(mapped[shown], _axes(moving), widened_mm),
        "what both volumes show",
    )


def region_of_points(
    points_lps: ArrayLike, fixed: VolumeGrid, moving: VolumeGrid, fixed_to_moving_lps: ArrayLike, margin_mm: float
) -> Region:
    """Region around points of the fixed volume, such as landmarks or the voxels of a segment.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        In the fixed volume, LPS, mm.
    fixed, moving : VolumeGrid
        Whose axes the boxes follow.
    fixed_to_moving_lps : array, shape (4, 4)
        A prealignment.
    margin_mm : float
        Added on all sides.

    Returns
    -------
    Region
        Boxes in both volumes.
    """
    points = np.asarray(points_lps, dtype=np.float64)
    return Region(
        OrientedBox.around(points, _axes(fixed), margin_mm),
        OrientedBox.around(apply_matrix(fixed_to_moving_lps, points), _axes(moving), margin_mm),
        "the points given, with a margin",
    )


def region_of_box(box: OrientedBox, moving: VolumeGrid, fixed_to_moving_lps: ArrayLike) -> Region:
    """Region of a user's box in the fixed volume: the box itself, and what it holds in the moving volume.

    Parameters
    ----------
    box : OrientedBox
        World coordinates of the fixed volume.
    moving : VolumeGrid
        Whose axes the other box follows.
    fixed_to_moving_lps : array, shape (4, 4)
        A prealignment.

    Returns
    -------
    Region
        Boxes in both volumes.
    """
    return Region(box, box.seen_from(fixed_to_moving_lps, _axes(moving)), "the ROI given")


def _axes(grid: VolumeGrid) -> NDArray[np.float64]:
    return np.asarray(grid.direction).reshape(3, 3)


def _sample_points(grid: VolumeGrid, mask: NDArray[np.uint8] | None) -> NDArray[np.float64]:
    """Voxels at most three mm apart, of the mask if there is one, shape (N, 3), LPS; the outermost ones included."""
    axes = []
    for count, spacing in zip(grid.size, grid.spacing_mm, strict=True):
        step_mm = min(_SAMPLE_MM, count * spacing / _MIN_SAMPLES)
        axes.append(
            np.unique(np.linspace(0, count - 1, int(np.ceil(count * spacing / step_mm)) + 1).round().astype(int))
        )
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    if mask is not None:
        i, j, k = index.T
        index = index[mask[k, j, i] > 0]
    return apply_matrix(grid.ijk_to_lps, index)


def _is_marked(grid: VolumeGrid, mask: NDArray[np.uint8] | None, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
    index = np.rint(apply_matrix(np.linalg.inv(grid.ijk_to_lps), points_lps)).astype(int)
    inside: NDArray[np.bool_] = np.all((index >= 0) & (index < np.asarray(grid.size)), axis=1)
    if mask is not None:
        i, j, k = index[inside].T
        inside[inside] = np.asarray(mask[k, j, i] > 0)
    return inside


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
    if np.any(size < np.minimum(_MIN_VOXELS, grid.size)):
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
    if np.prod(size) > _MAX_VOXELS or np.any(size < np.minimum(_MIN_VOXELS, grid.size)):
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
