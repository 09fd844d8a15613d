r"""Closed-form linear transforms from pairs of points, with weights.

All of them minimise :math:`\sum_i w_i \lVert T(x_i) - y_i \rVert^2` over the pairs :math:`(x_i, y_i)` of moving and
fixed points, so errors are distances at the fixed points. Translation, rigid and similarity give the exact inverse
when the two lists are exchanged; an affine fit does not, because errors are then counted on the other side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .superpose import superpose

__all__ = ["fit_affine", "fit_rigid", "fit_similarity", "fit_translation"]

# Of the squared extent: a misfit below is none.
_ROUNDING = 1e-18


def fit_translation(
    moving_lps: ArrayLike, fixed_lps: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Best translation.

    Parameters
    ----------
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs of points, LPS, mm; N at least 1.
    weights : array, shape (N,), optional
        Positive; equal by default.

    Returns
    -------
    array, shape (4, 4)
        ``moving_to_fixed_lps``.
    """
    moving, fixed, share = _as_pairs(moving_lps, fixed_lps, weights)
    return _about_centroids(np.eye(3), share @ moving, share @ fixed)


def fit_rigid(
    moving_lps: ArrayLike, fixed_lps: ArrayLike, weights: ArrayLike | None = None, *, reflection: bool = False
) -> NDArray[np.float64]:
    """Best rotation and translation.

    Parameters
    ----------
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs of points, LPS, mm; at least 3 that are not on one line.
    weights : array, shape (N,), optional
        Positive; equal by default.
    reflection : bool, optional
        Whether a rotation with a reflection may be the answer; it is when it leaves less than half of the misfit.

    Returns
    -------
    array, shape (4, 4)
        ``moving_to_fixed_lps``.

    References
    ----------
    Umeyama 1991, doi:10.1109/34.88573, equations 39 to 43 (without the scale).
    """
    moving, fixed, share = _as_pairs(moving_lps, fixed_lps, weights)
    moving_center, fixed_center = share @ moving, share @ fixed
    rotation = _rotation(moving - moving_center, fixed - fixed_center, share, reflection)
    return _about_centroids(rotation, moving_center, fixed_center)


def fit_similarity(
    moving_lps: ArrayLike, fixed_lps: ArrayLike, weights: ArrayLike | None = None, *, reflection: bool = False
) -> NDArray[np.float64]:
    r"""Best rotation, translation and one scale.

    The scale is Horn's symmetric one, :math:`(\sum w_i |y'_i|^2 / \sum w_i |x'_i|^2)^{1/2}` with points relative to
    their centroids: exchanging the lists gives its reciprocal, which the least-squares scale does not.

    Parameters
    ----------
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs of points, LPS, mm; at least 3 that are not on one line.
    weights : array, shape (N,), optional
        Positive; equal by default.
    reflection : bool, optional
        As for :func:`fit_rigid`.

    Returns
    -------
    array, shape (4, 4)
        ``moving_to_fixed_lps``.

    References
    ----------
    Horn 1987, doi:10.1364/JOSAA.4.000629, section 2.E.
    """
    moving, fixed, share = _as_pairs(moving_lps, fixed_lps, weights)
    moving_center, fixed_center = share @ moving, share @ fixed
    moving, fixed = moving - moving_center, fixed - fixed_center
    scale = np.sqrt((share @ (fixed**2).sum(axis=1)) / (share @ (moving**2).sum(axis=1)))
    return _about_centroids(scale * _rotation(scale * moving, fixed, share, reflection), moving_center, fixed_center)


def fit_affine(moving_lps: ArrayLike, fixed_lps: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Best affine transform, by weighted linear least squares.

    Parameters
    ----------
    moving_lps, fixed_lps : array, shape (N, 3)
        Pairs of points, LPS, mm; at least 4 that are not in one plane.
    weights : array, shape (N,), optional
        Positive; equal by default.

    Returns
    -------
    array, shape (4, 4)
        ``moving_to_fixed_lps``.
    """
    moving, fixed, share = _as_pairs(moving_lps, fixed_lps, weights)
    moving_center, fixed_center = share @ moving, share @ fixed
    root = np.sqrt(share)[:, None]
    solution = np.linalg.lstsq(root * (moving - moving_center), root * (fixed - fixed_center), rcond=None)[0]
    return _about_centroids(solution.T, moving_center, fixed_center)


def _as_pairs(
    moving_lps: ArrayLike, fixed_lps: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The points as arrays, and the weights so that they sum to one."""
    moving, fixed = np.asarray(moving_lps, dtype=np.float64), np.asarray(fixed_lps, dtype=np.float64)
    share = np.ones(len(moving)) if weights is None else np.asarray(weights, dtype=np.float64)
    return moving, fixed, share / share.sum()


def _rotation(
    moving: NDArray[np.float64], fixed: NDArray[np.float64], share: NDArray[np.float64], reflection: bool
) -> NDArray[np.float64]:
    rotation, _, proper = superpose(moving, fixed, share)
    if not reflection:
        return rotation
    mirror, _, mirrored = superpose(moving, fixed, share, mirrored=True)
    # Points in a plane fit both ways but for noise; the reflection has to explain at least half of the misfit.
    rounding = _ROUNDING * float(share @ ((moving - share @ moving) ** 2).sum(axis=1))
    return mirror if mirrored < 0.5 * proper and proper > rounding else rotation


def _about_centroids(
    linear: NDArray[np.float64], moving_center: NDArray[np.float64], fixed_center: NDArray[np.float64]
) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = fixed_center - linear @ moving_center
    return matrix
