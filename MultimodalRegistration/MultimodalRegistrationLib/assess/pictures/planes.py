"""Planes through volumes along the patient's axes, whatever the grids of the volumes, and how bright they are shown.

Pictures follow the radiological convention: the patient is seen from the feet and from the front, so that the right
side is on the left of axial and coronal planes. Anterior is up in axial planes and on the left of sagittal ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ...core.grid import VolumeGrid
from ...core.volume import Volume
from ...preprocess.intensities import guess_modality, hounsfield_offset

_CT_WINDOW_HU = (-200.0, 400.0)
_WINDOW_PERCENTILES = (2.0, 99.5)
_MAX_SAMPLE = 2_000_000
_EDGE_VARIANCE_PX2 = 6.0
# Edges start where the gradient is among the strongest, and go on while it is not much weaker.
_STRONG_PERCENTILE = 93.0
_WEAKER = 0.25
# Of the steepest gradient, where nearly all of a plane is flat.
_WEAKEST = 0.15
_STEEPEST_PERCENTILE = 99.9
_RANGE = 1000.0
# The flattest quarter of a plane is noise. Gradients of noise are distributed as Rayleigh says: less than 0.01 % and
# 20 % of them are so many times as steep as the steepest of that quarter.
_FLAT_PERCENTILE = 25.0
_ABOVE_NOISE = 5.8
_WEAK_ABOVE_NOISE = 2.4


@dataclass(frozen=True)
class Plane:
    """How a plane lies in the patient and in a picture.

    Parameters
    ----------
    name : str
        Axial, coronal or sagittal, in small letters.
    right_lps, down_lps : tuple of 3 int
        Where the picture's axes point in the patient.
    letters : tuple of 4 str
        The patient's sides at the left, right, upper and lower edge.
    normal : int
        The axis of LPS that it is perpendicular to.
    """

    name: str
    right_lps: tuple[int, int, int]
    down_lps: tuple[int, int, int]
    letters: tuple[str, str, str, str]
    normal: int


PLANES = (
    Plane("axial", (1, 0, 0), (0, 1, 0), ("R", "L", "A", "P"), 2),
    Plane("coronal", (1, 0, 0), (0, 0, -1), ("R", "L", "S", "I"), 1),
    Plane("sagittal", (0, 1, 0), (0, 0, -1), ("A", "P", "S", "I"), 0),
)


@dataclass(frozen=True)
class PlaneWindow:
    """The part of a plane that a picture shows.

    Parameters
    ----------
    plane : Plane
        Its axes.
    center_lps : tuple of 3 float
        The point in the middle of it, mm.
    mm_per_pixel : float
        Along both axes.
    width, height : int
        Pixels.
    """

    plane: Plane
    center_lps: tuple[float, float, float]
    mm_per_pixel: float
    width: int
    height: int

    @property
    def grid(self) -> VolumeGrid:
        """One layer of voxels, I along the picture to the right and J down; all sides are ``mm_per_pixel`` long."""
        right, down = np.array(self.plane.right_lps, float), np.array(self.plane.down_lps, float)
        matrix = np.eye(4)
        matrix[:3, :3] = np.column_stack([right, down, np.cross(right, down)]) * self.mm_per_pixel
        matrix[:3, 3] = self.center_lps - matrix[:3, :3] @ ((self.width - 1) / 2, (self.height - 1) / 2, 0)
        return VolumeGrid.of_matrix((self.width, self.height, 1), matrix)

    def pixel(self, point_lps: ArrayLike) -> tuple[float, float]:
        """Where a point, shape (3,), LPS, mm, projects to: pixels to the right and down from the first one's centre."""
        grid = self.grid
        offset = np.asarray(point_lps, float) - np.asarray(grid.origin_lps)
        x, y = (float(np.dot(offset, axis)) / self.mm_per_pixel for axis in (self.plane.right_lps, self.plane.down_lps))
        return x, y


def cut(image: sitk.Image, transform: sitk.Transform, window: PlaneWindow) -> NDArray[np.float32]:
    """Cut a plane through a volume.

    Parameters
    ----------
    image : SimpleITK.Image
        Scalar, on any grid.
    transform : SimpleITK.Transform
        From points of the plane to points of the volume, LPS, mm.
    window : PlaneWindow
        What to show.

    Returns
    -------
    array, shape (height, width)
        Intensities by linear interpolation; NaN where the volume does not reach.
    """
    return resampled(image, transform, window.grid)[0]


def resampled(
    image: sitk.Image, transform: sitk.Transform, grid: VolumeGrid, interpolator: int = sitk.sitkLinear
) -> NDArray[np.float32]:
    """Voxels of an image on a grid, shape (K, J, I), NaN where the image does not reach."""
    place = grid.size, transform, interpolator, grid.origin_lps, grid.spacing_mm, grid.direction
    return np.asarray(sitk.GetArrayFromImage(sitk.Resample(image, *place, float("nan"), sitk.sitkFloat32)))


def strong_edges(plane: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The strongest edges of a plane, one or two pixels wide: gradient maxima of the smoothed plane.

    Parameters
    ----------
    plane : array, shape (height, width)
        NaN where there is nothing; the border of that is no edge.

    Returns
    -------
    array, shape (height, width)
        True on an edge.
    """
    inside = np.isfinite(plane)
    if not inside.any():
        return np.zeros(plane.shape, dtype=bool)
    low, high = (float(value) for value in np.percentile(plane[inside], [1, 99]))
    if low == high:
        return np.zeros(plane.shape, dtype=bool)
    # ITK's Canny filter adds 0.0001 to squares of gradients: of a range of one it would take all of them for edges.
    scaled = _RANGE * (np.clip(np.where(inside, plane, low), low, high) - low) / (high - low)
    image = sitk.GetImageFromArray(scaled.astype(np.float32))
    # The smoothing reaches some pixels across the border of what there is.
    inner = sitk.GetArrayFromImage(sitk.BinaryErode(sitk.GetImageFromArray(inside.astype(np.uint8)), [6, 6])) > 0
    if not inner.any():
        return np.zeros(plane.shape, dtype=bool)
    gradient = sitk.GetArrayFromImage(sitk.GradientMagnitudeRecursiveGaussian(image, np.sqrt(_EDGE_VARIANCE_PX2)))
    flat, usual, steepest = (
        float(steepness)
        for steepness in np.percentile(gradient[inner], [_FLAT_PERCENTILE, _STRONG_PERCENTILE, _STEEPEST_PERCENTILE])
    )
    strong = max(usual, _WEAKEST * steepest, _ABOVE_NOISE * flat)
    weak = max(_WEAKER * strong, _WEAK_ABOVE_NOISE * flat)
    edges = sitk.CannyEdgeDetection(
        image, lowerThreshold=weak, upperThreshold=strong, variance=[_EDGE_VARIANCE_PX2] * 2
    )
    return np.asarray((sitk.GetArrayFromImage(edges) > 0) & inner)


def display_window(volume: Volume, voxels: NDArray[Any]) -> tuple[float, float]:
    """Intensities to show as black and as white: soft tissue and bone in a CT, otherwise nearly all there is."""
    modality = guess_modality(volume)
    if modality != "other":
        offset = hounsfield_offset(modality)
        return _CT_WINDOW_HU[0] - offset, _CT_WINDOW_HU[1] - offset
    sample = finite_sample(voxels)
    # Padding and what was cut away can be most of a volume, and would make the rest too bright.
    content = sample[sample > sample.min()]
    low = np.percentile(sample, _WINDOW_PERCENTILES[0])
    high = np.percentile(content if content.size else sample, _WINDOW_PERCENTILES[1])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def finite_sample(voxels: NDArray[Any]) -> NDArray[Any]:
    """Some of the voxels, evenly spread, without those that are not finite; one zero where there are none."""
    flat = voxels.ravel()[:: max(1, voxels.size // _MAX_SAMPLE)]
    finite = flat[np.isfinite(flat)]
    return finite if finite.size else np.zeros(1, dtype=np.float32)
