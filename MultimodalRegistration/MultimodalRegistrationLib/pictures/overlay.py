"""Three planes of two volumes: the fixed one in grey, the edges of the moving one in colour on it."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from MultimodalRegistrationLib.geometry.linear import sitk_from_matrix
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.pictures.colours import EDGE_COLOUR
from MultimodalRegistrationLib.pictures.planes import PLANES, PlaneWindow, cut, strong_edges

__all__ = ["overlay_planes"]


def overlay_planes(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving_lps: ArrayLike,
    *,
    center_lps: ArrayLike | None = None,
    size_mm: float = 240.0,
    pixels: int = 360,
) -> list[NDArray[np.uint8]]:
    """Cut axial, coronal and sagittal planes through both volumes.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates.
    fixed_to_moving_lps : array, shape (4, 4)
        Transform to show.
    center_lps : array, shape (3,), optional
        Where the planes cross, mm; by default the centre of the fixed volume.
    size_mm : float
        Edge length of each square plane.
    pixels : int
        Its number of pixels.

    Returns
    -------
    list of 3 arrays, shape (pixels, pixels, 3)
        RGB in radiological convention: the patient's right is on the left of the axial and coronal plane, anterior on
        the left of the sagittal one, superior and anterior are up.
    """
    center = fixed.grid.center_lps if center_lps is None else np.asarray(center_lps, dtype=np.float64)
    identity = sitk.Transform(3, sitk.sitkIdentity)
    pictures = []
    for plane in PLANES:
        window = PlaneWindow(plane, (center[0], center[1], center[2]), size_mm / pixels, pixels, pixels)
        grey = _filled(cut(fixed.image, identity, window))
        colour = cut(moving.image, sitk_from_matrix(fixed_to_moving_lps), window)
        picture = np.repeat(_to_byte(grey)[..., None], 3, axis=2)
        picture[strong_edges(colour)] = EDGE_COLOUR
        pictures.append(picture)
    return pictures


def _filled(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    inside = plane[np.isfinite(plane)]
    return np.where(np.isfinite(plane), plane, inside.min() if inside.size else 0)


def _to_byte(plane: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = np.percentile(plane, [2, 99.5])
    return (np.clip((plane - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)
