"""Whether points come back: through a second transform, or through the numerical inverse.

Where the transform folds, the point that the numerical inverse finds is another one than that which was mapped, or
none, and the distance between them tells.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform

__all__ = ["return_errors_mm"]

_SOLVED_MM = 1e-3


def return_errors_mm(
    transform: SpatialTransform, grid: VolumeGrid, *, backward: SpatialTransform | None = None
) -> NDArray[np.float64]:
    """Distance from each node to where it comes back.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    grid : VolumeGrid
        The nodes, in the fixed volume.
    backward : SpatialTransform, optional
        ``moving_to_fixed_lps``; the numerical inverse of ``transform`` by default.

    Returns
    -------
    array, shape (K, J, I)
        In mm; zero for a linear transform and its own inverse.
    """
    shape = grid.size[::-1]
    if backward is not None:
        both = SpatialTransform("there and back", sitk.CompositeTransform([backward.transform, transform.transform]))
        return np.asarray(np.linalg.norm(both.displacements_mm(grid), axis=-1))
    if transform.matrix is not None:
        return np.zeros(shape)
    nodes = grid.points_lps
    found = transform.preimages(transform.to_moving(nodes), solved_mm=_SOLVED_MM).points_lps
    return np.asarray(np.linalg.norm(found - nodes, axis=1)).reshape(shape)
