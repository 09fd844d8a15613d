"""Two volume nodes prepared for a registration; the nodes themselves never change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.points import Pairing
from ..core.volume import Volume
from ..preprocess.region import DEFAULT_MARGIN_MM, Region, region_of_box, region_of_points
from ..preprocess.run import find_region, points_of_segment, preprocess
from ..preprocess.steps import ROLES, Role
from ..register.landmark_start import landmark_start
from ..register.prepare import mask_on_grid
from ..register.searched_start import searched_start
from .prealign import pairs_of_nodes
from .prepared_nodes import PreparedNodes, RegionNodes, add_prepared, add_region
from .roi import box_of_roi_node
from .segments import mask_of_volume
from .transforms import start_from_node
from .volume_findings import check_kinds
from .volumes import volume_from_node

__all__ = ["find_region_nodes", "preprocess_nodes", "refuse_wrong_kinds"]


def preprocess_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    initial_transform_node: Any = None,
    fixed_landmarks_node: Any = None,
    moving_landmarks_node: Any = None,
    pairing: Pairing = "order",
    roi_node: Any = None,
    segmentation_node: Any = None,
    segments: Sequence[str] | None = None,
    margin_mm: float = DEFAULT_MARGIN_MM,
    automatic_masks: tuple[Role, ...] = ROLES,
    fixed_mask_node: Any = None,
    moving_mask_node: Any = None,
    bias_correct: tuple[Role, ...] = (),
    isotropic_mm: float | None = None,
    on_progress: Callable[[str, float], None] = lambda words, fraction: None,
    cancel: threading.Event | None = None,
) -> PreparedNodes:
    """Cut two volumes to what both show, mask, correct and resample them.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the new nodes; nothing else in it changes.
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        The volumes, under any parents.
    initial_transform_node : vtkMRMLTransformNode, optional
        Linear; moves the moving volume, from where it lies, towards the fixed one.
    fixed_landmarks_node, moving_landmarks_node : vtkMRMLMarkupsNode, optional
        Or the rigid fit of these; both or none. Without either, all poses are searched.
    pairing : str
        How the landmarks are paired: ``"order"``, ``"label"`` or ``"auto"``.
    roi_node : vtkMRMLMarkupsROINode, optional
        What to cut to, in the fixed volume.
    segmentation_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        Or what to cut to with the margin. Without either, what both volumes show within the masks, with the margin.
    segments : sequence of str, optional
        Of the segmentation, by identifier or name; by default all visible ones.
    margin_mm : float
        Around the region that is found here.
    automatic_masks : tuple of str
        ``"fixed"``, ``"moving"``: make a mask there where none is given.
    fixed_mask_node, moving_mask_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        What counts of each volume: the visible segments, or voxels above zero.
    bias_correct : tuple of str
        ``"fixed"``, ``"moving"``: whose bias field is taken out.
    isotropic_mm : float, optional
        Resample both to cubic voxels of this size.
    on_progress, cancel
        As for :func:`~MultimodalRegistrationLib.preprocess.run.preprocess`.

    Returns
    -------
    PreparedNodes
        New volumes, masks and fields; the ROI and the prealignment that were given, or new ones.

    Raises
    ------
    InputError
        A node that cannot be used, by name; nothing was added to the scene.
    Cancelled
        Likewise.
    """
    fixed, moving = _volumes(fixed_node, moving_node)
    masks = _masks(fixed, moving, fixed_mask_node, moving_mask_node)
    on_progress("finding a prealignment", 0.0)
    matrix = _prealignment(fixed, moving, initial_transform_node, fixed_landmarks_node, moving_landmarks_node, pairing)
    region = None
    if roi_node is not None and segmentation_node is not None:
        raise InputError(
            roi_node.GetName(), f"given together with {segmentation_node.GetName()}", "Leave one of them out."
        )
    if roi_node is not None:
        region = region_of_box(box_of_roi_node(roi_node), moving.grid, matrix)
    if segmentation_node is not None:
        region = _region_of_segments(segmentation_node, segments, fixed, moving, matrix, margin_mm)
    prepared = preprocess(
        fixed,
        moving,
        matrix,
        region=region,
        margin_mm=margin_mm,
        automatic_masks=automatic_masks,
        bias_correct=bias_correct,
        isotropic_mm=isotropic_mm,
        on_progress=on_progress,
        cancel=cancel,
        **masks,
    )
    return add_prepared(
        scene,
        prepared,
        matrix,
        fixed_node=fixed_node,
        moving_node=moving_node,
        roi_node=roi_node,
        prealignment_node=initial_transform_node,
    )


def find_region_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    initial_transform_node: Any = None,
    fixed_landmarks_node: Any = None,
    moving_landmarks_node: Any = None,
    pairing: Pairing = "order",
    roi_node: Any = None,
    segmentation_node: Any = None,
    segments: Sequence[str] | None = None,
    margin_mm: float = DEFAULT_MARGIN_MM,
    automatic_masks: tuple[Role, ...] = ROLES,
    fixed_mask_node: Any = None,
    moving_mask_node: Any = None,
) -> RegionNodes:
    """Find what both volumes show, as a ROI in the fixed one that can be edited.

    Parameters
    ----------
    scene, fixed_node, moving_node, segmentation_node, segments, margin_mm, automatic_masks
        As for :func:`preprocess_nodes`; also the masks, the transform, the landmarks and their pairing.
    roi_node : vtkMRMLMarkupsROINode, optional
        One that was found here before is set anew.

    Returns
    -------
    RegionNodes
        Give both nodes to :func:`preprocess_nodes`.

    Raises
    ------
    InputError
        As :func:`preprocess_nodes`.
    """
    fixed, moving = _volumes(fixed_node, moving_node)
    masks = _masks(fixed, moving, fixed_mask_node, moving_mask_node)
    matrix = _prealignment(fixed, moving, initial_transform_node, fixed_landmarks_node, moving_landmarks_node, pairing)
    region = None
    if segmentation_node is not None:
        region = _region_of_segments(segmentation_node, segments, fixed, moving, matrix, margin_mm)
    found = find_region(
        fixed, moving, matrix, region=region, margin_mm=margin_mm, automatic_masks=automatic_masks, **masks
    )
    return add_region(
        scene,
        found.region,
        matrix,
        fixed_node=fixed_node,
        moving_node=moving_node,
        roi_node=roi_node,
        prealignment_node=initial_transform_node,
        facts=found.facts,
    )


def refuse_wrong_kinds(fixed_node: Any, moving_node: Any) -> None:
    """Raise for the first of two nodes that is no volume that can be registered.

    Raises
    ------
    InputError
        Names the node, what it is, and the remedy.
    """
    for each in check_kinds(fixed_node, moving_node):
        if each.finding.severity == "error":
            raise InputError(each.name, each.finding.message, each.finding.remedy, code=each.finding.code)


def _volumes(fixed_node: Any, moving_node: Any) -> tuple[Volume, Volume]:
    refuse_wrong_kinds(fixed_node, moving_node)
    return volume_from_node(fixed_node), volume_from_node(moving_node)


def _masks(fixed: Volume, moving: Volume, fixed_mask_node: Any, moving_mask_node: Any) -> dict[str, Any]:
    return {
        name: None if node is None else mask_on_grid(mask_of_volume(node, volume), volume)[0]
        for name, node, volume in (
            ("fixed_mask", fixed_mask_node, fixed),
            ("moving_mask", moving_mask_node, moving),
        )
    }


def _prealignment(
    fixed: Volume, moving: Volume, transform_node: Any, fixed_landmarks: Any, moving_landmarks: Any, pairing: Pairing
) -> NDArray[np.float64]:
    pairs = pairs_of_nodes(fixed_landmarks, moving_landmarks, how=pairing)
    if transform_node is not None and pairs is not None:
        raise InputError(transform_node.GetName(), "given together with landmarks", "Leave one of them out.")
    if transform_node is not None:
        return start_from_node(transform_node)
    if pairs is not None:
        return landmark_start(pairs, fixed.grid, moving.grid).fixed_to_moving_lps
    return searched_start(fixed, moving)


def _region_of_segments(
    node: Any,
    segments: Sequence[str] | None,
    fixed: Volume,
    moving: Volume,
    matrix: NDArray[np.float64],
    margin_mm: float,
) -> Region:
    points = points_of_segment(mask_of_volume(node, fixed, segments=segments))
    return region_of_points(points, fixed.grid, moving.grid, matrix, margin_mm)
