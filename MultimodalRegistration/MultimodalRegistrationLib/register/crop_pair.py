"""The two volumes cut to what both show under a pose, for the engine alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..core.grid import OrientedBox, VolumeGrid
from ..core.linear import apply_matrix
from ..engines.jobs import EngineVolume
from ..preprocess.region import common_region, voxels_in_box

__all__ = ["crop_pair"]

_FEWEST_VOXELS = 16


def crop_pair(
    sampled: EngineVolume, other: EngineVolume, pose_lps: NDArray[np.float64], margin_mm: float
) -> tuple[EngineVolume, EngineVolume]:
    """Cut both volumes to their common region.

    Parameters
    ----------
    sampled, other : EngineVolume
        The pair.
    pose_lps : array, shape (4, 4)
        ``sampled_to_other_lps``.
    margin_mm : float
        Kept on all sides: how far the pose may still be off.

    Returns
    -------
    sampled, other : EngineVolume
        Smaller grids on the same voxels, at the same place; a volume that would keep too little stays whole.
    """
    region = common_region(
        sampled.grid, other.grid, pose_lps, fixed_mask=sampled.mask, moving_mask=other.mask, margin_mm=margin_mm
    )
    if region is None:
        return sampled, other
    return _cropped(sampled, region.fixed), _cropped(other, region.moving)


def _cropped(volume: EngineVolume, box: OrientedBox) -> EngineVolume:
    low, size = voxels_in_box(volume.grid, box)
    if np.any(size < np.minimum(_FEWEST_VOXELS, volume.grid.size)):
        return volume
    i, j, k = (slice(int(first), int(first + count)) for first, count in zip(low, size, strict=True))
    matrix = volume.grid.ijk_to_lps
    matrix[:3, 3] = apply_matrix(matrix, low)
    return replace(
        volume,
        voxels=np.ascontiguousarray(volume.voxels[k, j, i]),
        grid=VolumeGrid.of_matrix((int(size[0]), int(size[1]), int(size[2])), matrix),
        mask=None if volume.mask is None else np.ascontiguousarray(volume.mask[k, j, i]),
    )
