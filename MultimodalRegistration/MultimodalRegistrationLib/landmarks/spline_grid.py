"""A thin-plate spline as a grid of displacements, which every ITK tool can read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.displacement_grid import DisplacementGrid, displacement_grid
from ..core.errors import InputError
from ..core.grid import VolumeGrid
from .thin_plate import ThinPlateSpline

__all__ = ["box_of_points", "spline_grid"]

_SPACINGS_MM = (8.0, 4.0, 2.0, 1.0)
_GOOD_ENOUGH_MM = 0.1
_MOST_NODES = 20_000_000
_PROBES = 2_000
_MARGIN = 0.25
_LEAST_MARGIN_MM = 20.0


def box_of_points(points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of a box around points, shape (N, 3), LPS, mm, with a margin of a quarter and at least 20 mm: (2, 3)."""
    low, high = points_lps.min(axis=0), points_lps.max(axis=0)
    margin = np.maximum(_MARGIN * (high - low), _LEAST_MARGIN_MM)
    return np.stack([low - margin, high + margin])


def spline_grid(spline: ThinPlateSpline, box_lps: NDArray[np.float64], *, seed: int = 0) -> DisplacementGrid:
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
    DisplacementGrid
        The grid and how far it is from the spline.

    Raises
    ------
    InputError
        The box is larger than any body.
    """
    random = np.random.default_rng(seed)
    landmarks = spline.fixed_lps[np.all((spline.fixed_lps >= box_lps[0]) & (spline.fixed_lps <= box_lps[1]), axis=1)]
    probes = np.concatenate([random.uniform(box_lps[0], box_lps[1], (_PROBES, 3)), landmarks])
    found = displacement_grid(
        spline.to_moving,
        [_grid_over(box_lps, spacing_mm) for spacing_mm in _SPACINGS_MM],
        probes,
        good_enough_mm=_GOOD_ENOUGH_MM,
        most_nodes=_MOST_NODES,
    )
    if found is None:
        extent = " x ".join(f"{side:.0f}" for side in box_lps[1] - box_lps[0])
        raise InputError("The grid of the spline", f"it would cover {extent} mm", "Look for misplaced landmarks.")
    return found


def _grid_over(box_lps: NDArray[np.float64], spacing_mm: float) -> VolumeGrid:
    size = np.ceil((box_lps[1] - box_lps[0]) / spacing_mm).astype(int) + 1
    return VolumeGrid(
        (int(size[0]), int(size[1]), int(size[2])),
        (spacing_mm,) * 3,
        (float(box_lps[0, 0]), float(box_lps[0, 1]), float(box_lps[0, 2])),
        tuple(np.eye(3).ravel().tolist()),
    )
