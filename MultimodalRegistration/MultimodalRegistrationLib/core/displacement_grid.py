"""A mapping of points as a grid of displacements, which every ITK tool can read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .grid import VolumeGrid
from .stages import map_points

__all__ = ["DisplacementGrid", "displacement_grid", "displacement_grid_steps"]

_POINTS_A_STEP = 1000
Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]
ErrorOf = Callable[[NDArray[np.floating]], float]


def _largest(distances_mm: NDArray[np.floating]) -> float:
    return float(distances_mm.max())


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
        Difference from what was sampled, at the points where that was looked at: the largest, if nothing else was
        asked.
    """

    transform: sitk.DisplacementFieldTransform
    grid: VolumeGrid
    error_mm: float


def displacement_grid(
    to_moving: Mapping,
    grids: Iterable[VolumeGrid],
    probes_lps: NDArray[np.float64],
    *,
    good_enough_mm: float,
    most_nodes: int,
    points_a_step: int = _POINTS_A_STEP,
    error_of: ErrorOf = _largest,
) -> DisplacementGrid | None:
    """Sample a mapping on the first of some grids that is fine enough.

    Parameters
    ----------
    to_moving : callable
        From fixed points, shape (N, 3), LPS, mm, to moving ones.
    grids : iterable of VolumeGrid
        Coarse ones first, all over the same box.
    probes_lps : array, shape (N, 3)
        Points inside of the grids at which they are compared with the mapping.
    good_enough_mm : float
        No finer grid is tried within this error.
    most_nodes : int
        No grid with more nodes is tried.
    points_a_step : int
        How many points are mapped at once.
    error_of : callable
        What counts of the distances at the probes, shape (N,); by default the largest.

    Returns
    -------
    DisplacementGrid or None
        The last one tried; None where the coarsest has too many nodes.
    """
    steps = displacement_grid_steps(
        to_moving,
        grids,
        probes_lps,
        good_enough_mm=good_enough_mm,
        most_nodes=most_nodes,
        points_a_step=points_a_step,
        error_of=error_of,
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: DisplacementGrid | None = end.value
            return found


def displacement_grid_steps(
    to_moving: Mapping,
    grids: Iterable[VolumeGrid],
    probes_lps: NDArray[np.float64],
    *,
    good_enough_mm: float,
    most_nodes: int,
    points_a_step: int = _POINTS_A_STEP,
    error_of: ErrorOf = _largest,
) -> Generator[None, None, DisplacementGrid | None]:
    """Do as :func:`displacement_grid`, in steps between which a window can live."""
    exact = to_moving(probes_lps)
    found: DisplacementGrid | None = None
    for grid in grids:
        if np.prod(np.asarray(grid.size, dtype=float)) > most_nodes:
            break
        transform = yield from _sampled(to_moving, grid, points_a_step)
        yield
        mapped = map_points(transform, probes_lps)
        found = DisplacementGrid(transform, grid, error_of(np.linalg.norm(mapped - exact, axis=1)))
        if found.error_mm <= good_enough_mm:
            break
        yield
    return found


def _sampled(
    to_moving: Mapping, grid: VolumeGrid, points_a_step: int
) -> Generator[None, None, sitk.DisplacementFieldTransform]:
    displacements = np.empty((int(np.prod(grid.size)), 3))
    # The kernel matrix of a spline at all nodes at once would not fit into memory.
    for first in range(0, len(displacements), points_a_step):
        number = np.arange(first, min(first + points_a_step, len(displacements)))
        nodes = grid.points_at(number)
        displacements[number] = to_moving(nodes) - nodes
        yield
    image = sitk.GetImageFromArray(displacements.reshape(*grid.size[::-1], 3), isVector=True)
    grid.place(image)
    yield
    return sitk.DisplacementFieldTransform(image)
