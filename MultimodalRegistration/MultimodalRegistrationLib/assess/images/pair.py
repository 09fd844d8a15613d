"""Two volumes made ready to be compared under any number of transforms.

Everything that does not depend on the transform is fixed here: the working grid, the classes of the intensities, the
strength from which a gradient counts, and the edges of the fixed volume. So the numbers of two transforms compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.grid import VolumeGrid
from ...core.spatial import SpatialTransform
from ...core.volume import Volume
from ...io.box_mean import box_mean, coarse_grid
from ...preprocess.foreground import foreground
from ...register.search.lattice import class_centers
from ...transforms.working_grid import bounded_size, mask_on, volume_of
from .gradients import Edges, Gradients, Strength, edges_of, gradients_of, some_of

__all__ = ["CLASSES", "LOCAL_CLASSES", "ImagePair", "Moved", "Side", "prepare_pair"]

CLASSES = 32
LOCAL_CLASSES = 8
_MOST_VOXELS = 3_000_000
# Standard deviation of the Gaussian before gradients, in working voxels: more merges both faces of a thin wall.
_SMOOTHING = 0.5
# Metal and single hot voxels are cut off at these percentiles.
_LIMITS = (0.1, 99.9)


@dataclass(frozen=True)
class Side:
    """What is fixed about one volume.

    Parameters
    ----------
    volume : Volume
        32 bit, coarsened by means over blocks, cut off at outliers.
    borders : array, shape (31,)
        Intensities between the classes.
    coarser : array of int, shape (32,)
        The class in windows that each class belongs to, where there are too few voxels for so many.
    strength : Strength
        Of its gradients.
    body : Volume
        Zeros and ones on the grid of the volume: head, body or specimen, without the air around it and the table.
    """

    volume: Volume
    borders: NDArray[np.float32]
    coarser: NDArray[np.int32]
    strength: Strength
    body: Volume

    def classes_of(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Class of each intensity, any shape."""
        return np.searchsorted(self.borders, values).astype(np.uint8)


@dataclass(frozen=True)
class ImagePair:
    """The pair on its working grid.

    Parameters
    ----------
    fixed, moving : Volume
        As given.
    grid : VolumeGrid
        Working grid: the box of the fixed volume in at most 3 million voxels.
    region : array of bool, shape (K, J, I)
        Voxels of the working grid that count.
    smoothing_mm : float
        Standard deviation of the Gaussian before gradients are taken.
    fixed_side, moving_side : Side
        See there; the moving one lies on a grid of its own.
    fixed_classes : array of int, shape (K, J, I)
        On the working grid.
    fixed_gradients : Gradients
        On the working grid.
    fixed_edges : Edges
        On the working grid.
    """

    fixed: Volume
    moving: Volume
    grid: VolumeGrid
    region: NDArray[np.bool_]
    smoothing_mm: float
    fixed_side: Side
    fixed_classes: NDArray[np.uint8]
    moving_side: Side
    fixed_gradients: Gradients
    fixed_edges: Edges

    def move(self, transform: SpatialTransform) -> Moved:
        """Bring the moving volume onto the working grid by ``fixed_to_moving_lps``."""
        image = self.moving_side.volume.image
        # Below all values, so that it tells what the moving volume does not show.
        low = float(sitk.GetArrayViewFromImage(image).min())
        outside = low - max(1.0, abs(low))
        voxels = self._resampled(image, transform, sitk.sitkLinear, outside)
        inside = voxels > (low + outside) / 2
        body = self._resampled(self.moving_side.body.image, transform, sitk.sitkNearestNeighbor, 0) > 0
        return Moved(np.where(inside, voxels, np.float32(low)), inside, body)

    def _resampled(self, image: sitk.Image, transform: SpatialTransform, how: int, outside: float) -> NDArray[Any]:
        """An image of the moving volume on the working grid."""
        grid = self.grid
        resampled = sitk.Resample(
            image, grid.size, transform.transform, how, grid.origin_lps, grid.spacing_mm, grid.direction, outside
        )
        return np.asarray(sitk.GetArrayFromImage(resampled))


@dataclass(frozen=True)
class Moved:
    """The moving volume on the working grid.

    Parameters
    ----------
    voxels : array of float32, shape (K, J, I)
        Its lowest value outside.
    inside : array of bool, shape (K, J, I)
        Where the moving volume shows something.
    body : array of bool, shape (K, J, I)
        Where it shows a head, body or specimen.
    """

    voxels: NDArray[np.float32]
    inside: NDArray[np.bool_]
    body: NDArray[np.bool_]


def prepare_pair(fixed: Volume, moving: Volume, *, region: Volume | None = None) -> ImagePair:
    """Make two volumes ready.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates, axes at right angles.
    region : Volume, optional
        Voxels above zero count, in the frame of the fixed volume; all of it by default.

    Raises
    ------
    InputError
        Axes are not at right angles, or the region marks nothing in the fixed volume.
    """
    for volume in (fixed, moving):
        if not volume.grid.is_orthogonal:
            raise InputError(
                volume.name,
                "its axes are not at right angles",
                "Resample it onto a grid whose axes are at right angles.",
            )
    coarse_fixed = _coarse(fixed, 0.0)
    grid = coarse_fixed.grid
    spacing_mm = float(np.prod(grid.spacing_mm)) ** (1 / 3)
    # Along the finest axis: thick slices of the fixed volume are no reason to blur the moving one within its own.
    coarse_moving = _coarse(moving, min(grid.spacing_mm))
    smoothing_mm = _SMOOTHING * spacing_mm
    gradients = gradients_of(coarse_fixed.voxels, grid, smoothing_mm)
    fixed_side = _side(coarse_fixed, gradients)
    return ImagePair(
        fixed=fixed,
        moving=moving,
        grid=grid,
        region=np.ones(grid.size[::-1], dtype=bool) if region is None else mask_on(grid, region),
        smoothing_mm=smoothing_mm,
        fixed_side=fixed_side,
        fixed_classes=fixed_side.classes_of(coarse_fixed.voxels),
        moving_side=_side(coarse_moving, gradients_of(coarse_moving.voxels, coarse_moving.grid, smoothing_mm)),
        fixed_gradients=gradients,
        fixed_edges=edges_of(gradients, fixed_side.strength),
    )


def _coarse(volume: Volume, finest_mm: float) -> Volume:
    grid = volume.grid
    size = bounded_size(grid, _MOST_VOXELS, finest_mm)
    voxels = box_mean(volume.voxels, grid.size, size)
    low, high = np.percentile(some_of(voxels), _LIMITS)
    return volume_of(np.clip(voxels, low, high), coarse_grid(grid, size), volume.name)


def _side(volume: Volume, gradients: Gradients) -> Side:
    some = some_of(volume.voxels)
    centers, coarse = (class_centers(some, count) for count in (CLASSES, LOCAL_CLASSES))
    coarser = np.searchsorted(_borders(coarse), centers).astype(np.int32)
    return Side(volume, _borders(centers), coarser, gradients.strength(), foreground(volume))


def _borders(centers: NDArray[np.float64]) -> NDArray[np.float32]:
    return ((centers[1:] + centers[:-1]) / 2).astype(np.float32)
