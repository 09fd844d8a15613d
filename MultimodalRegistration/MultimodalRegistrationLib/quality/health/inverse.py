r"""Whether points come back: through a second transform, or through the numerical inverse.

The numerical inverse of :math:`F` at :math:`y` is sought by :math:`x \leftarrow x - \omega A^{-1} (F(x) - y)` from
:math:`A^{-1} y`, with the closest affine transform :math:`A` and a step :math:`\omega` that is halved where it fails
(Chen et al. 2008, doi:10.1118/1.2816107, without the affine part). Where the transform folds, the point that is found
is another one than that which was mapped, or none, and the distance between them tells.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.geometry.linear import LARGEST_CONDITION, apply_matrix, condition_number
from MultimodalRegistrationLib.geometry.spatial import SpatialTransform, closest_affine

__all__ = ["return_errors_mm"]

_STEPS = 60
_SOLVED_MM = 1e-3
_SMALLEST_STEP = 1e-3


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
    i, j, k = np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij")
    nodes = apply_matrix(grid.ijk_to_lps, np.stack([i, j, k], axis=-1).transpose(2, 1, 0, 3).reshape(-1, 3))
    found = _solve(transform, transform.to_moving(nodes), closest_affine(transform, grid))
    return np.asarray(np.linalg.norm(found - nodes, axis=1)).reshape(shape)


def _solve(
    transform: SpatialTransform, moving_lps: NDArray[np.float64], affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Points of the fixed volume that are mapped to these, shape (N, 3), as near as the iteration gets."""
    # What flattens space has no inverse to begin from.
    back = np.linalg.inv(affine if condition_number(affine) < LARGEST_CONDITION else np.eye(4))
    found = apply_matrix(back, moving_lps)
    residual = transform.to_moving(found) - moving_lps
    length = np.linalg.norm(residual, axis=1)
    step = np.ones(len(found))
    active = np.flatnonzero(length > _SOLVED_MM)
    for _ in range(_STEPS):
        if len(active) == 0:
            break
        tried = found[active] - step[active, None] * (residual[active] @ back[:3, :3].T)
        left = transform.to_moving(tried) - moving_lps[active]
        distance = np.linalg.norm(left, axis=1)
        better = distance < length[active]
        step[active[~better]] /= 2
        moved = active[better]
        found[moved], residual[moved], length[moved] = tried[better], left[better], distance[better]
        active = active[(length[active] > _SOLVED_MM) & (step[active] > _SMALLEST_STEP)]
    return found
