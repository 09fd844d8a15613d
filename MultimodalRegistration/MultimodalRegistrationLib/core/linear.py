"""Linear transforms as 4x4 homogeneous matrices, column vectors, millimetres."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "LARGEST_CONDITION",
    "apply_matrix",
    "closest_rotation",
    "condition_number",
    "displacement_mm",
    "is_rigid",
    "matrix_from_sitk",
    "rotation_angle_deg",
    "sitk_from_matrix",
    "translation_matrix",
]

LARGEST_CONDITION = 1e6


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
