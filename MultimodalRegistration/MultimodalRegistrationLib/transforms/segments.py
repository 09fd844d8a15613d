"""Segmentations of Slicer (``.seg.nrrd``) carried by a transform, with their names, colours and overlapping layers."""

from __future__ import annotations

import re

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.frames import flip_ijk_to_space, flip_matrix_lps_ras
from ..core.grid import VolumeGrid
from ..core.volume import Volume
from ..io.segmentations import layers_of
from .resample import Interpolation, resample

__all__ = ["moved_entries", "resample_segmentation"]

_LAYER_EXTENT = re.compile(r"Segment\d+_Extent")
_OFFSET = "Segmentation_ReferenceImageExtentOffset"
_PARAMETERS = "Segmentation_ConversionParameters"
# Sixteen numbers of voxels to RAS, row by row, and six of the extent.
_GEOMETRY = re.compile(r"(Reference image geometry\|)([^|]*)(?=\|)")
# Those of ITK, which writes them anew.
_OF_THE_FILE = ("ITK_", "NRRD_")


def moved_entries(entries: dict[str, str], matrix_lps: NDArray[np.float64]) -> dict[str, str]:
    """The entries of the header where the segmentation is moved by it.

    Parameters
    ----------
    entries : dict
        Names, colours and places of the segments.
    matrix_lps : array, shape (4, 4)
        Where points go, LPS, mm.

    Returns
    -------
    dict
        With the reference geometry, in which Slicer edits and converts, moved too.
    """

    def moved(found: re.Match[str]) -> str:
        numbers = [number for number in found[2].split(";") if number]
        if len(numbers) < 16:
            return found[0]
        placed = flip_matrix_lps_ras(matrix_lps) @ np.array(numbers[:16], dtype=np.float64).reshape(4, 4)
        return found[1] + "".join(f"{number};" for number in (*placed.ravel().tolist(), *numbers[16:]))

    return {key: _GEOMETRY.sub(moved, value) if key == _PARAMETERS else value for key, value in entries.items()}


def resample_segmentation(
    image: sitk.Image,
    entries: dict[str, str],
    grid: VolumeGrid,
    transform: sitk.Transform,
    *,
    interpolation: Interpolation,
) -> sitk.Image:
    """Bring all layers to a grid.

    Parameters
    ----------
    image : SimpleITK.Image
        One component for each layer.
    entries : dict
        Of the header: names, colours and places of the segments.
    grid : VolumeGrid
        Voxels of the result, and its reference geometry for Slicer.
    transform : SimpleITK.Transform
        Maps points of the grid to points of the segmentation, LPS, mm.
    interpolation : {"nearest", "label"}
        Of the labels of each layer.

    Returns
    -------
    SimpleITK.Image
        With the entries of the header, those about the extent brought up to date.
    """
    layers = []
    for voxels in layers_of(image):
        layer = sitk.GetImageFromArray(voxels)
        VolumeGrid.of_image(image).place(layer)
        layers.append(resample(Volume(layer, ""), grid, transform, interpolation=interpolation).image)
    moved = layers[0] if image.GetNumberOfComponentsPerPixel() == 1 else sitk.Compose(layers)
    extent = " ".join(f"0 {n - 1}" for n in grid.size)
    geometry = [*flip_ijk_to_space(grid.ijk_to_lps).ravel().tolist(), *map(int, extent.split())]
    for key, value in entries.items():
        if key.startswith(_OF_THE_FILE):
            continue
        if _LAYER_EXTENT.fullmatch(key):
            value = extent
        elif key == _OFFSET:
            value = "0 0 0"
        elif key == _PARAMETERS:
            value = _GEOMETRY.sub(lambda found: found[1] + "".join(f"{number!r};" for number in geometry), value)
        moved.SetMetaData(key, value)
    return moved
