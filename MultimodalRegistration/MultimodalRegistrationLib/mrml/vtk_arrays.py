"""Arrays as VTK objects, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from numpy.typing import ArrayLike, NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy


def matrix_from_vtk(matrix: Any) -> NDArray[np.float64]:
    """Copy a ``vtkMatrix4x4`` to an array, shape (4, 4)."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def vtk_from_matrix(matrix: ArrayLike) -> Any:
    """Make a ``vtkMatrix4x4`` of a matrix, shape (4, 4)."""
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=np.float64).ravel())
    return result


def points_from_vtk(points: Any) -> NDArray[np.float64]:
    """Copy ``vtkPoints`` to an array, shape (N, 3)."""
    return np.array(vtk_to_numpy(points.GetData()), dtype=np.float64).reshape(-1, 3)


def vtk_from_points(points: ArrayLike) -> Any:
    """Make ``vtkPoints`` in double precision of points, shape (N, 3)."""
    result = vtk.vtkPoints()
    result.SetDataTypeToDouble()
    values = np.ascontiguousarray(np.asarray(points, dtype=np.float64).reshape(-1, 3))
    result.SetData(numpy_to_vtk(values, deep=True))
    return result


def transform_points(transform: Any, points: ArrayLike) -> NDArray[np.float64]:
    """Map points, shape (N, 3), by a ``vtkAbstractTransform``."""
    mapped = vtk_from_points(np.empty((0, 3)))
    transform.TransformPoints(vtk_from_points(points), mapped)
    return points_from_vtk(mapped)
