"""Which nodes a scene holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["add_hidden", "nodes_of_class", "only_two_scans", "remove_present", "scans"]


def add_hidden(scene: Any, kind: str, name: str) -> Any:
    """Add a node of a class that users do not see in lists, and that is not saved with the scene."""
    node = scene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return scene.AddNode(node)


def remove_present(nodes: Iterable[Any]) -> None:
    """Remove nodes that are still in their scenes: the application takes display nodes along with what they display."""
    for node in nodes:
        if node.GetScene() is not None:
            node.GetScene().RemoveNode(node)


def nodes_of_class(scene: Any, kind: str) -> list[Any]:
    """Nodes of a class and of those derived from it, in the order of the scene."""
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]


def only_two_scans(scene: Any) -> tuple[Any, Any] | None:
    """Tell what is meant where nothing is chosen yet: the scalar volumes that a user sees, if they are two.

    Parameters
    ----------
    scene : vtkMRMLScene
        Not changed.

    Returns
    -------
    tuple of vtkMRMLScalarVolumeNode, or None
        In the order of the scene; label maps and the like are no scans.
    """
    found = scans(scene)
    return (found[0], found[1]) if len(found) == 2 else None


def scans(scene: Any) -> list[Any]:
    """The scalar volumes that a user sees, without label maps and the like."""
    kind = "vtkMRMLScalarVolumeNode"
    return [
        node for node in nodes_of_class(scene, kind) if node.GetClassName() == kind and not node.GetHideFromEditors()
    ]
