"""Three planes of two volumes: the fixed one in grey, the edges of the moving one in colour on it."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from MultimodalRegistrationLib.geometry.linear import sitk_from_matrix
from MultimodalRegistrationLib.io.volumes import Volume

__all__ = ["overlay_planes"]

_EDGE_COLOUR = np.array([255, 176, 0])
_STRONGEST_EDGES = 0.10


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
    # Columns of each: direction of the picture's x axis (to the right) and y axis (down), in LPS.
    planes = (
        ((1, 0, 0), (0, 1, 0)),
        ((1, 0, 0), (0, 0, -1)),
        ((0, 1, 0), (0, 0, -1)),
    )
    pictures = []
    for right, down in planes:
        grey = _cut(fixed, np.eye(4), center, right, down, size_mm, pixels)
        colour = _cut(moving, fixed_to_moving_lps, center, right, down, size_mm, pixels)
        picture = np.repeat(_to_byte(grey)[..., None], 3, axis=2)
        picture[_edges(colour)] = _EDGE_COLOUR
        pictures.append(picture)
    return pictures


def _cut(
    volume: Volume,
    plane_to_volume_lps: ArrayLike,
    center_lps: NDArray[np.float64],
    right: tuple[int, int, int],
    down: tuple[int, int, int],
    size_mm: float,
    pixels: int,
) -> NDArray[np.float64]:
    normal = np.cross(right, down)
    direction = np.column_stack([right, down, normal]).astype(np.float64)
    spacing = size_mm / pixels
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize((pixels, pixels, 1))
    resampler.SetOutputSpacing((spacing, spacing, spacing))
    resampler.SetOutputDirection(direction.ravel().tolist())
    half = spacing * (pixels - 1) / 2
    resampler.SetOutputOrigin((center_lps - half * direction[:, 0] - half * direction[:, 1]).tolist())
    resampler.SetTransform(sitk_from_matrix(plane_to_volume_lps))
    resampler.SetDefaultPixelValue(float(volume.voxels.min()))
    plane: NDArray[np.float64] = sitk.GetArrayFromImage(resampler.Execute(volume.image))[0].astype(np.float64)
    return plane


def _to_byte(plane: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = np.percentile(plane, [2, 99.5])
    return (np.clip((plane - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)


def _edges(plane: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The strongest edges, one or two pixels wide: gradient maxima along the gradient of the smoothed plane."""
    low, high = np.percentile(plane, [1, 99])
    image = sitk.GetImageFromArray(np.clip(plane, low, high))
    edges = sitk.CannyEdgeDetection(
        sitk.Cast(image, sitk.sitkFloat32),
        lowerThreshold=0.02 * float(high - low),
        upperThreshold=_STRONGEST_EDGES * float(high - low),
        variance=[6.0, 6.0],
    )
    return np.asarray(sitk.GetArrayFromImage(edges) > 0)
