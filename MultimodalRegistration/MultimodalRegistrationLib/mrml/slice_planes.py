"""Where the planes of slice nodes lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import vtk

from .vtk_arrays import matrix_from_vtk

__all__ = ["degrees_off_planes", "planes_cross_at"]

# Smallest singular value of the normals of planes whose crossing is worth the name; 0 where two are parallel.
_DIFFERENT = 0.05


def degrees_off_planes(slice_node: Any, volume: Any) -> float:
    """The angle between the plane of a slice node and the nearest plane of voxels of a volume, degrees.

    Parameters
    ----------
    slice_node : vtkMRMLSliceNode
        Not changed.
    volume : vtkMRMLVolumeNode
        Where it lies in the world, under linear transforms.
    """
    own, parent = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(own)
    if volume.GetParentTransformNode() is not None:
        volume.GetParentTransformNode().GetMatrixTransformToWorld(parent)
    # Rows are the normals of the planes of voxels, which are not the axes where a transform shears.
    normals = np.linalg.inv((matrix_from_vtk(parent) @ matrix_from_vtk(own))[:3, :3])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    agreement = np.abs(normals @ matrix_from_vtk(slice_node.GetSliceToRAS())[:3, 2]).max()
    return float(np.degrees(np.arccos(min(1.0, agreement))))


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
