"""From volumes in world coordinates to what an engine gets.

The engine always starts at the identity: the start transform is folded into the header of one volume, which loses
nothing, so that every engine honours it in the same way.

The engine samples its metric in one of the two volumes, and it does so in the one with the smaller field of view,
whatever its role. Sampling the larger one wastes most points outside the other volume and pulls the result. Where the
slices or the voxels of one are much larger than those of the other, that one is sampled instead. The figures are in
``Resources/Docs/decisions.md``. It also makes the result independent of which volume the user calls fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid, has_coarse_voxels, has_thick_slices
from ..core.linear import is_rigid, sitk_from_matrix
from ..core.volume import Volume
from ..engines.jobs import EngineVolume

__all__ = [
    "engine_copy",
    "engine_volume",
    "informative_extent_mm3",
    "mask_on_grid",
    "orthogonal_volume",
    "padding_value",
    "resampled_words",
    "sample_moving",
]


# A coarse volume is not sampled where it is so much larger that most samples would miss the other.
_NOT_TOO_LARGE = 2.0


def padding_value(voxels: NDArray[Any]) -> float | None:
    """Value that fills the volume's border, or None when its eight corners do not agree.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities.
    """
    corners = voxels[:: voxels.shape[0] - 1, :: voxels.shape[1] - 1, :: voxels.shape[2] - 1].ravel()
    values, counts = np.unique(corners, return_counts=True)
    most = int(counts.argmax())
    return float(values[most]) if counts[most] >= 4 else None


def informative_extent_mm3(volume: Volume, mask: Volume | None = None) -> float:
    """Volume of space in mm^3 to compare: of the mask, or else of all voxels, without those of the padding value."""
    voxels = volume.voxels
    padding = padding_value(voxels)
    # A mask of the foreground has no padding in it; one that only leaves out metal has.
    parts = [] if mask is None else [mask.voxels > 0]
    parts += [] if padding is None else [voxels != padding]
    count = int(np.count_nonzero(np.logical_and.reduce(parts))) if parts else voxels.size
    return count * float(np.prod(volume.grid.spacing_mm))


def sample_moving(
    fixed: Volume, moving: Volume, *, fixed_mask: Volume | None = None, moving_mask: Volume | None = None
) -> bool:
    """Whether the engine should sample the moving volume: it is much coarser, or there is less of it to compare.

    Two equal extents, as of two scans on one grid, are told apart by their content, so that the answer never depends on
    which of them is called fixed.
    """
    fixed_extent = informative_extent_mm3(fixed, fixed_mask)
    moving_extent = informative_extent_mm3(moving, moving_mask)
    for is_coarse in (has_thick_slices, has_coarse_voxels):
        if is_coarse(moving.grid, fixed.grid) and moving_extent < _NOT_TOO_LARGE * fixed_extent:
            return True
        if is_coarse(fixed.grid, moving.grid) and fixed_extent < _NOT_TOO_LARGE * moving_extent:
            return False
    if fixed_extent == moving_extent:
        return bool(sitk.Hash(moving.image) < sitk.Hash(fixed.image))
    return moving_extent < fixed_extent


def orthogonal_volume(volume: Volume, matrix_lps: ArrayLike, *, nearest: bool = False) -> Volume:
    """Move a volume by a linear transform, keeping the grid orthogonal.

    Parameters
    ----------
    volume : Volume
        Not changed.
    matrix_lps : array, shape (4, 4)
        Where each point of the volume goes, LPS, mm.
    nearest : bool
        Interpolate by nearest neighbour (for masks).

    Returns
    -------
    Volume
        With a new header and the same voxels where the moved grid is orthogonal, otherwise resampled to a grid
        that encloses it: the engines take the axes of a volume to be perpendicular.
    """
    matrix = np.asarray(matrix_lps, dtype=np.float64)
    moved = volume.grid.moved(matrix)
    if is_rigid(matrix) and volume.grid.is_orthogonal:
        image = sitk.Image(volume.image)
        moved.place(image)
        return Volume(image, volume.name)
    enclosing = _enclosing_grid(moved)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(enclosing.size)
    resampler.SetOutputSpacing(enclosing.spacing_mm)
    resampler.SetOutputOrigin(enclosing.origin_lps)
    resampler.SetOutputDirection(enclosing.direction)
    resampler.SetTransform(sitk_from_matrix(np.linalg.inv(matrix)))
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.SetDefaultPixelValue(0.0 if nearest else float(volume.voxels.min()))
    return Volume(resampler.Execute(volume.image), volume.name)


def _enclosing_grid(grid: VolumeGrid) -> VolumeGrid:
    """Orthogonal grid with the rotation closest to ``grid``'s axes and the same spacing that encloses it."""
    u, _, vt = np.linalg.svd(np.asarray(grid.direction).reshape(3, 3))
    axes = u @ vt
    corners = grid.corners_lps @ axes
    low, high = corners.min(axis=0), corners.max(axis=0)
    spacing = np.asarray(grid.spacing_mm)
    size = np.ceil((high - low) / spacing - 1e-6).astype(int)
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, :3] = axes * spacing
    ijk_to_lps[:3, 3] = axes @ (low + spacing / 2)
    return VolumeGrid.of_matrix((int(size[0]), int(size[1]), int(size[2])), ijk_to_lps)


def mask_on_grid(mask: Volume, reference: Volume) -> tuple[Volume, bool]:
    """Bring a mask onto the grid of its volume.

    Parameters
    ----------
    mask : Volume
        Zeros and ones.
    reference : Volume
        The volume that it masks; both in world coordinates.

    Returns
    -------
    mask : Volume
        On the grid of ``reference``.
    resampled : bool
        Whether the grids differed.

    Raises
    ------
    InputError
        The mask marks nothing inside the volume.
    """
    if mask.grid.coincides_with(reference.grid):
        return mask, False
    image = sitk.Resample(mask.image, reference.image, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkNearestNeighbor)
    if not np.any(sitk.GetArrayViewFromImage(image)):
        raise InputError(
            mask.name,
            f"the mask marks nothing inside {reference.name}",
            "Check that it belongs to this volume and was drawn in the same coordinates.",
        )
    return Volume(image, mask.name), True


def resampled_words(mask: Volume, volume: Volume) -> str:
    """A warning about a mask that was not on the grid of its volume."""
    return f"The mask {mask.name} is on another grid than {volume.name}; it was resampled (nearest neighbour)."


def engine_copy(
    volume: Volume,
    mask: Volume | None,
    matrix_lps: ArrayLike,
    winsorize_percentiles: tuple[float, float],
    voxels: NDArray[np.float32] | None = None,
) -> EngineVolume:
    """Move a volume with its mask, and make the engine's copy.

    Parameters
    ----------
    volume : Volume
        World coordinates; not changed.
    mask : Volume or None
        On the grid of ``volume``.
    matrix_lps : array, shape (4, 4)
        Where each point of the volume goes, LPS, mm.
    winsorize_percentiles : tuple of 2 float
        As for :func:`engine_volume`.
    voxels : array, shape (K, J, I), optional
        Of an earlier copy with another mask: used as they are where the volume is moved by its header alone.

    Raises
    ------
    InputError
        The masked part of the volume has no contrast.
    """
    if voxels is not None and is_rigid(matrix_lps) and volume.grid.is_orthogonal:
        return _with_mask(volume, voxels, volume.grid.moved(matrix_lps), mask)
    placed_mask = None if mask is None else orthogonal_volume(mask, matrix_lps, nearest=True)
    return engine_volume(orthogonal_volume(volume, matrix_lps), placed_mask, winsorize_percentiles)


def engine_volume(volume: Volume, mask: Volume | None, winsorize_percentiles: tuple[float, float]) -> EngineVolume:
    """Make the engine's copy of a volume: 32-bit intensities without outliers.

    Parameters
    ----------
    volume : Volume
        On an orthogonal grid.
    mask : Volume, optional
        On the same grid.
    winsorize_percentiles : tuple of 2 float
        Intensities are clipped to these percentiles of the voxels that are not padding: a few metal voxels would
        otherwise squeeze all tissue into a few histogram bins.

    Returns
    -------
    EngineVolume
        A copy; the volume itself is left alone.

    Raises
    ------
    InputError
        The masked part of the volume has no contrast.
    """
    voxels = np.array(volume.voxels, dtype=np.float32)
    padding = padding_value(voxels)
    informative = voxels if padding is None else voxels[voxels != padding]
    low, high = np.percentile(informative, winsorize_percentiles)
    if low < high:
        # Padding stays what it is only if it lies between the two; below them it becomes the lowest value.
        np.clip(voxels, low, high, out=voxels)
    return _with_mask(volume, voxels, volume.grid, mask)


def _with_mask(volume: Volume, voxels: NDArray[np.float32], grid: VolumeGrid, mask: Volume | None) -> EngineVolume:
    """The engine's copy with these intensities, if there is anything to see in them within the mask."""
    mask_voxels = None if mask is None else np.array(mask.voxels, dtype=np.uint8)
    inside = voxels if mask_voxels is None else voxels[mask_voxels > 0]
    if inside.min() == inside.max():
        where = "" if mask is None else f" inside the mask {mask.name}"
        raise InputError(
            volume.name,
            f"every voxel{where} has the same value after outliers were clipped",
            "Check that the right volume and mask were given.",
        )
    return EngineVolume(voxels, grid, mask_voxels)
