"""The region that both volumes show, as a box in each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.box import OrientedBox
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix

__all__ = ["DEFAULT_MARGIN_MM", "Region", "common_region", "region_of_box", "region_of_points"]

DEFAULT_MARGIN_MM = 10.0
_SAMPLE_MM = 3.0
_FEWEST_SAMPLES = 64


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
    widened_mm = margin_mm + min(_SAMPLE_MM, float(fixed.extent_mm.max()) / _FEWEST_SAMPLES)
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
        step_mm = min(_SAMPLE_MM, count * spacing / _FEWEST_SAMPLES)
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
