"""A CT and a T1 scan of the head phantom as nodes, at known poses: made on the spot, nothing is downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk

from MultimodalRegistrationLib.geometry.frames import flip_ijk_to_space, flip_matrix_lps_ras
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.linear import displacement_mm
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix
from MultimodalRegistrationLib.phantom import make_head, target_points_lps

__all__ = ["add_phantom_pair", "pose_error_mm"]


def _pose(axis: tuple[float, float, float], angle_deg: float, translation_mm: tuple[float, float, float]) -> Any:
    transform = vtk.vtkTransform()
    transform.Translate(*translation_mm)
    transform.RotateWXYZ(angle_deg, *axis)
    return matrix_from_vtk(transform.GetMatrix())


_CT_POSE = _pose((0.2, -0.1, 1.0), 9.0, (14.0, -28.0, 43.0))
_MR_POSE = _pose((1.0, 0.6, -0.4), 21.0, (-20.0, 24.0, 60.0))


def add_phantom_pair(scene: Any) -> tuple[Any, Any]:
    """Add two scans of the phantom.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the nodes.

    Returns
    -------
    mr_node, ct_node : vtkMRMLScalarVolumeNode
        The T1 scan, and the CT that belongs onto it.
    """
    mr = make_head("T1", _grid((70, 64, 80), (2.6, 3.4, 2.5), _MR_POSE), _MR_POSE, seed=2)
    ct = make_head("CT", _grid((84, 96, 52), (2.2, 2.2, 4.5), _CT_POSE), _CT_POSE, seed=1)
    return _add(scene, mr, "Phantom T1"), _add(scene, ct, "Phantom CT")


def pose_error_mm(transform_node: Any) -> float:
    """How far a result lies from the known one: mean over the targets in the head, in mm.

    Parameters
    ----------
    transform_node : vtkMRMLTransformNode
        Linear; from the CT to the T1 scan.
    """
    matrix = vtk.vtkMatrix4x4()
    transform_node.GetMatrixTransformToWorld(matrix)
    found_lps = flip_matrix_lps_ras(matrix_from_vtk(matrix))
    expected_lps: NDArray[np.float64] = _MR_POSE @ np.linalg.inv(_CT_POSE)
    return float(displacement_mm(found_lps, expected_lps, target_points_lps(_CT_POSE)).mean())


def _grid(size: tuple[int, int, int], spacing_mm: tuple[float, float, float], pose: Any) -> VolumeGrid:
    """A grid around the head, along the axes of the world."""
    matrix = np.diag([*spacing_mm, 1.0])
    matrix[:3, 3] = pose[:3, 3] - matrix[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return VolumeGrid.of_matrix(size, matrix)


def _add(scene: Any, volume: Volume, name: str) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    image = vtk.vtkImageData()
    image.SetDimensions(*volume.grid.size)
    image.GetPointData().SetScalars(numpy_to_vtk(np.array(volume.voxels).ravel(), deep=True))
    node.SetIJKToRASMatrix(vtk_from_matrix(flip_ijk_to_space(volume.grid.ijk_to_lps)))
    node.SetAndObserveImageData(image)
    node.CreateDefaultDisplayNodes()
    return node
