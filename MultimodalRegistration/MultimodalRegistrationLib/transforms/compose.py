"""Several transforms, one after the other, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.spatial import SpatialTransform
from .distance_statistics import DistanceStatistics

__all__ = ["SampledTransform", "compose", "sample_on_grid"]

_PROBES = 100_000


@dataclass(frozen=True)
class SampledTransform:
    """A transform as one grid of displacements.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``; beyond the grid points stay where they are.
    error : DistanceStatistics
        Distance from what was sampled, at random points between the nodes.
    """

    transform: SpatialTransform
    error: DistanceStatistics


def compose(transforms: Sequence[SpatialTransform]) -> SpatialTransform:
    """Put transforms one after the other, exactly.

    Parameters
    ----------
    transforms : sequence of SpatialTransform
        The one that points go through first comes first. With ``fixed_to_moving_lps`` transforms that is the one of the
        last registration: points of the fixed volume go through it into the prealigned moving volume, and from there
        through the prealignment into the moving volume itself.

    Returns
    -------
    SpatialTransform
        As exact as what it is made of. One matrix where all are linear, else a ``SimpleITK.CompositeTransform`` with
        all stages as they are; it lists them the other way round, since ITK applies the last one first.

    Raises
    ------
    InputError
        There are none.
    """
    if not transforms:
        raise InputError("The composite", "no transforms were given", "Give at least one.")
    name = ", then ".join(one.name for one in transforms)
    matrices = [one.matrix for one in transforms]
    product = np.eye(4)
    for matrix in matrices:
        if matrix is None:
            stages = [stage.transform for one in transforms for stage in one.stages]
            return SpatialTransform(
                name, sitk.CompositeTransform(stages[::-1]), sum(one.error_mm for one in transforms)
            )
        product = matrix @ product
    return SpatialTransform.of_matrix(name, product)


def sample_on_grid(transform: SpatialTransform, grid: VolumeGrid, *, seed: int = 0) -> SampledTransform:
    """Sample a transform at the voxel centres of a volume.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``, of any kind.
    grid : VolumeGrid
        Of the fixed volume.
    seed : int
        Of the points at which the result is compared with the transform.

    Returns
    -------
    SampledTransform
        Exact for points at voxel centres, by linear interpolation elsewhere.
    """
    image = sitk.GetImageFromArray(transform.displacements_mm(grid), isVector=True)
    grid.place(image)
    sampled = SpatialTransform(f"{transform.name} on a grid", sitk.DisplacementFieldTransform(image))
    index = np.random.default_rng(seed).uniform(0, np.asarray(grid.size) - 1, (_PROBES, 3))
    points = apply_matrix(grid.ijk_to_lps, index)
    apart = np.linalg.norm(sampled.to_moving(points) - transform.to_moving(points), axis=1)
    return SampledTransform(sampled, DistanceStatistics.of(apart))
