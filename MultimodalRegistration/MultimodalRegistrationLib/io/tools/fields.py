"""A transform as an image of displacements on the grid of the fixed volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...core.displacement_grid import Mapping, displacement_grid
from ...core.grid import VolumeGrid
from ...core.linear import apply_matrix, sitk_from_matrix
from ...core.spatial import SpatialTransform
from .context import Context

__all__ = ["field_of_transform", "gridded"]

_PROBES = 2000
_GOOD_ENOUGH_MM = 0.01
_MOST_NODES = 1_500_000
_NODE_SPACINGS_MM = (8.0, 4.0, 2.0, 1.0, 0.5)


def field_of_transform(path: Path, transform: SpatialTransform, context: Context) -> tuple[sitk.Image, float]:
    """Displacements of a transform as an image.

    Parameters
    ----------
    path : Path
        The output, for messages.
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    context : Context
        With the fixed volume, unless the transform is a displacement field already.

    Returns
    -------
    image : SimpleITK.Image
        Vectors of 64 bit, LPS, mm.
    error_mm : float
        Largest difference from the transform within the grid, at points between its nodes; 0 for a displacement field.
    """
    first, *others = transform.stages
    if not others and first.transform.GetName() == "DisplacementFieldTransform":
        return sitk.DisplacementFieldTransform(first.transform).GetDisplacementField(), 0.0
    grid = context.need_fixed(path, "displacements need a grid").grid
    displacements = transform.displacements_mm(grid)
    image = sitk.GetImageFromArray(displacements, isVector=True)
    grid.place(image)
    if transform.matrix is not None:
        return image, 0.0
    points = _probes(grid, margin=0.5)
    sampled = SpatialTransform("field", sitk.DisplacementFieldTransform(sitk.Image(image)))
    difference = sampled.to_moving(points) - transform.to_moving(points)
    return image, float(np.linalg.norm(difference, axis=1).max())


def gridded(name: str, to_moving: Mapping, grid: VolumeGrid) -> SpatialTransform:
    """Sample a mapping for which SimpleITK has no transform.

    Its affine part is kept apart, so that points outside of the grid follow that.

    Parameters
    ----------
    name : str
        Of the result.
    to_moving : callable
        From fixed points, shape (N, 3), LPS, mm, to moving ones.
    grid : VolumeGrid
        Of the fixed volume: it is sampled over its box, voxel borders included.

    Returns
    -------
    SpatialTransform
        With ``error_mm``, the largest difference that was found at points within the box.
    """
    box = grid.sample_points_lps(8)
    homogeneous = np.column_stack([box, np.ones(len(box))])
    affine = np.eye(4)
    affine[:3] = np.linalg.lstsq(homogeneous, to_moving(box), rcond=None)[0].T
    backward = np.linalg.inv(affine)
    probes = _probes(grid, margin=0.0)
    found = displacement_grid(
        lambda points: apply_matrix(backward, to_moving(points)),
        [_nodes_over(grid, spacing_mm) for spacing_mm in _NODE_SPACINGS_MM],
        probes,
        good_enough_mm=_GOOD_ENOUGH_MM,
        most_nodes=_MOST_NODES,
    )
    if found is None:
        found = displacement_grid(
            lambda points: apply_matrix(backward, to_moving(points)),
            [_nodes_over(grid, float(grid.extent_mm.max()) / 64)],
            probes,
            good_enough_mm=_GOOD_ENOUGH_MM,
            most_nodes=_MOST_NODES,
        )
    assert found is not None
    whole = SpatialTransform(name, sitk.CompositeTransform([sitk_from_matrix(affine), found.transform]))
    error = np.linalg.norm(whole.to_moving(probes) - to_moving(probes), axis=1).max()
    return SpatialTransform(name, whole.transform, error_mm=float(error))


def _probes(grid: VolumeGrid, margin: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Points spread at random within the box of a grid, at least some voxels within its borders."""
    random = np.random.default_rng(0)
    size = np.asarray(grid.size)
    index = random.uniform(margin, np.maximum(size - margin, margin), (_PROBES, 3)) - 0.5
    return apply_matrix(grid.ijk_to_lps, index)


def _nodes_over(grid: VolumeGrid, spacing_mm: float) -> VolumeGrid:
    """Nodes over the box of a grid, from border to border, along its axes."""
    count = np.maximum(np.ceil(grid.extent_mm / spacing_mm).astype(int) + 1, 2)
    steps = np.asarray(grid.size) / (count - 1)
    matrix = grid.ijk_to_lps
    nodes = matrix.copy()
    nodes[:3, :3] = matrix[:3, :3] * steps
    nodes[:3, 3] = apply_matrix(matrix, np.full(3, -0.5))
    return VolumeGrid.of_matrix((int(count[0]), int(count[1]), int(count[2])), nodes)
