r"""Gradients of a volume and the edges they show.

Edges are where the length of the gradient is largest along its direction (Canny 1986,
doi:10.1109/TPAMI.1986.4767851), placed between voxels by a parabola, if it is above a threshold that parts the lengths
into two classes (Otsu 1979, doi:10.1109/TSMC.1979.4310076).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ...core.grid import VolumeGrid

__all__ = ["Edges", "Gradients", "Strength", "edges_of", "gradients_of", "some_of"]

_TRUNCATE = 3.0
_HISTOGRAM_BINS = 256
_SOME = 200_000


@dataclass(frozen=True)
class Strength:
    """What counts as a gradient in a volume, in its own intensities per mm.

    Parameters
    ----------
    noise : float
        Mean length of all gradients: much below it, directions mean nothing.
    edge : float
        Length from which it is an edge.
    """

    noise: float
    edge: float


@dataclass(frozen=True)
class Gradients:
    """Gradients of a smoothed volume along the axes of its grid.

    Parameters
    ----------
    along : tuple of 3 arrays of float32, shape (K, J, I)
        Components along the axes K, J, I, intensities per mm.
    squares : array of float32, shape (K, J, I)
        Squared lengths.
    spacing_mm : array, shape (3,)
        Along K, J, I.
    reach : tuple of 3 int
        Voxels along K, J, I from which a gradient draws.
    """

    along: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    squares: NDArray[np.float32]
    spacing_mm: NDArray[np.float64]
    reach: tuple[int, int, int]

    def strength(self) -> Strength:
        """The volume's own scale of gradients."""
        length = np.sqrt(some_of(self.squares))
        otsu = sitk.OtsuThresholdImageFilter()
        otsu.SetNumberOfHistogramBins(_HISTOGRAM_BINS)
        otsu.Execute(sitk.GetImageFromArray(length[None]))
        return Strength(noise=float(length.mean(dtype=np.float64)), edge=float(otsu.GetThreshold()))

    def unaffected(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Voxels, shape (K, J, I), whose gradients draw only from those ``inside``."""
        eroded = inside.view(np.uint8)
        for axis, reach in enumerate(self.reach):
            eroded = ndimage.minimum_filter1d(eroded, 2 * reach + 1, axis=axis, mode="nearest")
        return np.asarray(eroded, dtype=bool)


@dataclass(frozen=True)
class Edges:
    """Points on edges, in mm along the axes K, J, I of the grid.

    Parameters
    ----------
    points_mm, normals : array, shape (N, 3)
        Places from the centre of the first voxel, and unit vectors across the edge.
    voxels : array of int, shape (N,)
        Flat index of the voxel of each.
    """

    points_mm: NDArray[np.float64]
    normals: NDArray[np.float64]
    voxels: NDArray[np.intp]

    def within(self, marked: NDArray[np.bool_]) -> Edges:
        """Those in marked voxels, shape (K, J, I)."""
        kept = marked.ravel()[self.voxels]
        return Edges(self.points_mm[kept], self.normals[kept], self.voxels[kept])


def gradients_of(voxels: NDArray[np.float32], grid: VolumeGrid, smoothing_mm: float) -> Gradients:
    """Smooth a volume and take its gradients by central differences.

    Parameters
    ----------
    voxels : array of float32, shape (K, J, I)
        Intensities.
    grid : VolumeGrid
        Their grid, its axes at right angles.
    smoothing_mm : float
        Standard deviation of the Gaussian.
    """
    spacing = np.asarray(grid.spacing_mm[::-1])
    sigma = smoothing_mm / spacing
    smooth = ndimage.gaussian_filter(voxels, sigma, truncate=_TRUNCATE, mode="nearest")
    k, j, i = (_slope(smooth, axis, float(step)) for axis, step in enumerate(spacing))
    reach = [int(_TRUNCATE * s + 0.5) + 1 for s in sigma]
    return Gradients((k, j, i), k * k + j * j + i * i, spacing, (reach[0], reach[1], reach[2]))


def edges_of(gradients: Gradients, strength: Strength) -> Edges:
    """Find the edges of a volume."""
    shape = gradients.squares.shape
    voxels = np.flatnonzero(gradients.squares > strength.edge**2)
    index = np.stack(np.unravel_index(voxels, shape)).astype(np.float32)
    length = np.sqrt(gradients.squares)
    here = length.ravel()[voxels]
    normals = np.stack([along.ravel()[voxels] for along in gradients.along]) / here
    # As far as the next voxel along the axis on which that is nearest.
    step = normals / gradients.spacing_mm.astype(np.float32)[:, None]
    step /= np.maximum(np.maximum(np.abs(step[0]), np.abs(step[1])), np.abs(step[2]))
    ahead, behind = (ndimage.map_coordinates(length, index + sign * step, order=1, mode="nearest") for sign in (1, -1))
    highest = (here >= behind) & (here > ahead)
    for axis, n in enumerate(shape):
        highest &= (index[axis] > 0) & (index[axis] < n - 1)
    index, step, normals = (each[:, highest].T.astype(np.float64) for each in (index, step, normals))
    here, ahead, behind = here[highest], ahead[highest], behind[highest]
    shift = 0.5 * (behind - ahead) / (behind - 2 * here + ahead)
    return Edges((index + shift[:, None] * step) * gradients.spacing_mm, normals, voxels[highest])


def some_of(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some 200,000 voxels, spread evenly, for statistics; shape (N,)."""
    return np.ascontiguousarray(voxels.ravel()[:: max(1, voxels.size // _SOME) | 1])


def _slope(voxels: NDArray[np.float32], axis: int, step_mm: float) -> NDArray[np.float32]:
    if voxels.shape[axis] == 1:
        return np.zeros_like(voxels)
    return np.asarray(np.gradient(voxels, np.float32(step_mm), axis=axis))
