"""Segmentation and label map nodes as segmentations in world coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.frames import flip_ijk_to_space
from ..core.grid import VolumeGrid
from ..core.linear import translation_matrix
from ..core.volume import Volume
from ..io.segmentations import Segmentation
from .placement import Placement, placement_in_world
from .segments import LABEL_MAP, all_segments, labels_on_grid, with_label_maps
from .volume_kinds import check_voxels
from .volumes import grid_in_world, image_in_world
from .vtk_arrays import matrix_from_vtk

__all__ = ["common_grid", "label_names", "segmentation_of_node"]

# What Slicer calls a label without a name.
_NO_NAMES = ("", "(none)")


def segmentation_of_node(node: Any, placement: Placement | None = None) -> Segmentation:
    """Read all structures of a node.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode
        Not changed: label maps that it lacks are made of a copy.
    placement : Placement, optional
        Where it is read; by default where it lies, parent transforms included.

    Returns
    -------
    Segmentation
        World coordinates. Segments may overlap and be empty. The names of labels come from the colour table.

    Raises
    ------
    InputError
        Another kind of node, no segments, or none with voxels.
    """
    placement = placement or placement_in_world(node)
    if node.IsA("vtkMRMLSegmentationNode"):
        return _of_segments(node, placement)
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _of_label_map(node, placement)
    raise InputError(
        node.GetName(), f"this holds no structures ({node.GetClassName()})", "Choose a segmentation or a label map."
    )


def _of_segments(node: Any, placement: Placement) -> Segmentation:
    name = node.GetName()
    identifiers = all_segments(node.GetSegmentation())
    segmentation = with_label_maps(node, identifiers)
    grid = grid_in_world(common_grid(segmentation, name), placement, name)
    segments = [segmentation.GetSegment(one) for one in identifiers]
    maps = [one.GetRepresentation(LABEL_MAP) for one in segments]
    maps = [None if one is None or one.IsEmpty() else one for one in maps]
    # Several segments may share a label map; those without one share a layer of zeros.
    different = list(dict.fromkeys(maps))
    nothing = np.zeros(grid.size[::-1], dtype=np.uint8)
    layers = [nothing if labels is None else labels_on_grid(labels, placement, grid) for labels in different]
    return Segmentation.of_layers(
        name,
        grid,
        layers,
        [
            (one.GetName(), different.index(labels), one.GetLabelValue())
            for one, labels in zip(segments, maps, strict=True)
        ],
    )


def common_grid(segmentation: Any, name: str) -> VolumeGrid:
    """The voxels of all segments in own coordinates, as Slicer would save them.

    Parameters
    ----------
    segmentation : vtkSegmentation
        With label maps.
    name : str
        Of the node, for messages.

    Raises
    ------
    InputError
        There are none.
    """
    geometry = segmentation.DetermineCommonLabelmapGeometry(
        slicer.vtkSegmentation.EXTENT_UNION_OF_EFFECTIVE_SEGMENTS, None
    )
    if not geometry:
        raise InputError(name, "the segmentation is empty", "Draw a segment, or choose another one.")
    image = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, image, False)
    ijk_to_ras = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(ijk_to_ras)
    extent = np.array(image.GetExtent()).reshape(3, 2)
    i, j, k = (extent[:, 1] - extent[:, 0] + 1).tolist()
    if min(i, j, k) < 1:
        raise InputError(name, "the segmentation is empty", "Draw a segment, or choose another one.")
    matrix = matrix_from_vtk(ijk_to_ras) @ translation_matrix(extent[:, 0])
    return VolumeGrid.of_matrix((i, j, k), flip_ijk_to_space(matrix))


def _of_label_map(node: Any, placement: Placement) -> Segmentation:
    check_voxels(node)
    labels = Volume(image_in_world(node, placement, nearest=True), node.GetName())
    plain = Segmentation.of_labels(labels)
    if not plain.segments:
        raise InputError(node.GetName(), "the label map is empty", "Draw a structure, or choose another one.")
    names = label_names(node)
    if not any(one.label in names for one in plain.segments):
        return plain
    return Segmentation.of_layers(
        node.GetName(),
        labels.grid,
        [labels.voxels],
        [(names.get(one.label, one.name), 0, one.label) for one in plain.segments],
    )


def label_names(node: Any) -> dict[int, str]:
    """Names of the labels of a label map, from its colour table; those without a name are left out.

    Parameters
    ----------
    node : vtkMRMLLabelMapVolumeNode
        Not changed.
    """
    display = node.GetDisplayNode()
    colors = None if display is None else display.GetColorNode()
    if colors is None:
        return {}
    names = {label: colors.GetColorName(label) for label in range(colors.GetNumberOfColors())}
    return {label: name for label, name in names.items() if name and name not in _NO_NAMES}
