"""How much of the two volumes lies on each other, before an engine is asked to compare them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.linear import apply_matrix
from ..core.spatial import SpatialTransform, closest_affine
from ..core.volume import Volume, some_marked

__all__ = ["check_overlap", "overlap_fraction"]

_Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_POINTS_PER_AXIS = 32
# Below this share of the smaller volume there is too little in common to compare.
_SMALLEST_OVERLAP = 0.01


def overlap_fraction(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving_lps: ArrayLike | SpatialTransform,
    *,
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
) -> float:
    """Share of the smaller volume that lies inside the other one.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates.
    fixed_to_moving_lps : array, shape (4, 4), or SpatialTransform
        Transform to judge. The way back through a non-linear one is that of the affine transform closest to it.
    fixed_mask, moving_mask : Volume, optional
        Zeros and ones; only points inside both count.

    Returns
    -------
    float
        0 to 1.
    """
    if isinstance(fixed_to_moving_lps, SpatialTransform):
        to_moving: _Mapping = fixed_to_moving_lps.to_moving
        matrix = closest_affine(fixed_to_moving_lps, fixed.grid)
    else:
        matrix = np.asarray(fixed_to_moving_lps, dtype=np.float64)
        to_moving = partial(apply_matrix, matrix)
    to_fixed: _Mapping = partial(apply_matrix, np.linalg.inv(matrix))
    shares = []
    for sampled, other, mask, other_mask, mapping in (
        (fixed, moving, fixed_mask, moving_mask, to_moving),
        (moving, fixed, moving_mask, fixed_mask, to_fixed),
    ):
        points = _points(sampled, mask)
        mapped = mapping(points)
        inside = other.grid.contains(mapped)
        if other_mask is not None:
            inside[inside] = _values_at(other_mask, mapped[inside]) > 0
        shares.append(float(inside.mean()))
    return max(shares)


def check_overlap(
    share: float, fixed_name: str, moving_name: str, start: str, masks: list[str], *, searched: bool = False
) -> None:
    """Refuse a start from which nothing can be compared.

    Parameters
    ----------
    share : float
        From :func:`overlap_fraction`.
    fixed_name, moving_name : str
        Files or nodes.
    start : str
        What the start is, for the message.
    masks : list of str
        Names of the masks in use.
    searched : bool
        Whether the start comes from a search already.

    Raises
    ------
    InputError
        The overlap is below 1 % of the smaller volume.
    """
    if share >= _SMALLEST_OVERLAP:
        return
    what = f"the parts marked by {' and '.join(masks)}" if masks else "the two volumes"
    raise InputError(
        moving_name,
        f"with {start}, {what} have no overlap ({share:.1%} of the smaller one lies inside the other, {fixed_name})",
        _remedy(bool(masks), searched),
    )


def _remedy(masked: bool, searched: bool) -> str:
    if masked:
        return "Check the masks and the start; masks must mark the region that both volumes show."
    if searched:
        return "Widen the bounds of the search, or check that the two volumes show the same part."
    return "Use the start 'auto' to search all poses, or give an initial transform that puts them onto each other."


def _points(volume: Volume, mask: Volume | None) -> NDArray[np.float64]:
    if mask is None:
        return volume.grid.sample_points_lps(_POINTS_PER_AXIS)
    return apply_matrix(mask.grid.ijk_to_lps, some_marked(mask.voxels, _POINTS_PER_AXIS**3))


def _values_at(mask: Volume, points_lps: NDArray[np.float64]) -> NDArray[Any]:
    index = np.rint(apply_matrix(np.linalg.inv(mask.grid.ijk_to_lps), points_lps)).astype(int)
    index = np.clip(index, 0, np.asarray(mask.grid.size) - 1)
    voxels: NDArray[Any] = sitk.GetArrayViewFromImage(mask.image)
    return voxels[index[:, 2], index[:, 1], index[:, 0]]
