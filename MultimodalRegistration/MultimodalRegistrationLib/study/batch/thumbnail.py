"""A small picture of a result: three planes through what both volumes show, for a list of many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...assess.pictures.picture import PAINTERS, Picture, Shades, grey, write_picture
from ...assess.pictures.planes import PLANES, PlaneWindow, cut, display_window, resampled
from ...core.volume import Volume
from ...preprocess.foreground import foreground
from ...preprocess.intensities import padded_voxels

__all__ = ["HEIGHT", "WIDTH", "write_thumbnail"]

WIDTH, HEIGHT = 480, 240
_GAP = 4
# Edges are found on finer planes; reduced, their lines are one pixel wide and smooth.
_FINER = 2
_VOXELS_ACROSS = 32
_MARGIN = 0.04
# A long limb would otherwise be thin in every plane.
_LONGEST_TO_SHORTEST = 1.7
_LEAST_COMMON = 0.02
# A plane shows enough where it cuts this share of what the best one cuts: not the gap between two legs.
_SHOWS_ENOUGH = 0.8
_IDENTITY = sitk.Transform(3, sitk.sitkIdentity)


def write_thumbnail(path: Path, fixed: Volume, registered: Volume | None) -> None:
    """Write axial, coronal and sagittal planes side by side as PNG of :data:`WIDTH` by :data:`HEIGHT` pixels.

    Parameters
    ----------
    path : Path
        A ``.png`` file.
    fixed : Volume
        In grey.
    registered : Volume or None
        The moving volume where the registration put it: its edges are drawn on the fixed one. With None, the fixed
        volume is shown alone.

    Raises
    ------
    InputError
        All voxels of the fixed volume are the same, or the file cannot be written.
    """
    coarse = _coarse(fixed)
    windows = _windows(_shown_lps(coarse, registered), max(coarse.grid.spacing_mm))
    of_fixed = _shades(fixed, windows)
    if registered is None:
        planes = [grey(shades) for shades in of_fixed]
    else:
        pairs = zip(of_fixed, _shades(registered, windows), strict=True)
        planes = [PAINTERS["edges"](*pair, 1) for pair in pairs]
    page = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    left = (WIDTH - sum(plane.shape[1] // _FINER + _GAP for plane in planes) + _GAP) // 2
    for plane in planes:
        height, width = plane.shape[0] // _FINER, plane.shape[1] // _FINER
        top = (HEIGHT - height) // 2
        small = np.clip(plane, 0, 255).reshape(height, _FINER, width, _FINER, 3).mean(axis=(1, 3))
        page[top : top + height, left : left + width] = np.rint(small)
        left += width + _GAP
    write_picture(path, Picture(page, ()))


def _coarse(volume: Volume) -> Volume:
    """A few of the voxels, enough to find what is shown and how bright it is."""
    step_mm = max(volume.grid.extent_mm) / _VOXELS_ACROSS
    factors = [max(1, round(step_mm / spacing)) for spacing in volume.grid.spacing_mm]
    return Volume(sitk.Shrink(volume.image, factors), volume.name)


def _shown_lps(coarse: Volume, registered: Volume | None) -> NDArray[np.float64]:
    """Points, shape (N, 3), LPS, mm, of what both volumes show, or else of what the fixed one does."""
    shown = foreground(coarse).voxels > 0
    if registered is not None:
        there = resampled(registered.image, _IDENTITY, coarse.grid)
        seen = np.isfinite(there)
        if seen.any():
            seen &= ~padded_voxels(np.where(seen, there, there[seen].min()))[0]
        both = shown & seen
        shown = both if both.sum() > _LEAST_COMMON * shown.sum() else shown
    return coarse.grid.points_at(np.flatnonzero(shown))


def _windows(points_lps: NDArray[np.float64], step_mm: float) -> list[PlaneWindow]:
    """Three planes through the points, at one scale, that fill the picture."""
    low, high = points_lps.min(axis=0) - step_mm / 2, points_lps.max(axis=0) + step_mm / 2
    extent = np.minimum(high - low, _LONGEST_TO_SHORTEST * (high - low).min())
    cross = np.array([_good_plane(points_lps[:, axis], step_mm) for axis in range(3)])
    middle = np.clip(cross, low + extent / 2, high - extent / 2)
    extent *= 1 + 2 * _MARGIN
    sizes = np.array([[np.abs(side) @ extent for side in (plane.right_lps, plane.down_lps)] for plane in PLANES])
    mm_per_pixel = max(sizes[:, 0].sum() / (WIDTH - 2 * _GAP), sizes[:, 1].max() / HEIGHT)
    windows = []
    for plane, size in zip(PLANES, sizes, strict=True):
        center = np.where(np.arange(3) == plane.normal, cross, middle)
        width, height = (_FINER * max(1, int(side / mm_per_pixel)) for side in size)
        place = (float(center[0]), float(center[1]), float(center[2]))
        windows.append(PlaneWindow(plane, place, float(mm_per_pixel / _FINER), width, height))
    return windows


def _good_plane(along: NDArray[np.float64], step_mm: float) -> float:
    """The position nearest to the middle at which a plane cuts about as much as at the best one."""
    number = np.rint((along - along.min()) / step_mm).astype(int)
    counts = np.bincount(number)
    enough = np.flatnonzero(counts >= _SHOWS_ENOUGH * counts.max())
    nearest = enough[np.argmin(np.abs(enough - (counts.size - 1) / 2))]
    return float(along.min() + nearest * step_mm)


def _shades(volume: Volume, windows: list[PlaneWindow]) -> list[Shades]:
    """Planes of a volume, from black to white."""
    coarse = _coarse(volume)
    low, high = display_window(coarse, coarse.voxels)
    return [np.clip((cut(volume.image, _IDENTITY, window) - low) / (high - low), 0, 1) for window in windows]
