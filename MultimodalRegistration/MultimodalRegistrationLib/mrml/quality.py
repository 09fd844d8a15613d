"""Quality of registrations with nodes in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..assess.assess import Assessment, Structures, assess
from ..assess.content import quality_content
from ..assess.targets import TG_132, Tolerance
from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..landmarks.pairing import pair_targets
from ..register.prepare import mask_on_grid
from .landmarks import landmarks_of_node
from .placement import placement_without
from .prealign import both_given
from .quality_inputs import check_fixed, command_of, names_of, record_of
from .segmentations import segmentation_of_node
from .segments import mask_of_volume
from .spatial import GOOD_ENOUGH_MM, spatial_transform_of_node
from .volumes import volume_from_node

__all__ = ["NodeAssessment", "assess_nodes"]


@dataclass(frozen=True)
class NodeAssessment:
    """What was measured, and of which volumes.

    Parameters
    ----------
    assessment : Assessment
        Measurements, comparisons and verdicts.
    content : dict
        The same for JSON, tables and the report.
    fixed, moving : Volume
        World coordinates; the moving volume where it lay before any of the transforms was applied to it.
    """

    assessment: Assessment
    content: dict[str, Any]
    fixed: Volume
    moving: Volume


def assess_nodes(
    fixed_node: Any,
    moving_node: Any,
    transform_nodes: Sequence[Any],
    *,
    targets_fixed_node: Any = None,
    targets_moving_node: Any = None,
    fixed_segmentation_node: Any = None,
    moving_segmentation_node: Any = None,
    reference_node: Any = None,
    region_node: Any = None,
    tolerance: Tolerance = TG_132,
    on_progress: Callable[[str, float], None] = lambda stage, share: None,
) -> NodeAssessment:
    """Measure how good transform nodes are.

    Everything is computed in world coordinates, parent transforms included. Whether a transform is applied to the
    moving nodes or not makes no difference: they are read where they lay before.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        The volumes.
    transform_nodes : sequence of vtkMRMLTransformNode
        One or more. Each maps what lies on the moving volume onto the fixed one.
    targets_fixed_node, targets_moving_node : vtkMRMLMarkupsNode, optional
        Independent points, paired by label where both lists have the same, else by order; both or none.
    fixed_segmentation_node, moving_segmentation_node : optional
        vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode with the same structures; both or none.
    reference_node : vtkMRMLTransformNode, optional
        A transform that is known to be right.
    region_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        The part of the fixed volume that counts.
    tolerance : Tolerance, optional
        Acceptable mean error.
    on_progress : callable, optional
        Gets a stage in words and the share done.

    Returns
    -------
    NodeAssessment
        Nothing in the scene changes; see :func:`~MultimodalRegistrationLib.mrml.quality_nodes.add_quality_nodes`.

    Raises
    ------
    InputError
        A node that cannot be used, one of a pair without its partner, a transform that is applied to the fixed side,
        several that are applied to the moving side one upon the other, or as
        :func:`~MultimodalRegistrationLib.assess.assess.assess`.
    """
    nodes = {
        "fixed": fixed_node,
        "moving": moving_node,
        "targets_fixed": targets_fixed_node,
        "targets_moving": targets_moving_node,
        "fixed_segmentation": fixed_segmentation_node,
        "moving_segmentation": moving_segmentation_node,
        "reference": reference_node,
        "region": region_node,
    }
    results = [*transform_nodes, reference_node]
    for role in ("fixed", "targets_fixed", "fixed_segmentation", "region"):
        check_fixed(nodes[role], results)
    on_progress("reading the nodes", 0.0)
    fixed = volume_from_node(fixed_node)
    moving = volume_from_node(moving_node, placement_without(moving_node, results))
    names = names_of(transform_nodes)
    read = [_transform(node, name, fixed.grid) for node, name in zip(transform_nodes, names, strict=True)]
    reference = None
    if reference_node is not None:
        reference = _transform(reference_node, f"reference ({reference_node.GetName()})", fixed.grid)
    records = [record_of(node, one.spatial, fixed.grid) for node, one in zip(transform_nodes, read, strict=True)]
    targets = structures = None
    if both_given("The targets", targets_fixed_node, targets_moving_node):
        placement = placement_without(targets_moving_node, results)
        targets = pair_targets(landmarks_of_node(targets_fixed_node), landmarks_of_node(targets_moving_node, placement))
    if both_given("The segmentations", fixed_segmentation_node, moving_segmentation_node):
        placement = placement_without(moving_segmentation_node, results)
        structures = Structures(
            segmentation_of_node(fixed_segmentation_node), segmentation_of_node(moving_segmentation_node, placement)
        )
    region, region_warnings = _region(region_node, fixed)
    assessment = assess(
        fixed,
        moving,
        [one.spatial for one in read],
        targets=targets,
        structures=structures,
        reference=None if reference is None else reference.spatial,
        region=region,
        records={
            one.spatial.name: record for one, (record, _) in zip(read, records, strict=True) if record is not None
        },
        tolerance=tolerance,
        on_progress=lambda stage, share: on_progress(stage, 0.1 + 0.9 * share),
    )
    warnings = [
        *assessment.warnings,
        *(warning for one in (*read, reference) if one is not None for warning in one.warnings),
        *(warning for _, warnings in records for warning in warnings),
        *region_warnings,
    ]
    assessment = dataclasses.replace(assessment, warnings=tuple(warnings))
    inputs: dict[str, Any] = {role: None if node is None else node.GetName() for role, node in nodes.items()}
    content = quality_content(
        assessment,
        fixed,
        moving,
        inputs={**inputs, "transform": names},
        command=command_of(nodes, transform_nodes, tolerance),
        region="the whole fixed volume" if region is None else f"the mask {region.name}",
    )
    return NodeAssessment(assessment, content, fixed, moving)


@dataclass(frozen=True)
class _Read:
    """A transform, and what was found while it was read."""

    spatial: SpatialTransform
    warnings: tuple[str, ...]


def _transform(node: Any, name: str, over: VolumeGrid) -> _Read:
    spatial, error_mm = spatial_transform_of_node(node, over)
    warnings: tuple[str, ...] = ()
    if error_mm > GOOD_ENOUGH_MM:
        warnings = (f"{name} bends so sharply that it was sampled to within {error_mm:.2f} mm only.",)
    return _Read(SpatialTransform(name, spatial.transform), warnings)


def _region(node: Any, fixed: Volume) -> tuple[Volume | None, tuple[str, ...]]:
    if node is None:
        return None, ()
    placed, resampled = mask_on_grid(mask_of_volume(node, fixed), fixed)
    words = f"The region {node.GetName()} is on another grid than {fixed.name}; it was resampled."
    return placed, (words,) if resampled else ()
