"""How far a run may go from its start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from MultimodalRegistrationLib.geometry.linear import apply_matrix

__all__ = ["Bounds"]

_NEAR = 0.98


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

    @property
    def are_set(self) -> bool:
        """Whether there is any limit."""
        return np.isfinite(self.translation_mm) or self.rotation_deg < 180.0

    def of(self, pose_lps: NDArray[np.float64]) -> tuple[float, float]:
        """Displacement of the centre in mm and rotation in degrees of a pose, shape (4, 4)."""
        u, _, vt = np.linalg.svd(pose_lps[:3, :3])
        angle = float(np.rad2deg(Rotation.from_matrix(u @ vt).magnitude()))
        return float(np.linalg.norm(apply_matrix(pose_lps, self.center_lps) - self.center_lps)), angle

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
        inside = np.linalg.norm(centers_lps - self.center_lps, axis=1) <= self.translation_mm
        if self.rotation_deg < 180.0:
            cosine = (np.trace(rotations, axis1=1, axis2=2) - 1) / 2
            inside &= cosine >= np.cos(np.deg2rad(self.rotation_deg))
        return inside

    def clamp(self, pose_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The pose itself if it is within the limits, otherwise the rigid one at the limit on the way to it, (4, 4)."""
        translation_mm, rotation_deg = self.of(pose_lps)
        if translation_mm <= self.translation_mm and rotation_deg <= self.rotation_deg:
            return pose_lps
        u, _, vt = np.linalg.svd(pose_lps[:3, :3])
        vector = Rotation.from_matrix(u @ vt).as_rotvec() * min(1.0, self.rotation_deg / max(rotation_deg, 1e-9))
        shift = apply_matrix(pose_lps, self.center_lps) - self.center_lps
        shift = shift * min(1.0, self.translation_mm / max(translation_mm, 1e-9))
        clamped = np.eye(4)
        clamped[:3, :3] = Rotation.from_rotvec(vector).as_matrix()
        clamped[:3, 3] = self.center_lps + shift - clamped[:3, :3] @ self.center_lps
        return clamped

    def touched(self, pose_lps: NDArray[np.float64]) -> list[str]:
        """Which limits a pose, shape (4, 4), is at or beyond, in words."""
        translation_mm, rotation_deg = self.of(pose_lps)
        words = []
        if translation_mm >= _NEAR * self.translation_mm:
            words.append(f"the largest translation of {self.translation_mm:g} mm")
        if self.rotation_deg < 180.0 and rotation_deg >= _NEAR * self.rotation_deg:
            words.append(f"the largest rotation of {self.rotation_deg:g} degrees")
        return words
