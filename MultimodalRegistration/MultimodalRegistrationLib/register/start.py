"""Where a run begins, before any search."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, translation_matrix
from ..core.volume import Volume

__all__ = ["START_METHODS", "StartMethod", "center_start", "choose_start", "moments_start"]

StartMethod = Literal["auto", "center", "moments", "given"]
START_METHODS: tuple[StartMethod, ...] = get_args(StartMethod)


def center_start(fixed: VolumeGrid, moving: VolumeGrid) -> NDArray[np.float64]:
    """Start transform that puts the centres of the two volumes onto each other.

    Parameters
    ----------
    fixed, moving : VolumeGrid
        World coordinates.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``, a translation in mm.
    """
    return translation_matrix(moving.center_lps - fixed.center_lps)


def moments_start(
    fixed: Volume, moving: Volume, fixed_mask: Volume | None = None, moving_mask: Volume | None = None
) -> NDArray[np.float64]:
    """Start transform that puts the centres of mass of the intensities onto each other.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; intensities above the mean count.
    fixed_mask, moving_mask : Volume, optional
        Zeros and ones on the volume's grid; only marked voxels count.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``, a translation in mm.
    """
    return translation_matrix(_center_of_mass_lps(moving, moving_mask) - _center_of_mass_lps(fixed, fixed_mask))


def _center_of_mass_lps(volume: Volume, mask: Volume | None) -> NDArray[np.float64]:
    voxels = np.asarray(volume.voxels, dtype=np.float64)
    # Only what is brighter than the mean: neither noise nor a padding value far below all tissue may outweigh it.
    marked = np.ones(voxels.shape, dtype=bool) if mask is None else mask.voxels > 0
    weights = np.where(marked, np.maximum(voxels - voxels[marked].mean(), 0.0), 0.0)
    total = weights.sum()
    if total <= 0:
        return volume.grid.center_lps
    mean = [
        float((weights.sum(axis=tuple({0, 1, 2} - {axis})) @ np.arange(weights.shape[axis])) / total)
        for axis in (2, 1, 0)
    ]
    return apply_matrix(volume.grid.ijk_to_lps, mean)


def choose_start(
    method: StartMethod,
    fixed: Volume,
    moving: Volume,
    given_fixed_to_moving_lps: ArrayLike | None,
    given_name: str,
    *,
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
) -> tuple[NDArray[np.float64], str]:
    """The transform that a run starts from or searches around.

    Parameters
    ----------
    method : str
        One of :data:`START_METHODS`.
    fixed, moving : Volume
        World coordinates.
    given_fixed_to_moving_lps : array, shape (4, 4), or None
        Initial transform of the user.
    given_name : str
        What messages call it.
    fixed_mask, moving_mask : Volume, optional
        Zeros and ones on the volume's grid.

    Returns
    -------
    fixed_to_moving_lps : array, shape (4, 4)
        The initial transform, or the positions in the files where none was given, for ``auto`` and ``given``.
    words : str
        What it is, for messages.

    Raises
    ------
    InputError
        An unknown method, or an initial transform together with a method that does not use it.
    """
    if method not in START_METHODS:
        raise InputError("start", f"'{method}' was given", f"Use one of {', '.join(START_METHODS)}.")
    if method in ("center", "moments") and given_fixed_to_moving_lps is not None:
        raise InputError(
            given_name,
            f"an initial transform was given together with the start '{method}', which does not use it",
            "Leave one of them out, or use the start 'given' or 'auto'.",
        )
    if method == "center":
        return center_start(fixed.grid, moving.grid), "the centres aligned"
    if method == "moments":
        start = moments_start(fixed, moving, fixed_mask, moving_mask)
        return start, "the centres of mass aligned"
    if given_fixed_to_moving_lps is None:
        return np.eye(4), "the positions in the files"
    return np.asarray(given_fixed_to_moving_lps, dtype=np.float64), f"the initial transform {given_name}"
