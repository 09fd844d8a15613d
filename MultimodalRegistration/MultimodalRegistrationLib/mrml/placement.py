"""Where a node lies in the world, with the transforms above it or without those that are assessed.

Once a result is applied, the moving volume lies on the fixed one. To measure the result, the volume is read where it
lay before: below the result, or, where it got a node that holds its old parent followed by the result, under that old
parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from .vtk_arrays import matrix_from_vtk, transform_points

# References of a node that holds an old parent followed by a result.
RESULT_ROLE = "MultimodalRegistration.Result"
OLD_PARENT_ROLE = "MultimodalRegistration.OldParent"


@dataclass(frozen=True, eq=False)
class Placement:
    """How the own coordinates of a node become world coordinates, RAS, mm.

    Parameters
    ----------
    to_world : vtkAbstractTransform
        Of any kind; follows the nodes that it was made of. Not to be changed.
    matrix_ras : array, shape (4, 4), or None
        The same, where it is linear.
    """

    to_world: Any
    matrix_ras: NDArray[np.float64] | None

    @property
    def from_world(self) -> Any:
        """The inverse, a ``vtkGeneralTransform``."""
        inverse = vtk.vtkGeneralTransform()
        inverse.Concatenate(self.to_world)
        inverse.Inverse()
        return inverse

    def points_in_world(self, points_ras: ArrayLike) -> NDArray[np.float64]:
        """Map points in own coordinates, shape (N, 3), RAS, mm, to world coordinates."""
        return transform_points(self.to_world, points_ras)

    def then(self, other: Placement) -> Placement:
        """Follow it by another placement."""
        both = vtk.vtkGeneralTransform()
        # Applied from right to left.
        both.Concatenate(other.to_world)
        both.Concatenate(self.to_world)
        if self.matrix_ras is None or other.matrix_ras is None:
            return Placement(both, None)
        return Placement(both, other.matrix_ras @ self.matrix_ras)


def placement_in_world(node: Any) -> Placement:
    """Where a node lies, parent transforms included.

    Parameters
    ----------
    node : vtkMRMLTransformableNode
        Not changed.
    """
    return step_between(node.GetParentTransformNode(), None)


def placement_without(node: Any, results: Sequence[Any]) -> Placement:
    """Where a node lies, or where it lay before one of some results was applied to it.

    Parameters
    ----------
    node : vtkMRMLTransformableNode
        Not changed.
    results : sequence of vtkMRMLTransformNode
        Transforms that are assessed; None among them is passed over.

    Returns
    -------
    Placement
        Below the result: the transforms above it are part of it. Under a node that holds an old parent followed by the
        result: where the old parent puts the node, or, if that was removed, what the inverse of the result leaves.

    Raises
    ------
    InputError
        Several of the results move the node: there is no one place where it lay before.
    """
    applied = applied_results(node, results)
    if len(applied) > 1:
        raise InputError(
            node.GetName(),
            f"{' and '.join(one.GetName() for one in applied)}, which are to be assessed, are applied to it one upon "
            "the other",
            "Assess one of them at a time, or take the node out of them.",
        )
    parent = node.GetParentTransformNode()
    holders = _holders(parent, results)
    if not holders:
        return placement_in_world(node)
    holder, result = holders[0]
    if holder is result:
        return step_between(parent, holder)
    old_parent = holder.GetNodeReference(OLD_PARENT_ROLE)
    if old_parent is None:
        return placement_in_world(node).then(step_between(None, result))
    return step_between(parent, holder).then(step_between(old_parent, None))


def applied_results(node: Any, results: Sequence[Any]) -> tuple[Any, ...]:
    """Tell which of some results move a node, the nearest to it first.

    Parameters
    ----------
    node : vtkMRMLTransformableNode
        Not changed.
    results : sequence of vtkMRMLTransformNode
        None among them is passed over.
    """
    holders = _holders(node.GetParentTransformNode(), results)
    # Below a result that was applied to an old parent, there may be others.
    below = [_holders(holder.GetNodeReference(OLD_PARENT_ROLE), results) for holder, _ in holders]
    return tuple(result for pairs in (holders, *below) for _, result in pairs)


def result_held_by(node: Any) -> Any:
    """The result that a transform node holds together with an old parent, or else the node itself."""
    return node.GetNodeReference(RESULT_ROLE) or node


def step_between(source: Any, target: Any) -> Placement:
    """From the coordinates below one transform node to those below another.

    Parameters
    ----------
    source, target : vtkMRMLTransformNode or None
        None is the world. What lies below a node is what it moves.
    """
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(source, target, transform)
    lower, upper = (target, source) if source is None else (source, target)
    if lower is not None and not lower.IsTransformToNodeLinear(upper):
        return Placement(transform, None)
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(source, target, matrix)
    return Placement(transform, matrix_from_vtk(matrix))


def _holders(parent: Any, results: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Transform nodes from a parent upwards that are or hold one of some results, each with that result."""
    wanted = {one.GetID(): one for one in results if one is not None}
    chain: list[Any] = []
    while parent is not None and parent not in chain:
        chain.append(parent)
        parent = parent.GetParentTransformNode()
    pairs = [(one, key) for one in chain for key in (one.GetID(), one.GetNodeReferenceID(RESULT_ROLE))]
    return [(one, wanted[key]) for one, key in pairs if key in wanted]
