"""A mapping of points as a grid of displacements, which every ITK tool can read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.linear import apply_matrix

__all__ = ["DisplacementGrid", "displacement_grid"]

Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class DisplacementGrid:
    """Displacements at the nodes of a grid.

    Parameters
    ----------
    transform : SimpleITK.DisplacementFieldTransform
        Maps fixed to moving points, LPS; outside of its grid points stay where they are.
    grid : VolumeGrid
        Its nodes.
    error_mm : float
        Largest difference from what was sampled, at the points where that was looked at.
    """

    transform: sitk.DisplacementFieldTransform
    grid: VolumeGrid
    error_mm: float


def displacement_grid(
    to_moving: Mapping,
    grids: Sequence[VolumeGrid],
    probes_lps: NDArray[np.float64],
    *,
    good_enough_mm: float,
    most_nodes: int,
) -> DisplacementGrid | None:
    """Sample a mapping on the first of some grids that is fine enough.

    Parameters
    ----------
    to_moving : callable
        From fixed points, shape (N, 3), LPS, mm, to moving ones.
    grids : sequence of VolumeGrid
        Coarse ones first, all over the same box.
    probes_lps : array, shape (N, 3)
        Points inside of the grids at which they are compared with the mapping.
    good_enough_mm : float
        No finer grid is tried within this error.
    most_nodes : int
        No grid with more nodes is tried.

    Returns
    -------
    DisplacementGrid or None
        The last one tried; None where the coarsest has too many nodes.
    """
    exact = to_moving(probes_lps)
    found: DisplacementGrid | None = None
    for grid in grids:
        if np.prod(np.asarray(grid.size, dtype=float)) > most_nodes:
            break
        transform = _sampled(to_moving, grid)
        mapped = np.array([transform.TransformPoint(point) for point in probes_lps.tolist()])
        found = DisplacementGrid(transform, grid, float(np.linalg.norm(mapped - exact, axis=1).max()))
        if found.error_mm <= good_enough_mm:
            break
    return found


def _sampled(to_moving: Mapping, grid: VolumeGrid) -> sitk.DisplacementFieldTransform:
    i, j = (index.ravel() for index in np.meshgrid(np.arange(grid.size[0]), np.arange(grid.size[1])))
    displacements = np.empty((*grid.size[::-1], 3))
    # Plane by plane: the kernel matrix of a spline at all nodes at once would not fit into memory.
    for k in range(grid.size[2]):
        nodes = apply_matrix(grid.ijk_to_lps, np.column_stack([i, j, np.full(i.size, k)]))
        displacements[k] = (to_moving(nodes) - nodes).reshape(grid.size[1], grid.size[0], 3)
    image = sitk.GetImageFromArray(displacements, isVector=True)
    grid.place(image)
    return sitk.DisplacementFieldTransform(image)
