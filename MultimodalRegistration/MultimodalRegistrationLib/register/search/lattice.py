"""A volume on an isotropic lattice of a few millimetres, with its intensities sorted into a few classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...core.grid import VolumeGrid
from ...core.linear import apply_matrix
from ...core.volume import box_of_marked
from ...engines.jobs import EngineVolume

__all__ = ["Lattice", "content_extent_mm", "class_coordinates", "classes_of", "lattice_of"]

_MOST_CELLS = 30e6
_FEWEST_CELLS = 50


@dataclass(frozen=True)
class Lattice:
    """A smoothed volume on an isotropic lattice along its own axes.

    Parameters
    ----------
    values : array, shape (K, J, I), float32
        Intensities.
    inside : array, shape (K, J, I), bool
        Where there is something to compare: the volume, or its mask.
    spacing_mm : float
        Along every axis.
    ijk_to_lps : array, shape (4, 4)
        Lattice index in I, J, K to LPS, mm.
    """

    values: NDArray[np.float32]
    inside: NDArray[np.bool_]
    spacing_mm: float
    ijk_to_lps: NDArray[np.float64]

    @property
    def axes(self) -> NDArray[np.float64]:
        """Unit vectors of the axes as columns, shape (3, 3)."""
        return self.ijk_to_lps[:3, :3] / self.spacing_mm

    def shows(self, index: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether continuous indices in I, J, K, shape (N, 3), are in the volume and its mask, shape (N,)."""
        nearest = np.rint(index).astype(int)
        shown = np.all((nearest >= 0) & (nearest < self.inside.shape[::-1]), axis=1)
        i, j, k = nearest[shown].T
        shown[shown] = self.inside[k, j, i]
        return shown


def lattice_of(volume: EngineVolume, spacing_mm: float) -> Lattice:
    """Smooth a volume and bring it to an isotropic lattice that covers it.

    Parameters
    ----------
    volume : EngineVolume
        On an orthogonal grid.
    spacing_mm : float
        Of the lattice; more where it would have more than 30 million cells.

    Returns
    -------
    Lattice
        Each cell the mean of about its own cube. With a mask, the lattice covers the box around it.
    """
    volume = _cropped_to_mask(volume)
    spacing_mm = max(spacing_mm, float(np.prod(volume.grid.extent_mm) / _MOST_CELLS) ** (1 / 3))
    voxel_mm = np.asarray(volume.grid.spacing_mm)
    factors = np.maximum(1, np.floor(spacing_mm / voxel_mm / 2)).astype(int)
    factors = np.minimum(factors, np.asarray(volume.grid.size))
    image = _shrunk(volume.voxels, volume, factors)
    smoothed = _smoothed(image, spacing_mm)
    size = np.maximum(1, np.round(np.asarray(volume.grid.extent_mm) / spacing_mm)).astype(int)
    axes = np.asarray(volume.grid.direction).reshape(3, 3)
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, :3] = axes * spacing_mm
    ijk_to_lps[:3, 3] = volume.grid.center_lps - axes @ ((size - 1) / 2 * spacing_mm)
    values = _on_lattice(smoothed, size, spacing_mm, ijk_to_lps)
    if volume.mask is None:
        inside = np.ones(values.shape, dtype=bool)
    else:
        mask = _shrunk(volume.mask.astype(np.float32), volume, factors)
        coverage = _on_lattice(mask, size, spacing_mm, ijk_to_lps)
        inside = coverage >= 0.5
        if inside.sum() < _FEWEST_CELLS:
            # A thin mask: every cell that it touches, and at least those in which its voxels lie.
            inside = coverage > 0
            marked = apply_matrix(volume.grid.ijk_to_lps, np.argwhere(volume.mask)[:, ::-1])
            cells = np.rint(apply_matrix(np.linalg.inv(ijk_to_lps), marked)).astype(int)
            i, j, k = np.clip(cells, 0, np.asarray(inside.shape[::-1]) - 1).T
            inside[k, j, i] = True
    return Lattice(values, inside, spacing_mm, ijk_to_lps)


def content_extent_mm(volume: EngineVolume) -> NDArray[np.float64]:
    """Extent of the volume, or of the box around its mask, along its own axes, shape (3,), mm."""
    return np.asarray(_cropped_to_mask(volume).grid.extent_mm)


def _cropped_to_mask(volume: EngineVolume) -> EngineVolume:
    if volume.mask is None:
        return volume
    box = box_of_marked(volume.mask)
    k, j, i = box
    ijk_to_lps = volume.grid.ijk_to_lps.copy()
    ijk_to_lps[:3, 3] = apply_matrix(volume.grid.ijk_to_lps, [i.start, j.start, k.start])
    size = (i.stop - i.start, j.stop - j.start, k.stop - k.start)
    return EngineVolume(volume.voxels[box], VolumeGrid.of_matrix(size, ijk_to_lps), volume.mask[box])


def _shrunk(voxels: NDArray[np.float32], volume: EngineVolume, factors: NDArray[np.int_]) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    volume.grid.place(image)
    return sitk.BinShrink(image, [int(factor) for factor in factors]) if factors.max() > 1 else image


def _smoothed(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Gaussian of half a lattice step, along the axes that the lattice samples more coarsely than the image."""
    for axis, step_mm in enumerate(image.GetSpacing()):
        if spacing_mm > 1.2 * step_mm and image.GetSize()[axis] >= 4:
            image = sitk.RecursiveGaussian(image, 0.5 * spacing_mm, direction=axis)
    return image


def _on_lattice(
    image: sitk.Image, size: NDArray[np.int_], spacing_mm: float, ijk_to_lps: NDArray[np.float64]
) -> NDArray[np.float32]:
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in size])
    resampler.SetOutputSpacing([spacing_mm] * 3)
    resampler.SetOutputOrigin([float(x) for x in ijk_to_lps[:3, 3]])
    resampler.SetOutputDirection([float(x) for x in (ijk_to_lps[:3, :3] / spacing_mm).ravel()])
    resampler.SetUseNearestNeighborExtrapolator(True)
    resampler.SetInterpolator(sitk.sitkLinear)
    return sitk.GetArrayFromImage(resampler.Execute(image))


def class_centers(values: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """Sort the intensities into classes by k-means in one dimension.

    Unlike bins of equal width, which metal or the range of CT leaves nearly empty, and unlike bins of equal size, which
    a large background fills, classes of least variance keep fat, muscle, fluid and bone apart.

    Parameters
    ----------
    values : array, any shape
        Intensities.
    count : int
        Number of classes.

    Returns
    -------
    array, shape (count,)
        Intensity of the centre of each class, ascending.
    """
    sorted_values = np.sort(values, axis=None).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(sorted_values)])
    span = sorted_values[-1] - sorted_values[0]
    centers = np.quantile(sorted_values, (np.arange(count) + 0.5) / count)
    centers = 0.5 * centers + 0.5 * (sorted_values[0] + span * (np.arange(count) + 0.5) / count)
    squares = np.concatenate([[0.0], np.cumsum(sorted_values**2)])
    for _ in range(30):
        edges = np.searchsorted(sorted_values, (centers[1:] + centers[:-1]) / 2)
        edges = np.concatenate([[0], edges, [len(sorted_values)]])
        members = np.maximum(np.diff(edges), 1)
        means = np.diff(total[edges]) / members
        spread = np.maximum(np.diff(squares[edges]) - members * means**2, 0.0)
        empty = np.diff(edges) == 0
        centers = np.where(empty, centers, means)
        if empty.any() and spread.max() > 0:
            # A class that nothing falls into goes where most variance is left.
            widest = int(spread.argmax())
            centers[np.flatnonzero(empty)[0]] = means[widest] + np.sqrt(spread[widest] / members[widest])
        centers = np.sort(centers)
    return np.asarray(centers, dtype=np.float64)


def classes_of(lattice: Lattice, count: int) -> NDArray[np.int16]:
    """Class of each voxel, shape (K, J, I): 0 to ``count`` - 1 in order of intensity, -1 outside."""
    centers = class_centers(lattice.values[lattice.inside], count)
    labels = np.searchsorted((centers[1:] + centers[:-1]) / 2, lattice.values)
    return np.where(lattice.inside, labels, -1).astype(np.int16)


def class_coordinates(lattice: Lattice, count: int) -> NDArray[np.float64]:
    """Intensities as continuous class numbers from 0 to ``count`` - 1, shape (K, J, I)."""
    centers = class_centers(lattice.values[lattice.inside], count)
    return np.asarray(np.interp(lattice.values, centers, np.arange(count)), dtype=np.float64)
