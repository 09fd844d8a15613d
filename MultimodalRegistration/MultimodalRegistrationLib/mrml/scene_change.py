"""What a result did to a scene, and how to take it back."""

from __future__ import annotations

from typing import Any

import vtk

from MultimodalRegistrationLib.mrml.transforms import apply_to_moving, inverted_copy
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix

__all__ = ["SceneChange"]


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

    @property
    def hardened(self) -> bool:
        """Whether the transforms above the moved nodes were hardened."""
        return bool(self._hardened)

    @property
    def moved(self) -> list[Any]:
        """The nodes that a result was applied to and that are still there."""
        return [node for node in map(self._scene.GetNodeByID, self._old_parents) if node is not None]

    def add(self, node: Any) -> None:
        """Take note of a node that was added, and of its display and storage."""
        self._added.append(node.GetID())
        for number in range(getattr(node, "GetNumberOfDisplayNodes", lambda: 0)()):
            self._added.append(node.GetNthDisplayNodeID(number))

    def apply(self, result_node: Any, node: Any) -> None:
        """Move a node by a result; nothing is hardened."""
        self._old_parents.setdefault(node.GetID(), node.GetTransformNodeID())
        parent = apply_to_moving(result_node, node)
        if parent is not result_node:
            self.add(parent)

    def harden(self) -> None:
        """Write the transforms above the moved nodes into them."""
        for node in self.moved:
            parent = node.GetParentTransformNode()
            if parent is None or not parent.IsTransformToWorldLinear():
                continue
            to_world, ijk_to_ras = vtk.vtkMatrix4x4(), None
            parent.GetMatrixTransformToWorld(to_world)
            if node.IsA("vtkMRMLVolumeNode"):
                ijk_to_ras = vtk.vtkMatrix4x4()
                node.GetIJKToRASMatrix(ijk_to_ras)
            self._hardened[node.GetID()] = (matrix_from_vtk(to_world), ijk_to_ras)
            node.HardenTransform()

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
        self._added, self._old_parents, self._hardened = [], {}, {}
