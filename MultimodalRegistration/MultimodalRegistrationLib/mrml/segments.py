"""Segmentation and label map nodes: masks of a volume, and what their files are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from ..core.errors import InputError
from ..core.frames import flip_ijk_to_space
from ..core.grid import VolumeGrid
from ..core.linear import translation_matrix
from ..core.volume import Volume
from ..preprocess.masks import mask_like
from ..register.prepare import mask_on_grid
from .placement import Placement, placement_in_world
from .steps import drained
from .volumes import (
    Slabs,
    mask_from_node,
    slabs_of_node,
    volume_from_node,
    voxels_in_steps,
)
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix

# Slicer's own name.
LABEL_MAP = "Binary labelmap"
_VOXELS_A_STEP = 200_000
# What Slicer calls a label without a name.
_NO_NAMES = ("", "(none)")


def mask_of_volume(
    node: Any, volume: Volume, *, segments: Sequence[str] | None = None, outside: bool = False
) -> Volume:
    """Read the mask of a volume from whichever kind of node holds it.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode
        Not changed. Of a label map, voxels above zero are marked.
    volume : Volume
        What is masked, in world coordinates.
    segments : sequence of str, optional
        Identifiers or names; of segmentations only. By default all visible segments.
    outside : bool
        Mark everything but that.

    Returns
    -------
    Volume
        Zeros and ones in world coordinates.

    Raises
    ------
    InputError
        As :func:`mask_from_segments` and :func:`~MultimodalRegistrationLib.mrml.volumes.mask_from_node`; or segments
        were chosen of a label map.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        return mask_from_segments(node, volume, segments=segments, outside=outside)
    if segments is not None:
        raise InputError(
            node.GetName(), f"segments were chosen, but this is no segmentation ({node.GetClassName()})", "Choose none."
        )
    mask = mask_from_node(node)
    return _outside(mask_on_grid(mask, volume)[0], mask.name) if outside else mask


def mask_slabs(node: Any, volume_node: Any, *, segments: Sequence[str] | None = None, outside: bool = False) -> Slabs:
    """Read the mask of a volume in slabs, from whichever kind of node holds it.

    Parameters
    ----------
    node, segments, outside
        As for :func:`mask_of_volume`; what is outside is not read in slabs.
    volume_node : vtkMRMLScalarVolumeNode
        What is masked.

    Raises
    ------
    InputError
        As :func:`mask_of_volume`.
    """
    if outside or (segments is not None and not node.IsA("vtkMRMLSegmentationNode")):
        mask = mask_of_volume(node, volume_from_node(volume_node), segments=segments, outside=outside)
        return Slabs(mask.grid, np.dtype(np.uint8), lambda: iter([np.asarray(mask.voxels, np.uint8).ravel()]))
    if node.IsA("vtkMRMLSegmentationNode"):
        return segment_slabs(node, slabs_of_node(volume_node).grid, segments=segments)
    return slabs_of_node(node, nearest=True)


def mask_from_segments(
    node: Any, volume: Volume, *, segments: Sequence[str] | None = None, outside: bool = False
) -> Volume:
    """Mark the voxels of a volume whose centres lie in any of some segments, or in none of them.

    Each segment is taken on its own voxels, by nearest neighbour, and parent transforms of any kind are honoured.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
        Not changed: a label map that it lacks is made of a copy.
    volume : Volume
        World coordinates.
    segments : sequence of str, optional
        Identifiers or names; they may overlap. By default all visible segments.
    outside : bool
        Mark what lies in none of them.

    Returns
    -------
    Volume
        Zeros and ones on the grid of ``volume``.

    Raises
    ------
    InputError
        No segment is chosen or visible, one does not exist, has a name that others have too, or is empty; or nothing
        of them, or nothing else, lies in the volume.
    """
    identifiers = _chosen(node, segments)
    names = [node.GetSegmentation().GetSegment(one).GetName() for one in identifiers]
    name = f"{node.GetName()}: {', '.join(names)}"
    marked = drained(voxels_in_steps(segment_slabs(node, volume.grid, segments=identifiers))) > 0
    if not marked.any():
        raise InputError(
            name,
            f"nothing of it lies inside {volume.name}",
            "Check that the segmentation belongs to this volume, and the transforms above the two.",
        )
    mask = Volume(mask_like(volume, marked, "segments").image, name)
    return _outside(mask, name) if outside else mask


def segment_slabs(node: Any, grid: VolumeGrid, *, segments: Sequence[str] | None = None) -> Slabs:
    """Mark as :func:`mask_from_segments` does, in slabs.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
        Not changed; its label maps as they are now are kept as long as they are needed.
    grid : VolumeGrid
        World coordinates.
    segments : sequence of str, optional
        Identifiers or names; by default all visible segments.

    Returns
    -------
    Slabs
        Zeros and ones on the grid.

    Raises
    ------
    InputError
        No segment is chosen or visible, one does not exist, has a name that others have too, or is empty.
    """
    placement = placement_in_world(node)
    chosen = [
        (label_slabs(labels, placement, grid), values) for labels, values in _label_maps(node, _chosen(node, segments))
    ]

    def parts() -> Iterator[NDArray[Any]]:
        for found in zip(*(slabs.parts() for slabs, _ in chosen), strict=True):
            marked = [np.isin(part, values) for part, (_, values) in zip(found, chosen, strict=True)]
            yield np.logical_or.reduce(marked).astype(np.uint8)

    return Slabs(grid, np.dtype(np.uint8), parts)


def segment_identifier(node: Any, segment: str) -> str:
    """Find a segment by its identifier or its name.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
        Not changed.
    segment : str
        Identifier, or a name that only one segment has.

    Raises
    ------
    InputError
        No such segment, or several.
    """
    segmentation = node.GetSegmentation()
    identifiers = all_segments(segmentation)
    if segment in identifiers:
        return segment
    names = {one: segmentation.GetSegment(one).GetName() for one in identifiers}
    called = [one for one, name in names.items() if name == segment]
    if len(called) != 1:
        found = f"no segment '{segment}'" if not called else f"{len(called)} segments are called '{segment}'"
        there = ", ".join(f"'{name}'" for name in names.values()) or "none"
        raise InputError(node.GetName(), found, f"Choose one of its segments ({there}), by identifier if need be.")
    return called[0]


def copy_of_segments(segmentation: Any, identifiers: Sequence[str]) -> Any:
    """Copy some segments, in which representations can be made while the segmentation stays as it was.

    Parameters
    ----------
    segmentation : vtkSegmentation
        Not changed.
    identifiers : sequence of str
        Segments.

    Returns
    -------
    vtkSegmentation
        With the same source representation and conversion parameters.
    """
    copy = type(segmentation)()
    copy.SetSourceRepresentationName(segmentation.GetSourceRepresentationName())
    copy.CopyConversionParameters(segmentation)
    for identifier in identifiers:
        copy.CopySegmentFromSegmentation(segmentation, identifier)
    return copy


def all_segments(segmentation: Any) -> list[str]:
    """List the identifiers of the segments of a ``vtkSegmentation``, in order."""
    return [segmentation.GetNthSegmentID(number) for number in range(segmentation.GetNumberOfSegments())]


def _chosen(node: Any, segments: Sequence[str] | None) -> list[str]:
    """Identifiers, each once."""
    if segments is not None:
        if isinstance(segments, str):
            segments = [segments]
        identifiers = list(dict.fromkeys(segment_identifier(node, segment) for segment in segments))
        if not identifiers:
            raise InputError(node.GetName(), "no segment was chosen for the mask", "Choose at least one segment.")
        return identifiers
    identifiers = all_segments(node.GetSegmentation())
    display = node.GetDisplayNode()
    visible = [one for one in identifiers if display is None or display.GetSegmentVisibility(one)]
    if not visible:
        found = "none of its segments is visible" if identifiers else "it has no segments"
        raise InputError(node.GetName(), found, "Show the segments to use as a mask, or name them.")
    return visible


def with_label_maps(node: Any, identifiers: Sequence[str]) -> Any:
    """Find or make the label maps of segments.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
        Not changed: label maps that it lacks are made in a copy.
    identifiers : sequence of str
        Segments.

    Returns
    -------
    vtkSegmentation
        The one of the node, or a copy with these segments. Several segments may share a label map.

    Raises
    ------
    InputError
        No label map can be made.
    """
    segmentation = node.GetSegmentation()
    if segmentation.ContainsRepresentation(LABEL_MAP):
        return segmentation
    segmentation = copy_of_segments(segmentation, identifiers)
    if not segmentation.CreateRepresentation(LABEL_MAP):
        raise InputError(
            node.GetName(),
            "no label map can be made of its segments",
            "Check that none of them is empty; in the Segmentations module, create the binary label map.",
        )
    return segmentation


def _label_maps(node: Any, identifiers: list[str]) -> list[tuple[Any, list[int]]]:
    """Label maps in the node's own coordinates, each with the labels of its segments: several may share one."""
    segmentation = with_label_maps(node, identifiers)
    shared: dict[Any, list[int]] = {}
    for identifier in identifiers:
        segment = segmentation.GetSegment(identifier)
        labels, value = segment.GetRepresentation(LABEL_MAP), segment.GetLabelValue()
        if labels is None or labels.IsEmpty() or not (vtk_to_numpy(labels.GetPointData().GetScalars()) == value).any():
            raise InputError(
                f"{node.GetName()}: {segment.GetName()}", "the segment is empty", "Draw it, or leave it out."
            )
        shared.setdefault(labels, []).append(value)
    return list(shared.items())


def label_slabs(labels: Any, placement: Placement, grid: VolumeGrid) -> Slabs:
    """Take a label map to a grid, by nearest neighbour, in slabs.

    Parameters
    ----------
    labels : vtkOrientedImageData
        In the own coordinates of its node; as it is now, it is kept as long as it is needed.
    placement : Placement
        Of the node.
    grid : VolumeGrid
        In the world; 0 outside of the label map.
    """
    reslice = _reslice(labels, placement, grid)
    i, j, k = grid.size
    rows = max(1, _VOXELS_A_STEP // i)

    def parts() -> Iterator[NDArray[Any]]:
        for slice_number in range(k):
            for first in range(0, j, rows):
                reslice.SetOutputExtent(0, i - 1, first, min(first + rows, j) - 1, slice_number, slice_number)
                reslice.Update()
                yield np.array(vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars()))

    return Slabs(grid, vtk_to_numpy(labels.GetPointData().GetScalars()).dtype, parts)


def _reslice(labels: Any, placement: Placement, grid: VolumeGrid) -> Any:
    """A filter that makes any part of a label map on a grid in the world."""
    local_to_ijk = vtk.vtkMatrix4x4()
    labels.GetWorldToImageMatrix(local_to_ijk)
    grid_to_world = flip_ijk_to_space(grid.ijk_to_lps)
    if placement.matrix_ras is None:
        # Applied from right to left: voxel of the grid, world point, point of the segmentation, its voxel.
        chain = vtk.vtkGeneralTransform()
        chain.Concatenate(local_to_ijk)
        chain.Concatenate(placement.from_world)
        chain.Concatenate(vtk_from_matrix(grid_to_world))
    else:
        # A matrix is many times faster.
        matrix = matrix_from_vtk(local_to_ijk) @ np.linalg.inv(placement.matrix_ras) @ grid_to_world
        chain = vtk.vtkMatrixToLinearTransform()
        chain.SetInput(vtk_from_matrix(matrix))
    # The placement is in the transform; the extent, which need not begin at 0, stays.
    plain = vtk.vtkImageData()
    plain.SetExtent(labels.GetExtent())
    plain.GetPointData().SetScalars(labels.GetPointData().GetScalars())
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(plain)
    reslice.SetResliceTransform(chain)
    reslice.SetInterpolationModeToNearestNeighbor()
    reslice.SetBackgroundLevel(0.0)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    return reslice


def _outside(mask: Volume, name: str) -> Volume:
    marked = mask.voxels == 0
    if not marked.any():
        raise InputError(name, "nothing lies outside of it", "Leave out a segment, or the mask.")
    return Volume(mask_like(mask, marked, "outside").image, f"outside {name}")


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
