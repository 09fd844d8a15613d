"""Nodes that a result moves: put under it, again when it changes, and hardened.

A node without parent gets the result itself as its parent; one with a parent gets a transform that holds this parent
followed by the result (:func:`~MultimodalRegistrationLib.mrml.transforms.apply_to_moving`). Such a transform stays as
it is when the result changes, so it is made anew. Where nodes lay before:
:func:`~MultimodalRegistrationLib.mrml.placement.placement_without`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.errors import InputError
from .placement import OLD_PARENT_ROLE, RESULT_ROLE, applied_results
from .scene_nodes import nodes_of_class
from .transforms import apply_to_moving

__all__ = ["check_output", "harden_moved", "is_moved_by", "move_nodes"]


def _follows(result_node: Any, parent: Any) -> bool:
    """Whether a transform was made of a former parent followed by this result."""
    return parent is not None and parent.GetNodeReferenceID(RESULT_ROLE) == result_node.GetID()


def is_moved_by(result_node: Any, node: Any) -> bool:
    """Whether a node moves with a result, directly or together with a former parent."""
    return bool(applied_results(node, [result_node]))


def move_nodes(result_node: Any, nodes: Iterable[Any]) -> None:
    """Move nodes by a result, without hardening anything; those that it moved before follow its present state.

    Parameters
    ----------
    result_node : vtkMRMLTransformNode
        From :mod:`~MultimodalRegistrationLib.mrml.transforms`.
    nodes : iterable of vtkMRMLTransformableNode
        Nodes with the same parent share their new one.
    """
    scene = result_node.GetScene()
    nodes = list(nodes)
    for node in nodes:
        parent = node.GetParentTransformNode()
        if _follows(result_node, parent):
            prior = parent.GetNodeReference(OLD_PARENT_ROLE)
            node.SetAndObserveTransformNodeID(None if prior is None else prior.GetID())
            _remove_unused(scene, parent)
    combined_by_prior: dict[str, Any] = {}
    for node in nodes:
        prior = node.GetParentTransformNode()
        if is_moved_by(result_node, node):
            continue
        if prior is not None and prior.GetID() in combined_by_prior:
            node.SetAndObserveTransformNodeID(combined_by_prior[prior.GetID()].GetID())
            continue
        parent = apply_to_moving(result_node, node)
        if prior is not None:
            combined_by_prior[prior.GetID()] = parent


def _remove_unused(scene: Any, transform_node: Any) -> None:
    children = nodes_of_class(scene, "vtkMRMLTransformableNode")
    if not any(node.GetParentTransformNode() is transform_node for node in children):
        scene.RemoveNode(transform_node)


def harden_moved(result_node: Any, nodes: Iterable[Any]) -> list[Any]:
    """Make the movement of nodes permanent.

    Returns
    -------
    list of vtkMRMLTransformableNode
        Those that the result had moved; they have no parent now. The others are left alone.
    """
    moved = [node for node in nodes if is_moved_by(result_node, node)]
    for node in moved:
        parent = node.GetParentTransformNode()
        node.HardenTransform()
        if _follows(result_node, parent):
            _remove_unused(result_node.GetScene(), parent)
    return moved


def check_output(node: Any, *inputs: Any) -> None:
    """Refuse a transform node that cannot take the result.

    Parameters
    ----------
    node : vtkMRMLTransformNode
        What the result is written to.
    *inputs : vtkMRMLTransformableNode
        What the result is made of and must not move when it is written.

    Raises
    ------
    InputError
        The node has a parent, or one of the inputs lies under it.
    """
    parent = node.GetParentTransformNode()
    if parent is not None:
        raise InputError(
            node.GetName(),
            f"this transform lies under another one, {parent.GetName()}",
            "Choose another output transform, or take it out.",
        )
    for one in inputs:
        if is_moved_by(node, one):
            raise InputError(
                one.GetName(),
                f"it lies under the output transform, '{node.GetName()}', and would move when the result is written",
                "Choose another output transform, or take it out.",
            )
