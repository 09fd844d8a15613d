"""Transform nodes of any kind as transforms that everything else can compute with."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.frames import flip_points_lps_ras
from ..core.grid import VolumeGrid
from ..core.linear import LARGEST_CONDITION, apply_matrix, condition_number, sitk_from_matrix
from ..core.spatial import SpatialTransform, displacement_grid_steps
from .placement import step_between
from .steps import drained
from .transforms import start_from_node
from .vtk_arrays import transform_points

GOOD_ENOUGH_MM = 0.05
_MARGIN = 0.1
_COARSEST_NODES = 12
_MAX_NODES = 8_000_000
_PROBES = 1_000
_FIT_POINTS_PER_AXIS = 8


def spatial_transform_of_node(node: Any, over: VolumeGrid, *, seed: int = 0) -> tuple[SpatialTransform, float]:
    """Read a transform node, parents included, as a transform from fixed to moving.

    A linear one is read exactly. Any other one, in whichever direction the node stores it, becomes the affine transform
    that is closest to it over the volume, after a grid of displacements for the rest. The grid is as fine as it takes
    to be within 0.05 mm, but has no more than eight million nodes. Beyond it the affine transform goes on alone.

    Parameters
    ----------
    node : vtkMRMLTransformNode
        Maps what lies on the moving volume onto the fixed one, in the world. Not changed.
    over : VolumeGrid
        Of the fixed volume; the grid covers it with a margin of a tenth on each side.
    seed : int, optional
        Of the points at which the grid is compared with the node.

    Returns
    -------
    transform : SpatialTransform
        With the node's name.
    error_mm : float
        Largest difference at 1,000 random points; 0 for a linear transform.

    Raises
    ------
    InputError
        No transform, one that cannot be inverted, or one that is not finite everywhere in the volume.
    """
    return drained(spatial_transform_steps(node, over, seed=seed))


def spatial_transform_steps(
    node: Any, over: VolumeGrid, *, seed: int = 0, most_nodes: int = _MAX_NODES
) -> Generator[None, None, tuple[SpatialTransform, float]]:
    """Do as :func:`spatial_transform_of_node`, in steps between which a window can live.

    Parameters
    ----------
    node, over, seed
        As there. The node may be changed or removed between two steps.
    most_nodes : int
        Of the grid.
    """
    name = node.GetName()
    if not node.IsA("vtkMRMLTransformNode"):
        raise InputError(name, f"this is no transform ({node.GetClassName()})", "Choose a transform.")
    if node.IsTransformToWorldLinear():
        return SpatialTransform.of_matrix(name, start_from_node(node)), 0.0
    from_world = vtk.vtkGeneralTransform()
    # A copy: the node may be changed between two steps.
    from_world.DeepCopy(step_between(None, node).to_world)

    def to_moving(fixed_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        return flip_points_lps_ras(transform_points(from_world, flip_points_lps_ras(fixed_lps)))

    affine = _closest_affine(to_moving(_spread(over)), over, name)
    inverse = np.linalg.inv(affine)
    random = np.random.default_rng(seed)
    probes = apply_matrix(over.ijk_to_lps, random.uniform(-0.5, np.asarray(over.size) - 0.5, (_PROBES, 3)))
    found = yield from displacement_grid_steps(
        lambda fixed_lps: apply_matrix(inverse, to_moving(fixed_lps)),
        _grids_over(over, most_nodes),
        probes,
        good_enough_mm=GOOD_ENOUGH_MM / float(np.linalg.norm(affine[:3, :3], 2)),
        most_nodes=most_nodes,
    )
    assert found is not None, "the coarsest grid is small for any volume"
    # The one that was added last acts first.
    transform = SpatialTransform(name, sitk.CompositeTransform([sitk_from_matrix(affine), found.transform]))
    return transform, float(np.linalg.norm(transform.to_moving(probes) - to_moving(probes), axis=1).max())


def _spread(over: VolumeGrid) -> NDArray[np.float64]:
    return over.sample_points_lps(_FIT_POINTS_PER_AXIS)


def _closest_affine(moving_lps: NDArray[np.float64], over: VolumeGrid, name: str) -> NDArray[np.float64]:
    """The least-squares fit from points spread over a volume to where they are mapped, shape (4, 4)."""
    if not np.all(np.isfinite(moving_lps)):
        raise InputError(name, "it gives points that are not finite in the fixed volume", "Check the transform.")
    fixed = _spread(over)
    affine = np.eye(4)
    affine[:3] = np.linalg.lstsq(np.column_stack([fixed, np.ones(len(fixed))]), moving_lps, rcond=None)[0].T
    condition = condition_number(affine)
    if condition > LARGEST_CONDITION:
        raise InputError(
            name,
            f"this transform flattens the fixed volume (condition number {condition:.3g})",
            "Choose a transform that can be inverted.",
        )
    return affine


def _grids_over(over: VolumeGrid, most_nodes: int) -> list[VolumeGrid]:
    """Grids along the axes of a volume, beyond its borders by a margin, each twice as fine as the one before."""
    extent_mm = over.extent_mm * (1 + 2 * _MARGIN)
    grids: list[VolumeGrid] = []
    spacing_mm = float(extent_mm.max()) / _COARSEST_NODES
    while True:
        size = np.ceil(extent_mm / spacing_mm).astype(int) + 1
        if np.prod(size.astype(float)) > most_nodes:
            return grids
        axes = np.asarray(over.direction).reshape(3, 3)
        matrix = np.eye(4)
        matrix[:3, :3] = axes * spacing_mm
        matrix[:3, 3] = over.center_lps - matrix[:3, :3] @ ((size - 1) / 2)
        grids.append(VolumeGrid.of_matrix((int(size[0]), int(size[1]), int(size[2])), matrix))
        spacing_mm /= 2
