"""How far two transforms are from each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, rotation_angle_deg
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from .distance_statistics import DistanceStatistics
from .health.health import displacement_difference
from .working_grid import region_points

__all__ = ["LinearDifference", "TransformDifference", "compare"]

_CENTER_POINTS = 100_000


@dataclass(frozen=True)
class LinearDifference:
    """What leads from where one linear transform puts the region to where the other does.

    Parameters
    ----------
    rotation_deg : float
        Angle of the rotation nearest to ``B A^-1``.
    translation_mm : float
        Distance between where the two put the centre of the region; unlike the entries of the matrices it does not
        depend on where the origin of the coordinates lies.
    volume_ratio : float
        Volume under ``B`` over that under ``A``.
    """

    rotation_deg: float
    translation_mm: float
    volume_ratio: float


@dataclass(frozen=True)
class TransformDifference:
    """Two transforms over the same region.

    Parameters
    ----------
    first, second : str
        Their names.
    displacement : DistanceStatistics
        Distances between where they put the same points of the region.
    linear : LinearDifference or None
        None unless both are linear.
    """

    first: str
    second: str
    displacement: DistanceStatistics
    linear: LinearDifference | None


def compare(a: SpatialTransform, b: SpatialTransform, *, over: Volume | VolumeGrid) -> TransformDifference:
    """Compare two transforms by where they put points, in mm.

    Parameters
    ----------
    a, b : SpatialTransform
        ``fixed_to_moving_lps``, with the same fixed and moving volumes.
    over : Volume or VolumeGrid
        Voxels above zero, or a whole grid, in the frame of the fixed volume.

    Raises
    ------
    InputError
        The region marks nothing.
    """
    linear = None
    if a.matrix is not None and b.matrix is not None:
        center = region_points(over, _CENTER_POINTS).mean(axis=0)
        between = b.matrix @ np.linalg.inv(a.matrix)
        shift = apply_matrix(b.matrix, center) - apply_matrix(a.matrix, center)
        linear = LinearDifference(
            rotation_angle_deg(between), float(np.linalg.norm(shift)), float(np.linalg.det(between[:3, :3]))
        )
    return TransformDifference(a.name, b.name, displacement_difference(a, b, region=over), linear)
