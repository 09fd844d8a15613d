"""How far a run may go from its start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...core.linear import apply_matrix, closest_rotation, rotation_angle_deg

__all__ = ["Bounds"]

_NEAR = 0.98
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Bounds:
    """Limits of the movement from the start, which is the identity.

    Parameters
    ----------
    center_lps : array, shape (3,)
        Point whose displacement counts as the translation, mm.
    translation_mm, rotation_deg : float
        Largest displacement of that point, and largest rotation angle. Infinity and 180 for no limit.
    """

    center_lps: NDArray[np.float64]
    translation_mm: float = np.inf
    rotation_deg: float = 180.0

    @classmethod
    def given(cls, center_lps: NDArray[np.float64], translation_mm: float | None, rotation_deg: float | None) -> Bounds:
        """Limits as a user gives them, None for no limit."""
        return cls(
            center_lps,
            np.inf if translation_mm is None else translation_mm,
            180.0 if rotation_deg is None else rotation_deg,
        )

    @property
    def are_set(self) -> bool:
        """Whether there is any limit."""
        return np.isfinite(self.translation_mm) or self.rotation_deg < 180.0

    def of(self, pose_lps: NDArray[np.float64]) -> tuple[float, float]:
        """Displacement of the centre in mm and rotation in degrees of a linear pose, shape (4, 4)."""
        displacement = apply_matrix(pose_lps, self.center_lps) - self.center_lps
        return float(np.linalg.norm(displacement)), rotation_angle_deg(pose_lps)

    def allow(self, rotations: NDArray[np.float64], centers_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether poses are within the limits.

        Parameters
        ----------
        rotations : array, shape (N, 3, 3)
            Rotation of each pose.
        centers_lps : array, shape (N, 3)
            Where each pose puts the centre.

        Returns
        -------
        array, shape (N,)
            True within.
        """
        inside = np.linalg.norm(centers_lps - self.center_lps, axis=1) <= self.translation_mm + _ROUNDING
        if self.rotation_deg < 180.0:
            cosine = np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1.0, 1.0)
            inside &= np.rad2deg(np.arccos(cosine)) <= self.rotation_deg + _ROUNDING
        return inside

    def clamp(self, pose_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The pose itself if it is within the limits, otherwise the one at the limit on the way to it, shape (4, 4).

        Scale and shear, which have no limit, stay as they are.
        """
        translation_mm, rotation_deg = self.of(pose_lps)
        if translation_mm <= self.translation_mm and rotation_deg <= self.rotation_deg:
            return pose_lps
        rotation = closest_rotation(pose_lps)
        stretch = rotation.T @ pose_lps[:3, :3]
        vector = Rotation.from_matrix(rotation).as_rotvec() * min(1.0, self.rotation_deg / max(rotation_deg, 1e-9))
        shift = apply_matrix(pose_lps, self.center_lps) - self.center_lps
        shift = shift * min(1.0, self.translation_mm / max(translation_mm, 1e-9))
        clamped = np.eye(4)
        clamped[:3, :3] = Rotation.from_rotvec(vector).as_matrix() @ stretch
        clamped[:3, 3] = self.center_lps + shift - clamped[:3, :3] @ self.center_lps
        return clamped

    def touched(self, pose_lps: NDArray[np.float64]) -> list[str]:
        """Which limits a pose, shape (4, 4), is at or beyond, in words; a limit of zero is a request, not a limit."""
        translation_mm, rotation_deg = self.of(pose_lps)
        words = []
        if translation_mm >= _NEAR * self.translation_mm > 0:
            words.append(f"the largest translation of {self.translation_mm:g} mm")
        if self.rotation_deg < 180.0 and rotation_deg >= _NEAR * self.rotation_deg > 0:
            words.append(f"the largest rotation of {self.rotation_deg:g} degrees")
        return words
