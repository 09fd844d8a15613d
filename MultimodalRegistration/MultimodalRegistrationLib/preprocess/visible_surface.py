"""The surface by which a user knows a volume in a 3D view: the outline of the body, or the bone of a CT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.surface import Surface
from ..core.volume import Volume
from ..io.downsample import coarse_copy
from ..io.surfaces import simplified, surface_of_mask, surface_of_threshold
from .foreground import find_foreground
from .intensities import Modality, guess_modality, hounsfield_offset, padded_voxels
from .masks import connected_regions, mask_like

Shown = Literal["body", "bone"]

# About 2.5 mm in a head and 4 mm in a trunk: all that a 3D view of the whole shows, and quick.
_VOXELS = 1_000_000
_VALUES_LOOKED_AT = 200_000
_BONE_HU = 250.0
_AIR_HU = -1000.0
# Smaller pieces are calcifications, contrast agent and noise.
_MIN_BONE_MM3 = 1000.0


@dataclass(frozen=True)
class CoarseVolume:
    """A volume at the resolution of a 3D view.

    Parameters
    ----------
    volume : Volume
        Means over coarse voxels, which cover the same box.
    modality : str
        Guessed from the voxels themselves: means have less noise and more voxels between air and tissue.
    """

    volume: Volume
    modality: Modality


def coarse_volume(voxels: NDArray[Any], grid: VolumeGrid, name: str) -> CoarseVolume:
    """Shrink a volume.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities; not changed.
    grid : VolumeGrid
        Where they lie.
    name : str
        For messages.

    Returns
    -------
    CoarseVolume
        About a million voxels, on the grid's own axes.
    """
    step = max(1, round((voxels.size / _VALUES_LOOKED_AT) ** (1 / 3)))
    sample = sitk.GetImageFromArray(np.nan_to_num(voxels[::step, ::step, ::step]))
    modality = guess_modality(Volume(sample, name))
    spacing_mm = float((grid.extent_mm.prod() / _VOXELS) ** (1 / 3))
    # Where a border is constant, that has to be seen.
    return CoarseVolume(coarse_copy(voxels, grid, spacing_mm, name, keep_whole=True), modality)


def visible_surface(coarse: CoarseVolume, shown: Shown, most_triangles: int) -> Surface | None:
    """The surface of what a volume shows, open where the volume ends.

    Parameters
    ----------
    coarse : CoarseVolume
        Not changed.
    shown : {"body", "bone"}
        Bone is shown by CT only.
    most_triangles : int
        Roughly how many it may have.

    Returns
    -------
    Surface or None
        In the coordinates of the volume, LPS, mm; None where there is nothing of the kind.
    """
    volume, modality = coarse.volume, coarse.modality
    try:
        padding, _ = padded_voxels(volume.voxels)
        body = find_foreground(volume, modality=modality, padding=padding).body
        if shown == "body":
            surface = surface_of_mask(mask_like(volume, body, "body"), closed=False)
        else:
            offset = hounsfield_offset(modality)
            labels, _ = connected_regions(body & (volume.voxels > _BONE_HU - offset))
            small = np.bincount(labels.ravel()) * float(np.prod(volume.grid.spacing_mm)) < _MIN_BONE_MM3
            small[0] = False
            # The neighbours of bone keep their values, between which the surface is interpolated.
            dense = np.where(small[labels] | ~body, np.float32(_AIR_HU - offset), volume.voxels)
            image = sitk.GetImageFromArray(dense)
            image.CopyInformation(volume.image)
            surface = surface_of_threshold(Volume(image, volume.name), _BONE_HU - offset)
        return simplified(surface, most_triangles)
    except InputError:
        # All voxels alike, or too few on one side for a surface.
        return None
