"""A CT and a T1 scan of the head phantom in a scene, far apart, with landmarks, targets and the known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..core.frames import flip_matrix_lps_ras
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, displacement_mm
from ..core.phantom import HEAD_POINTS_LPS, make_head, target_points_lps
from ..core.points import LandmarkList
from .landmarks import add_landmark_node
from .volumes import add_volume_node
from .vtk_arrays import matrix_from_vtk

# The rest of the points are targets: what a transform was computed from says nothing about its error.
_LANDMARKS = ("nose", "left ear", "right ear", "vertex", "occiput")
_MARKING_ERROR_MM = 1.0

_Three = tuple[float, float, float]


def _rigid(turn_deg: _Three, position_lps: _Three) -> NDArray[np.float64]:
    """A rigid matrix, shape (4, 4), from angles about the fixed axes L, P and S and a translation in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    matrix[:3, 3] = position_lps
    return matrix


def _around(
    head_lps: NDArray[np.float64], size: tuple[int, int, int], spacing_mm: _Three, turn_deg: _Three
) -> VolumeGrid:
    """A grid about the middle of the head, its axes turned in the world."""
    matrix = _rigid(turn_deg, (0, 0, 0))
    matrix[:3, :3] *= np.asarray(spacing_mm)
    matrix[:3, 3] = head_lps[:3, 3] - matrix[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return VolumeGrid.of_matrix(size, matrix)


_CT_POSE = _rigid((4, -7, 9), (14, -28, 43))
_T1_POSE = _rigid((-31, 22, 48), (-96, 75, 205))

T1_TO_CT_LPS = _CT_POSE @ np.linalg.inv(_T1_POSE)
"""The truth, shape (4, 4): from points of the T1 scan to the same points of the CT, world LPS, mm."""


@dataclass(frozen=True)
class PhantomCase:
    """The nodes of the phantom.

    Parameters
    ----------
    ct, t1 : vtkMRMLScalarVolumeNode
        The volumes. The heads lie 221 mm apart and are turned against each other by 62 degrees; both grids are oblique.
    ct_landmarks, t1_landmarks : vtkMRMLMarkupsFiducialNode
        The same five points in each, with an error of marking of 1 mm along each axis.
    ct_targets, t1_targets : vtkMRMLMarkupsFiducialNode
        Ten other points without any error: where a transform puts those of the T1 minus those of the CT is its error.
    """

    ct: Any
    t1: Any
    ct_landmarks: Any
    t1_landmarks: Any
    ct_targets: Any
    t1_targets: Any


def add_phantom_case(scene: Any, *, seed: int = 0) -> PhantomCase:
    """Make the phantom's scans and points and add them to a scene; takes about a second and downloads nothing.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets six nodes and what displays them.
    seed : int
        Of the noise and of the errors of marking.
    """
    ct = make_head("CT", _around(_CT_POSE, (98, 112, 64), (2.1, 2.1, 3.8), (12, 0, 4)), _CT_POSE, seed=seed)
    t1 = make_head("T1", _around(_T1_POSE, (94, 102, 94), (2.4, 2.3, 2.4), (-20, 8, 37)), _T1_POSE, seed=seed + 1)
    errors = np.random.default_rng(seed).normal(0, _MARKING_ERROR_MM, (2, len(HEAD_POINTS_LPS), 3))
    ct_landmarks, ct_targets = _add_points(scene, "Phantom CT", _CT_POSE, errors[0])
    t1_landmarks, t1_targets = _add_points(scene, "Phantom T1", _T1_POSE, errors[1])
    return PhantomCase(
        add_volume_node(scene, ct, name="Phantom CT"),
        add_volume_node(scene, t1, name="Phantom T1"),
        ct_landmarks,
        t1_landmarks,
        ct_targets,
        t1_targets,
    )


def phantom_error_mm(transform_node: Any) -> float:
    """How far a transform of the T1 scan lies from the truth.

    Parameters
    ----------
    transform_node : vtkMRMLTransformNode
        Linear; from the T1 scan, where it was made, to the CT.

    Returns
    -------
    float
        Mean over points all over the head, mm.
    """
    to_world_ras = vtk.vtkMatrix4x4()
    transform_node.GetMatrixTransformToWorld(to_world_ras)
    found_lps = flip_matrix_lps_ras(matrix_from_vtk(to_world_ras))
    return float(displacement_mm(found_lps, T1_TO_CT_LPS, target_points_lps(_T1_POSE)).mean())


def _add_points(
    scene: Any, name: str, head_to_world_lps: NDArray[np.float64], errors_mm: NDArray[np.float64]
) -> tuple[Any, Any]:
    """Add the landmarks, with their errors, and the targets, without."""
    points_lps = apply_matrix(head_to_world_lps, np.array(list(HEAD_POINTS_LPS.values()), dtype=np.float64))
    marked = np.array([label in _LANDMARKS for label in HEAD_POINTS_LPS])
    nodes = []
    for what, chosen, lps in (("landmarks", marked, points_lps + errors_mm), ("targets", ~marked, points_lps)):
        labels = [label for label, taken in zip(HEAD_POINTS_LPS, chosen, strict=True) if taken]
        points = LandmarkList.of_points(f"{name} {what}", lps[chosen], labels)
        nodes.append(add_landmark_node(scene, points, name=f"{name} {what}"))
    return nodes[0], nodes[1]
