"""Registration with nodes in and a transform node out."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.points import Pairing
from ..engines.presets.store import DEFAULT_PRESET, find_preset
from ..io.transforms import write_transform
from ..register.chain import NextStage, register_in_stages
from ..register.report import result_content
from ..register.result import RegistrationResult
from .prealign import pairs_of_nodes
from .segments import mask_of_volume
from .transforms import add_file_transform_node, add_linear_transform_node, start_from_node
from .volumes import volume_from_node

__all__ = ["add_registration_node", "register_nodes", "result_name"]


def register_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    preset: str = DEFAULT_PRESET,
    then: Sequence[str] = (),
    initial_transform_node: Any = None,
    fixed_landmarks_node: Any = None,
    moving_landmarks_node: Any = None,
    pairing: Pairing = "order",
    fixed_mask_node: Any = None,
    moving_mask_node: Any = None,
    fixed_mask_segments: Sequence[str] | None = None,
    moving_mask_segments: Sequence[str] | None = None,
    fixed_mask_outside: bool = False,
    moving_mask_outside: bool = False,
    **options: Any,
) -> tuple[Any, RegistrationResult]:
    """Register one volume node to another.

    Everything is computed in world coordinates: parent transforms of the inputs are honoured, hardened or not.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the transform node; nothing else in it changes.
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        The volumes.
    preset : str
        Name or file.
    then : sequence of str
        Presets of further stages, on the result of those before.
    initial_transform_node : vtkMRMLTransformNode, optional
        Linear; moves the moving volume, from where it lies, towards the fixed one.
    fixed_landmarks_node, moving_landmarks_node : vtkMRMLMarkupsNode, optional
        The run starts at their rigid fit; both or none.
    pairing : str, optional
        How the landmarks are paired: ``"order"``, ``"label"`` or ``"auto"``.
    fixed_mask_node, moving_mask_node : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        What is used of the volume: inside the segments, or where the label map is above zero.
    fixed_mask_segments, moving_mask_segments : sequence of str, optional
        Identifiers or names of segments; by default all visible ones. Of segmentations only.
    fixed_mask_outside, moving_mask_outside : bool
        Use everything but what the mask marks.
    **options
        Passed to :func:`~MultimodalRegistrationLib.register.chain.register_in_stages`: engine, start,
        max_translation_mm, max_rotation_deg, verdict, steps, seed, threads, on_progress, on_warning, cancel.

    Returns
    -------
    node : vtkMRMLTransformNode
        Maps the moving volume, from where it lies in the world, onto the fixed one; references both and keeps the
        settings. Apply it with :func:`~MultimodalRegistrationLib.mrml.transforms.apply_to_moving`.
    result : RegistrationResult
        The evidence.

    Raises
    ------
    RegistrationError
        As :func:`~MultimodalRegistrationLib.register.chain.register_in_stages`.
    """
    nodes = {
        "fixed": fixed_node,
        "moving": moving_node,
        "initial_transform": initial_transform_node,
        "fixed_landmarks": fixed_landmarks_node,
        "moving_landmarks": moving_landmarks_node,
    }
    fixed, moving = volume_from_node(fixed_node), volume_from_node(moving_node)
    chosen = {
        "fixed_mask": (fixed_mask_node, fixed, fixed_mask_segments, fixed_mask_outside),
        "moving_mask": (moving_mask_node, moving, moving_mask_segments, moving_mask_outside),
    }
    masks = {
        role: None if node is None else mask_of_volume(node, volume, segments=segments, outside=outside)
        for role, (node, volume, segments, outside) in chosen.items()
    }
    landmarks = pairs_of_nodes(fixed_landmarks_node, moving_landmarks_node, how=pairing)
    result = register_in_stages(
        fixed,
        moving,
        preset=find_preset(preset),
        then=[NextStage(find_preset(name)) for name in then],
        initial_fixed_to_moving_lps=None if initial_transform_node is None else start_from_node(initial_transform_node),
        initial_name="none" if initial_transform_node is None else initial_transform_node.GetName(),
        landmarks=landmarks,
        fixed_mask=masks["fixed_mask"],
        moving_mask=masks["moving_mask"],
        **options,
    )
    inputs = {role: None if node is None else node.GetName() for role, node in nodes.items()}
    inputs.update({role: None if mask is None else mask.name for role, mask in masks.items()})
    content = result_content(result, inputs=inputs)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.h5"
        write_transform(file, result.transform)
        node = add_registration_node(scene, content, file, fixed_node=fixed_node, moving_node=moving_node)
    return node, result


def result_name(fixed_node: Any, moving_node: Any) -> str:
    """What a result is called where no name is given."""
    return f"{moving_node.GetName()} to {fixed_node.GetName()}"


def add_registration_node(
    scene: Any,
    content: dict[str, Any],
    file: Path,
    *,
    fixed_node: Any,
    moving_node: Any,
    name: str | None = None,
    node: Any = None,
) -> Any:
    """Add the transform of a registration to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    content : dict
        From :func:`~MultimodalRegistrationLib.register.report.result_content`; kept in the node.
    file : Path
        The transform; read where it is not linear, and not needed afterwards.
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        Referenced by the node.
    name : str, optional
        Of the node; by default of the two volumes.
    node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node, and keeps its name.

    Returns
    -------
    vtkMRMLTransformNode
        Linear, unless a stage bends. Its parent is the world.
    """
    common: dict[str, Any] = {
        "name": name or result_name(fixed_node, moving_node),
        "fixed_node": fixed_node,
        "moving_node": moving_node,
        "settings": content,
        "node": node,
    }
    if content["transform"]["type"] == "linear":
        return add_linear_transform_node(scene, content["transform"]["moving_to_fixed_ras"], **common)
    return add_file_transform_node(scene, file, **common)
