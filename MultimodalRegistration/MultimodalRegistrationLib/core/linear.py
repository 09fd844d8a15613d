r"""Linear transforms as 4x4 homogeneous matrices, column vectors, millimetres, and their fits to pairs of points.

Fits minimise :math:`\sum_i w_i \lVert T(x_i) - y_i \rVert^2` over the pairs :math:`(x_i, y_i)` of moving and fixed
points, so errors are distances at the fixed points. Translation, rigid and similarity give the exact inverse when the
two lists are exchanged; an affine fit does not, because errors are then counted on the other side.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

LARGEST_CONDITION = 1e6
_PHI = np.sqrt(2.0)
_PSI = 1.533751168755204288118041  # positive root of psi^4 = psi + 4
_COARSE_COUNT = 400
# Of the squared extent: a misfit below is none.
_ROUNDING = 1e-18


def apply_matrix(matrix: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Map points by a linear transform.

    Parameters
    ----------
    matrix : array, shape (4, 4)
        Homogeneous transform.
    points : array, shape (..., 3)
        Points in mm, in the frame of the domain of ``matrix``.

    Returns
    -------
    array, shape (..., 3)
        Mapped points in mm.
    """
    m = np.asarray(matrix, dtype=np.float64)
    return np.asarray(np.asarray(points, dtype=np.float64) @ m[:3, :3].T + m[:3, 3])


def displacement_mm(matrix_a: ArrayLike, matrix_b: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Distance between the images of points under two transforms.

    Parameters
    ----------
    matrix_a, matrix_b : array, shape (4, 4)
        Transforms with the same domain and codomain.
    points : array, shape (N, 3)
        Points in mm.

    Returns
    -------
    array, shape (N,)
        Distances in mm. With the true transform as ``matrix_b`` this is the target registration error.
    """
    difference = apply_matrix(matrix_a, points) - apply_matrix(matrix_b, points)
    return np.asarray(np.linalg.norm(difference, axis=-1))


def translation_matrix(translation_mm: ArrayLike) -> NDArray[np.float64]:
    """Homogeneous matrix of a translation, shape (4, 4), from a vector in mm, shape (3,)."""
    matrix = np.eye(4)
    matrix[:3, 3] = np.asarray(translation_mm, dtype=np.float64)
    return matrix


def condition_number(matrix: ArrayLike) -> float:
    """Condition number of the linear part of ``matrix``, shape (4, 4); infinite when an entry is not finite.

    Above :data:`LARGEST_CONDITION` a transform flattens space and cannot be inverted usefully.
    """
    m = np.asarray(matrix, dtype=np.float64)
    return float(np.linalg.cond(m[:3, :3])) if np.all(np.isfinite(m)) else float("inf")


def is_rigid(matrix: ArrayLike, tolerance: float = 1e-5) -> bool:
    """Tell whether a transform is a rotation and a translation, without reflection.

    Parameters
    ----------
    matrix : array, shape (4, 4)
        Homogeneous transform.
    tolerance : float
        Largest accepted entry of ``R^T R - I``.
    """
    rotation = np.asarray(matrix, dtype=np.float64)[:3, :3]
    orthonormal = np.abs(rotation.T @ rotation - np.eye(3)).max() <= tolerance
    return bool(orthonormal and np.linalg.det(rotation) > 0)


def closest_rotation(matrix: ArrayLike) -> NDArray[np.float64]:
    """The proper rotation, shape (3, 3), closest to the linear part of ``matrix``, shape (4, 4).

    The orthogonal polar factor, with the sign that makes its determinant one (Kabsch 1976,
    doi:10.1107/S0567739476001873).
    """
    u, _, vt = np.linalg.svd(np.asarray(matrix, dtype=np.float64)[:3, :3])
    return np.asarray(u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt)


def rotation_angle_deg(matrix: ArrayLike) -> float:
    """Angle of the rotation closest to the linear part of ``matrix``, shape (4, 4), in degrees (0 to 180).

    The closest rotation is the orthogonal polar factor; the angle follows from its trace.
    """
    rotation = closest_rotation(matrix)
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1.0) / 2.0, -1.0, 1.0))))


def matrix_from_sitk(transform: sitk.Transform) -> NDArray[np.float64]:
    """Read a linear SimpleITK transform of any class, composites included, as a matrix.

    Parameters
    ----------
    transform : SimpleITK.Transform
        Three-dimensional and linear.

    Returns
    -------
    array, shape (4, 4)
        LPS, in the direction of ``transform``.

    Raises
    ------
    ValueError
        The transform is not linear or not three-dimensional.
    """
    if transform.GetDimension() != 3:
        raise ValueError(f"a {transform.GetDimension()}D transform")
    if not transform.IsLinear():
        raise ValueError("a non-linear transform")
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    matrix[:3, 3] = origin
    for axis in range(3):
        matrix[:3, axis] = np.array(transform.TransformPoint(tuple(np.eye(3)[axis]))) - origin
    return matrix


def sitk_from_matrix(matrix: ArrayLike) -> sitk.AffineTransform:
    """Make a SimpleITK affine transform (centre at the origin) of a matrix, shape (4, 4), LPS."""
    m = np.asarray(matrix, dtype=np.float64)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(m[:3, :3].ravel().tolist())
    transform.SetTranslation(m[:3, 3].tolist())
    return transform


def even_rotations(largest_deg: float = 180.0, count: int = _COARSE_COUNT) -> NDArray[np.float64]:
    """Rotations by up to an angle, spread evenly, the identity first.

    A super-Fibonacci spiral on the unit quaternions (Alexa 2022, doi:10.1109/CVPR52688.2022.00811): for any number of
    points nearly as even as the best known sets.

    Parameters
    ----------
    largest_deg : float
        Largest angle from the identity.
    count : int
        How many cover all orientations. Fewer lie within a smaller angle.

    Returns
    -------
    array, shape (N, 3, 3)
        Rotation matrices.
    """
    # Few runs need it, and the import would slow the start of all.
    from scipy.spatial.transform import Rotation

    s = np.arange(count) + 0.5
    t = s / len(s)
    r, big_r = np.sqrt(t), np.sqrt(1 - t)
    alpha, beta = 2 * np.pi * s / _PHI, 2 * np.pi * s / _PSI
    spiral = Rotation.from_quat(
        np.stack([r * np.sin(alpha), r * np.cos(alpha), big_r * np.sin(beta), big_r * np.cos(beta)], axis=1)
    )
    near = spiral[np.rad2deg(spiral.magnitude()) <= largest_deg]
    return np.concatenate([np.eye(3)[None], near.as_matrix()])


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
