"""What a result did to a scene, and how to take it back."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .placement import result_held_by
from .scene_nodes import nodes_of_class
from .transforms import apply_to_moving, inverted_copy
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix

__all__ = ["SceneChange", "nodes_moved_by"]


class SceneChange:
    """Changes that are made one after the other and taken back at once.

    Nodes are remembered by their identifiers: one that the user removes in between is left alone.

    Parameters
    ----------
    scene : vtkMRMLScene
        That is changed.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._added: list[str] = []
        self._old_parents: dict[str, str | None] = {}
        self._hardened: dict[str, tuple[Any, Any]] = {}
        self._overwritten: dict[str, tuple[Any, dict[str, str | None]]] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._added or self._old_parents or self._hardened or self._overwritten)

    def add(self, node: Any) -> None:
        """Take note of a node that was added, and of its display and storage."""
        self._added.append(node.GetID())
        for number in range(getattr(node, "GetNumberOfDisplayNodes", lambda: 0)()):
            self._added.append(node.GetNthDisplayNodeID(number))

    def overwrite(self, node: Any) -> None:
        """Take note of what a transform node holds, before a result is written to it."""
        held = slicer.vtkMRMLTransformNode()
        held.CopyContent(node)
        roles = (node.GetFixedNodeReferenceRole(), node.GetMovingNodeReferenceRole())
        self._overwritten.setdefault(node.GetID(), (held, {role: node.GetNodeReferenceID(role) for role in roles}))

    def apply(self, result_node: Any, node: Any) -> None:
        """Move a node by a result; nothing is hardened."""
        self._old_parents.setdefault(node.GetID(), node.GetTransformNodeID())
        parent = apply_to_moving(result_node, node)
        if parent is not result_node:
            self.add(parent)

    def harden(self, result_node: Any) -> None:
        """Write the transforms above the nodes that a linear result moves into them."""
        for node in nodes_moved_by(result_node):
            parent = node.GetParentTransformNode()
            self._old_parents.setdefault(node.GetID(), node.GetTransformNodeID())
            to_world, ijk_to_ras = vtk.vtkMatrix4x4(), None
            parent.GetMatrixTransformToWorld(to_world)
            if node.IsA("vtkMRMLVolumeNode"):
                ijk_to_ras = vtk.vtkMatrix4x4()
                node.GetIJKToRASMatrix(ijk_to_ras)
            self._hardened[node.GetID()] = (matrix_from_vtk(to_world), ijk_to_ras)
            node.HardenTransform()

    def has_hardened(self, node: Any) -> bool:
        """Whether the movement of a node was made permanent."""
        return node.GetID() in self._hardened

    def invert(self, result_node: Any) -> Any:
        """Add the inverse of a result: it moves what lies on the fixed volume onto the moving one."""
        node = inverted_copy(result_node)
        self.add(node)
        return node

    def undo(self) -> None:
        """Put the scene back to what it was."""
        for identifier, (to_world, ijk_to_ras) in self._hardened.items():
            node = self._scene.GetNodeByID(identifier)
            if node is None:
                continue
            if ijk_to_ras is not None:
                node.SetIJKToRASMatrix(ijk_to_ras)
            else:
                back = vtk_from_matrix(to_world)
                back.Invert()
                node.ApplyTransformMatrix(back)
        for identifier, parent in self._old_parents.items():
            node = self._scene.GetNodeByID(identifier)
            if node is not None:
                node.SetAndObserveTransformNodeID(parent)
        for identifier in reversed(self._added):
            node = self._scene.GetNodeByID(identifier)
            if node is not None:
                self._scene.RemoveNode(node)
        for identifier, (held, references) in self._overwritten.items():
            node = self._scene.GetNodeByID(identifier)
            if node is not None:
                node.CopyContent(held)
                for role, reference in references.items():
                    node.SetNodeReferenceID(role, reference)
        self._added, self._old_parents, self._hardened, self._overwritten = [], {}, {}, {}


def nodes_moved_by(result_node: Any) -> list[Any]:
    """Nodes right under a result, or under a node that holds it after an old parent.

    Parameters
    ----------
    result_node : vtkMRMLTransformNode
        In a scene. Only what can be hardened without resampling is told: what lies in the world linearly.
    """
    found = []
    for node in nodes_of_class(result_node.GetScene(), "vtkMRMLTransformableNode"):
        parent = node.GetParentTransformNode()
        if parent is None or node.IsA("vtkMRMLTransformNode") or node.GetHideFromEditors():
            continue
        if result_held_by(parent).GetID() == result_node.GetID() and parent.IsTransformToWorldLinear():
            found.append(node)
    return found
