"""Sums of squared residuals of many sets of pairs at once."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.superpose import superpose

__all__ = ["Linear", "misfit"]

Linear = Literal["translation", "rigid", "similarity", "affine"]


def misfit(
    fixed_lps: NDArray[np.float64],
    moving_lps: NDArray[np.float64],
    model: Linear,
    weights: NDArray[np.float64] | None = None,
    *,
    mirrored: bool = False,
) -> NDArray[np.float64]:
    """Sum of squared distances of partners after the best fit, mm^2.

    Parameters
    ----------
    fixed_lps, moving_lps : array, shape (..., N, 3)
        Partners, LPS, mm.
    model : {"translation", "rigid", "similarity", "affine"}
        Of ``fixed_to_moving_lps``.
    weights : array, shape (..., N), optional
        Of the squared distances; all one by default.
    mirrored : bool, optional
        With a reflection (rigid and similarity).

    Returns
    -------
    array, shape (...,)
        Sums of squares in the moving frame.
    """
    each = np.ones(fixed_lps.shape[-2]) if weights is None else weights
    share = (each / each.sum(axis=-1, keepdims=True))[..., None]
    fixed = fixed_lps - np.sum(share * fixed_lps, axis=-2, keepdims=True)
    moving = moving_lps - np.sum(share * moving_lps, axis=-2, keepdims=True)
    if model == "translation":
        return np.asarray(np.sum(each[..., None] * (moving - fixed) ** 2, axis=(-1, -2)))
    if model == "affine":
        root = np.sqrt(each)[..., None]
        fixed, moving = root * fixed, root * moving
        residual = moving - fixed @ (np.linalg.pinv(fixed) @ moving)
        return np.asarray(np.sum(residual**2, axis=(-1, -2)))
    rotation, _, squares = superpose(fixed, moving, each, mirrored=mirrored)
    if model == "rigid":
        return squares
    mapped = fixed @ np.swapaxes(rotation, -1, -2)
    scale = np.sum(share * mapped * moving, axis=(-1, -2)) / np.maximum(np.sum(share * fixed**2, axis=(-1, -2)), 1e-12)
    return np.asarray(np.sum(each[..., None] * (moving - scale[..., None, None] * mapped) ** 2, axis=(-1, -2)))
