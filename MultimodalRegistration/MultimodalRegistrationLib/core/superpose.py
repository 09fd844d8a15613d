"""Rigid fits of many sets of pairs at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["superpose"]


def superpose(
    fixed_lps: NDArray[np.float64],
    moving_lps: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    *,
    mirrored: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares rotations and translations of sets of pairs (Kabsch 1976, doi:10.1107/S0567739476001873).

    Parameters
    ----------
    fixed_lps, moving_lps : array, shape (..., N, 3)
        Partners, LPS, mm.
    weights : array, shape (..., N), optional
        Of the squared distances; all one by default.
    mirrored : bool, optional
        Fit a rotation and a reflection instead of a proper rotation.

    Returns
    -------
    rotation : array, shape (..., 3, 3)
        Of ``fixed_to_moving_lps``.
    translation : array, shape (..., 3)
        Of ``fixed_to_moving_lps``, mm.
    squares : array, shape (...,)
        Sum of squared distances between the partners, mm^2.
    """
    each = np.ones(fixed_lps.shape[-2]) if weights is None else weights
    share = (each / each.sum(axis=-1, keepdims=True))[..., None]
    center_fixed, center_moving = (share * fixed_lps).sum(axis=-2), (share * moving_lps).sum(axis=-2)
    fixed, moving = fixed_lps - center_fixed[..., None, :], moving_lps - center_moving[..., None, :]
    u, _, vt = np.linalg.svd(np.swapaxes(share * moving, -1, -2) @ fixed)
    signs = np.ones(u.shape[:-1])
    signs[..., 2] = np.linalg.det(u) * np.linalg.det(vt) * (-1.0 if mirrored else 1.0)
    rotation = (u * signs[..., None, :]) @ vt
    translation = center_moving - (rotation @ center_fixed[..., None])[..., 0]
    squares = np.sum(each[..., None] * (moving - fixed @ np.swapaxes(rotation, -1, -2)) ** 2, axis=(-1, -2))
    return rotation, translation, squares
