"""A thin-plate spline as a grid of displacements, which every ITK tool can read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.landmarks.thin_plate import ThinPlateSpline

__all__ = ["SplineGrid", "box_of_points", "spline_grid"]

_SPACINGS_MM = (8.0, 4.0, 2.0, 1.0)
_GOOD_ENOUGH_MM = 0.1
_MOST_NODES = 20_000_000
_PROBES = 2_000
_MARGIN = 0.25
_LEAST_MARGIN_MM = 20.0


@dataclass(frozen=True)
class SplineGrid:
    """Displacements of a spline.

    Parameters
    ----------
    transform : SimpleITK.DisplacementFieldTransform
        Maps fixed to moving points, LPS; outside of its grid points stay where they are.
    grid : VolumeGrid
        Its nodes.
    error_mm : float
        Largest difference from the spline, at random points and at the landmarks inside.
    """

    transform: sitk.DisplacementFieldTransform
    grid: VolumeGrid
    error_mm: float


def box_of_points(points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of a box around points, shape (N, 3), LPS, mm, with a margin of a quarter and at least 20 mm: (2, 3)."""
    low, high = points_lps.min(axis=0), points_lps.max(axis=0)
    margin = np.maximum(_MARGIN * (high - low), _LEAST_MARGIN_MM)
    return np.stack([low - margin, high + margin])


def spline_grid(spline: ThinPlateSpline, box_lps: NDArray[np.float64], *, seed: int = 0) -> SplineGrid:
    """Sample a spline over a box, as finely as it takes to be within 0.1 mm, but not finer than 1 mm.

    Parameters
    ----------
    spline : ThinPlateSpline
        From fixed to moving.
    box_lps : array, shape (2, 3)
        Lowest and highest corner of what the grid has to cover, LPS, mm.
    seed : int, optional
        Of the points at which the grid is compared with the spline.

    Returns
    -------
    SplineGrid
        The grid and how far it is from the spline.

    Raises
    ------
    InputError
        The box is larger than any body.
    """
    random = np.random.default_rng(seed)
    landmarks = spline.fixed_lps[np.all((spline.fixed_lps >= box_lps[0]) & (spline.fixed_lps <= box_lps[1]), axis=1)]
    probes = np.concatenate([random.uniform(box_lps[0], box_lps[1], (_PROBES, 3)), landmarks])
    exact = spline.to_moving(probes)
    found: SplineGrid | None = None
    for spacing_mm in _SPACINGS_MM:
        size = np.ceil((box_lps[1] - box_lps[0]) / spacing_mm).astype(int) + 1
        if np.prod(size.astype(float)) > _MOST_NODES:
            break
        grid = VolumeGrid(
            (int(size[0]), int(size[1]), int(size[2])),
            (spacing_mm,) * 3,
            (float(box_lps[0, 0]), float(box_lps[0, 1]), float(box_lps[0, 2])),
            tuple(np.eye(3).ravel().tolist()),
        )
        transform = _sampled(spline, grid)
        mapped = np.array([transform.TransformPoint(point) for point in probes.tolist()])
        found = SplineGrid(transform, grid, float(np.linalg.norm(mapped - exact, axis=1).max()))
        if found.error_mm <= _GOOD_ENOUGH_MM:
            break
    if found is None:
        extent = " x ".join(f"{side:.0f}" for side in box_lps[1] - box_lps[0])
        raise InputError("The grid of the spline", f"it would cover {extent} mm", "Look for misplaced landmarks.")
    return found


def _sampled(spline: ThinPlateSpline, grid: VolumeGrid) -> sitk.DisplacementFieldTransform:
    axes = [grid.origin_lps[k] + grid.spacing_mm[k] * np.arange(grid.size[k]) for k in range(3)]
    displacements = np.empty((*grid.size[::-1], 3))
    # Plane by plane: the kernel matrix of all nodes at once would not fit into memory.
    for k, z in enumerate(axes[2]):
        x, y = np.meshgrid(axes[0], axes[1])
        nodes = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, z)])
        displacements[k] = (spline.to_moving(nodes) - nodes).reshape(*x.shape, 3)
    image = sitk.GetImageFromArray(displacements, isVector=True)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_lps)
    return sitk.DisplacementFieldTransform(image)
