"""How well two masks on one grid agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from .patch import Patch
from .surfels import Surfels, surfels_of

__all__ = ["Measures", "measure"]

# Distances are between corners of voxels; one that equals the tolerance must not depend on rounding.
_ROUNDING_MM = 1e-6


@dataclass(frozen=True)
class Measures:
    """Agreement of a structure of the fixed volume with that of the moving one, moved to it.

    Distances are between surfels, from those of one surface to the nearest of the other, weighted by their areas. What
    this does to them is in :mod:`~MultimodalRegistrationLib.assess.structures.surfels`.

    Parameters
    ----------
    dice : float
        Twice the common volume over the sum of both; 0 to 1.
    surface_dice : float
        Area of both surfaces that lies within the tolerance of the other one, over the whole area; 0 to 1.
    tolerance_mm : float
        That tolerance.
    hausdorff_mm : float
        The largest distance, in either direction.
    hausdorff_95_mm : float
        The larger one of the two directed 95th percentiles: the smallest distance that at least 95 % of the area of
        one surface do not exceed.
    mean_surface_distance_mm : float
        Mean over the area of both surfaces together.

    References
    ----------
    Nikolov et al. 2021, doi:10.2196/26151, for the surface Dice and the percentile by area.
    Heimann et al. 2009, doi:10.1109/TMI.2009.2013851, for the mean over both surfaces.
    """

    dice: float
    surface_dice: float
    tolerance_mm: float
    hausdorff_mm: float
    hausdorff_95_mm: float
    mean_surface_distance_mm: float


def measure(fixed: Patch, moved: Patch, *, ijk_to_lps: ArrayLike, tolerance_mm: float) -> Measures:
    """Compare two masks.

    Parameters
    ----------
    fixed, moved : Patch
        On the same grid; each has voxels.
    ijk_to_lps : array, shape (4, 4)
        From indices of the grid to LPS, mm.
    tolerance_mm : float
        For the surface Dice.
    """
    one, other = (surfels_of(patch.mask, patch.ijk_to_lps(ijk_to_lps)) for patch in (fixed, moved))
    there, back = _nearest_mm(one, other), _nearest_mm(other, one)
    distances = np.concatenate([there, back])
    areas = np.concatenate([one.areas_mm2, other.areas_mm2])
    near = areas[distances <= tolerance_mm + _ROUNDING_MM].sum()
    return Measures(
        dice=2 * fixed.common_voxels(moved) / (fixed.voxel_count + moved.voxel_count),
        # Sums of the same numbers in another order may exceed each other by a rounding.
        surface_dice=float(min(1.0, near / areas.sum())),
        tolerance_mm=tolerance_mm,
        hausdorff_mm=float(distances.max()),
        hausdorff_95_mm=max(_percentile_95(there, one.areas_mm2), _percentile_95(back, other.areas_mm2)),
        mean_surface_distance_mm=float(distances @ areas / areas.sum()),
    )


def _nearest_mm(of: Surfels, to: Surfels) -> NDArray[np.float64]:
    # Points on a lattice: a tree with neither balance nor tight boxes is made and searched faster.
    tree = cKDTree(to.points_lps, balanced_tree=False, compact_nodes=False)
    return np.asarray(tree.query(of.points_lps)[0])


def _percentile_95(distances: NDArray[np.float64], areas: NDArray[np.float64]) -> float:
    order = np.argsort(distances, kind="stable")
    share = np.cumsum(areas[order]) / areas.sum()
    rank = min(int(np.searchsorted(share, 0.95)), len(order) - 1)
    return float(distances[order[rank]])
