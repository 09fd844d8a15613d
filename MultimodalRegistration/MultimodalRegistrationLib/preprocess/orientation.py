"""How the axes of a voxel grid lie in the patient, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..core.grid import VolumeGrid
from ..core.linear import rotation_angle_deg

__all__ = ["Orientation", "describe_orientation", "shear_angle_deg"]

# Ends of the patient axes in LPS: towards smaller and towards larger coordinates.
_ENDS = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
_SLICES = ("sagittal", "coronal", "axial")
_OBLIQUE_FROM_DEG = 0.5


@dataclass(frozen=True)
class Orientation:
    """The patient axes nearest to those of a grid.

    Parameters
    ----------
    slices : str
        ``axial``, ``coronal`` or ``sagittal``: what a slice of constant K is nearest to.
    ends : tuple of 3 pairs of str
        For I, J and K the ends of the patient where the index is smallest and largest, such as ``("right", "left")``.
    oblique_deg : float
        Angle of the rotation from those patient axes to the grid.
    left_handed : bool
        Whether I, J, K form a left-handed system, as in some NIfTI files.
    """

    slices: str
    ends: tuple[tuple[str, str], ...]
    oblique_deg: float
    left_handed: bool

    @property
    def words(self) -> str:
        """For example ``axial, right-left / anterior-posterior / inferior-superior, oblique by 12 degrees``."""
        axes = " / ".join(f"{first}-{last}" for first, last in self.ends)
        tilt = f", oblique by {self.oblique_deg:.0f} degrees" if self.oblique_deg >= _OBLIQUE_FROM_DEG else ""
        if 0 < self.oblique_deg < 1 and tilt:
            tilt = f", oblique by {self.oblique_deg:.1f} degrees"
        return f"{self.slices}, {axes}{tilt}{', left-handed storage' if self.left_handed else ''}"


def describe_orientation(grid: VolumeGrid) -> Orientation:
    """Name the axes of a grid.

    Parameters
    ----------
    grid : VolumeGrid
        Its axes need not be perpendicular.

    Returns
    -------
    Orientation
        The patient axes for which the sum of the cosines is largest, each used once: the smallest rotation.
    """
    # Damaged headers are described too; what is not a number there points nowhere.
    direction = np.nan_to_num(np.asarray(grid.direction).reshape(3, 3), posinf=0.0, neginf=0.0)
    patient_axis, grid_axis = linear_sum_assignment(-np.abs(direction))
    nearest = np.zeros((4, 4))
    nearest[patient_axis, grid_axis] = np.where(direction[patient_axis, grid_axis] < 0, -1.0, 1.0)
    rotation = np.eye(4)
    rotation[:3, :3] = direction @ nearest[:3, :3].T
    ends = []
    for axis in range(3):
        patient = int(np.abs(nearest[:3, axis]).argmax())
        first, last = _ENDS[patient]
        ends.append((first, last) if nearest[patient, axis] > 0 else (last, first))
    return Orientation(
        slices=_SLICES[int(np.abs(nearest[:3, 2]).argmax())],
        ends=tuple(ends),
        oblique_deg=rotation_angle_deg(rotation),
        left_handed=bool(np.linalg.det(direction) < 0),
    )


def shear_angle_deg(grid: VolumeGrid) -> float:
    """How far the two axes that are least perpendicular are from a right angle, in degrees."""
    direction: NDArray[np.float64] = np.asarray(grid.direction).reshape(3, 3)
    cosines = (direction.T @ direction)[np.triu_indices(3, 1)]
    return float(np.degrees(np.arcsin(np.clip(np.abs(cosines).max(), 0.0, 1.0))))
