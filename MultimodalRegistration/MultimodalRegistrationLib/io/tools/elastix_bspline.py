"""The B-spline of elastix as one of SimpleITK: the same grid and coefficients, so exactly the same transform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike

__all__ = ["elastix_bspline", "moved_bspline"]


def elastix_bspline(
    order: int,
    *,
    size: Sequence[int],
    spacing_mm: ArrayLike,
    origin_lps: ArrayLike,
    direction_columns: ArrayLike,
    coefficients: ArrayLike,
    index: ArrayLike = (0, 0, 0),
) -> sitk.BSplineTransform:
    """Make the transform that elastix' parameters describe.

    Parameters
    ----------
    order : int
        Of the spline, 1 to 3.
    size : sequence of 3 int
        Nodes of the grid along each axis.
    spacing_mm, origin_lps : array_like, shape (3,)
        Of the grid; the origin belongs to the index zero.
    direction_columns : array_like, shape (9,)
        As elastix tells matrices: column by column.
    coefficients : array_like, shape (3 * nodes,)
        All of x, then those of y and z.
    index : array_like, shape (3,)
        Of the first node.
    """
    direction = np.reshape(direction_columns, (3, 3)).T
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    first_lps = np.asarray(origin_lps) + direction @ (spacing * np.asarray(index))
    transform = sitk.BSplineTransform(3, order)
    transform.SetFixedParameters([*size, *first_lps.tolist(), *spacing.tolist(), *direction.ravel().tolist()])
    transform.SetParameters(np.asarray(coefficients, dtype=np.float64).tolist())
    return transform


def moved_bspline(transform: sitk.BSplineTransform, matrix: ArrayLike) -> sitk.BSplineTransform:
    """The same bending in another frame: what ``matrix @ transform @ inv(matrix)`` would be.

    Parameters
    ----------
    transform : SimpleITK.BSplineTransform
        Three-dimensional; not changed.
    matrix : array_like, shape (4, 4)
        Rigid, from the frame of the transform to the new one, mm.

    Returns
    -------
    SimpleITK.BSplineTransform
        With the grid moved and the coefficients, which are displacements, turned.
    """
    to_new = np.asarray(matrix, dtype=np.float64)
    rotation = to_new[:3, :3]
    size, origin, spacing, direction = np.split(np.asarray(transform.GetFixedParameters()), [3, 6, 9])
    origin = rotation @ origin + to_new[:3, 3]
    direction = rotation @ direction.reshape(3, 3)
    moved = sitk.BSplineTransform(3, transform.GetOrder())
    moved.SetFixedParameters(np.concatenate([size, origin, spacing, direction.ravel()]).tolist())
    moved.SetParameters((rotation @ np.reshape(transform.GetParameters(), (3, -1))).ravel().tolist())
    return moved
