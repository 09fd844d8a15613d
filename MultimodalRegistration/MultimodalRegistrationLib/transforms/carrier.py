"""A transform that carries things from one volume to the other: points go one way, resampling the other.

A transform maps fixed points to moving ones. To bring a *volume* from moving to fixed, each voxel of the fixed grid
asks the transform where to look in the moving volume: the transform is used as it is. To bring a *point* from moving
to fixed, the inverse is needed. From fixed to moving it is the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ..core.displacement_grid import displacement_grid
from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, sitk_from_matrix
from ..core.spatial import SpatialTransform

__all__ = ["CarriedPoints", "Carrier", "Resampling"]

_SOLVED_MM = 1e-4
_COARSENINGS = (4, 2, 1)
_PROBES = 20_000
_MOST_NODES = 20_000_000
_POINTS_A_STEP = 200_000
_VOXELS_OFF = 0.02


@dataclass(frozen=True)
class CarriedPoints:
    """Points in the frame they were carried to.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        LPS, mm.
    lost : int
        How many of them lie where the transform folds or jumps, so that no point belongs to them: they were put where
        they come close.
    """

    points_lps: NDArray[np.float64]
    lost: int


@dataclass(frozen=True)
class Resampling:
    """How the voxels of a grid find what they show.

    Parameters
    ----------
    transform : SimpleITK.Transform
        Maps points of the grid to points of the volume that is carried, LPS, mm.
    error_mm : float
        Largest error at the points where that was looked at; zero unless a numerical inverse was sampled.
    """

    transform: sitk.Transform
    error_mm: float


@dataclass(frozen=True)
class Carrier:
    """A transform with the way to go.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    to_fixed : bool
        Whether things go from the moving volume to the fixed one, or the other way.
    """

    transform: SpatialTransform
    to_fixed: bool

    @property
    def matrix(self) -> NDArray[np.float64] | None:
        """Of a linear transform: carries points the way to go, shape (4, 4), LPS, mm; None for all others."""
        matrix = self.transform.matrix
        return np.asarray(np.linalg.inv(matrix)) if matrix is not None and self.to_fixed else matrix

    @property
    def mirrors(self) -> bool:
        """Whether it turns right into left, as the product of its stages does."""
        return bool(np.prod([np.sign(np.linalg.det(stage.affine[:3, :3])) for stage in self.transform.stages]) < 0)

    def points(self, points_lps: ArrayLike) -> CarriedPoints:
        """Carry points, shape (N, 3), LPS, mm."""
        points = np.asarray(points_lps, dtype=np.float64).reshape(-1, 3)
        if self.matrix is not None:
            return CarriedPoints(apply_matrix(self.matrix, points), 0)
        if not self.to_fixed:
            return CarriedPoints(self.transform.to_moving(points), 0)
        found = self.transform.preimages(points, solved_mm=_SOLVED_MM)
        return CarriedPoints(found.points_lps, int(np.count_nonzero(found.misses_mm > 10 * _SOLVED_MM)))

    def resampling(self, grid: VolumeGrid) -> Resampling:
        """How a volume is carried to a grid.

        Raises
        ------
        InputError
            The grid is too large for the numerical inverse of a non-linear transform.
        """
        if self.matrix is not None:
            return Resampling(sitk_from_matrix(np.linalg.inv(self.matrix)), 0.0)
        if self.to_fixed:
            return Resampling(self.transform.transform, 0.0)
        index = np.random.default_rng(0).uniform(0, np.asarray(grid.size) - 1, (_PROBES, 3))
        made = displacement_grid(
            lambda points: self.transform.preimages(points, solved_mm=_SOLVED_MM, continued=True).points_lps,
            _coarser(grid),
            apply_matrix(grid.ijk_to_lps, index),
            good_enough_mm=_VOXELS_OFF * min(grid.spacing_mm),
            most_nodes=_MOST_NODES,
            points_a_step=_POINTS_A_STEP,
        )
        if made is None:
            raise InputError(
                self.transform.name,
                f"its inverse at {np.prod(grid.size):.3g} voxels would not fit into memory",
                "Give a reference with fewer voxels.",
            )
        return Resampling(made.transform, made.error_mm)


def _coarser(grid: VolumeGrid) -> Iterator[VolumeGrid]:
    """Grids with nodes on the outermost voxel centres of another, the last one that grid itself."""
    size = np.asarray(grid.size)
    for coarsening in _COARSENINGS:
        nodes = np.ceil((size - 1) / coarsening).astype(int) + 1
        matrix = grid.ijk_to_lps
        # A single layer of voxels stays one.
        matrix[:3, :3] *= np.where(nodes > 1, (size - 1) / np.maximum(nodes - 1, 1), 1.0)
        yield VolumeGrid.of_matrix((int(nodes[0]), int(nodes[1]), int(nodes[2])), matrix)
