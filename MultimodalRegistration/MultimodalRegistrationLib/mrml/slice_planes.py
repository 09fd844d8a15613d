"""Where the planes of slice nodes lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk

__all__ = ["planes_cross_at"]

# Smallest singular value of the normals of planes whose crossing is worth the name; 0 where two are parallel.
_DIFFERENT = 0.05


def planes_cross_at(slice_nodes: Iterable[Any]) -> list[float] | None:
    """Where the planes of slice nodes cross.

    Parameters
    ----------
    slice_nodes : iterable of vtkMRMLSliceNode
        Of parallel ones the first counts.

    Returns
    -------
    list of 3 float, or None
        World coordinates, RAS, mm; None without three planes of different directions.
    """
    normals, distances = np.empty((0, 3)), []
    for node in slice_nodes:
        plane = matrix_from_vtk(node.GetSliceToRAS())
        more = np.vstack([normals, plane[:3, 2]])
        if np.linalg.svd(more, compute_uv=False).min() > _DIFFERENT:
            normals = more
            distances.append(plane[:3, 2] @ plane[:3, 3])
        if len(distances) == 3:
            crossing: list[float] = np.linalg.solve(normals, distances).tolist()
            return crossing
    return None
