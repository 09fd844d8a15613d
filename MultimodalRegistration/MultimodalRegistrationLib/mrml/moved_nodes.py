"""Nodes that a result moves: put under it, again when it changes, hardened, or shown before and after it.

A node without parent gets the result itself as its parent; one with a parent gets a transform that holds this parent
followed by the result (:func:`~MultimodalRegistrationLib.mrml.transforms.apply_to_moving`). Such a transform stays as
it is when the result changes, so it is made anew. Where nodes lay before:
:func:`~MultimodalRegistrationLib.mrml.placement.placement_without`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import slicer
import vtk

from ..core.errors import InputError
from .placement import OLD_PARENT_ROLE, RESULT_ROLE, applied_results, placement_without, result_held_by
from .scene_nodes import add_hidden, nodes_of_class, remove_present, window_of_content
from .transforms import apply_to_moving, inverted_copy
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix

_WARM_COLORS = 256


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


class MovedCopy:
    """Shares the voxels of the moving volume; hidden from lists and not saved with the scene.

    Parameters
    ----------
    moving_node : vtkMRMLScalarVolumeNode
        In a scene; not changed.
    results : sequence of vtkMRMLTransformNode
        Transforms that are assessed; one of them may be applied to the volume.

    Raises
    ------
    InputError
        Several of them are.
    """

    def __init__(self, moving_node: Any, results: Sequence[Any]) -> None:
        placement = placement_without(moving_node, results)
        scene = moving_node.GetScene()
        self._placement = add_hidden(scene, "vtkMRMLTransformNode", f"{moving_node.GetName()} before")
        if placement.matrix_ras is not None:
            self._placement.SetMatrixTransformToParent(vtk_from_matrix(placement.matrix_ras))
        else:
            frozen = vtk.vtkGeneralTransform()
            frozen.DeepCopy(placement.to_world)
            self._placement.SetAndObserveTransformToParent(frozen)
        self._display = add_hidden(scene, "vtkMRMLScalarVolumeDisplayNode", "")
        # A window that the user chose is kept.
        self._warm_window: tuple[float, float] | None = None
        if moving_node.GetScalarVolumeDisplayNode() is not None:
            if moving_node.GetImageData() is not None and moving_node.GetScalarVolumeDisplayNode().GetAutoWindowLevel():
                self._warm_window = window_of_content(moving_node)
            # Its window, too: to find one anew would take a look at every voxel.
            self._display.CopyContent(moving_node.GetScalarVolumeDisplayNode())
            self._display.SetAutoWindowLevel(False)
        self._own_window = self._display.GetWindowLevelMin(), self._display.GetWindowLevelMax()
        self._warm: Any = None
        self._is_warm = False
        self._own_colors = self._display.GetColorNodeID()
        self.node = add_hidden(scene, "vtkMRMLScalarVolumeNode", moving_node.GetName())
        own = vtk.vtkMatrix4x4()
        moving_node.GetIJKToRASMatrix(own)
        self.node.SetIJKToRASMatrix(own)
        self.node.SetAndObserveDisplayNodeID(self._display.GetID())
        self.node.SetAndObserveImageData(moving_node.GetImageData())
        self.node.SetAndObserveTransformNodeID(self._placement.GetID())

    @property
    def there(self) -> bool:
        """Whether it is still in the scene."""
        return self.node.GetScene() is not None

    def show_warm(self, warm: bool) -> None:
        """Show it in warm colours, with air in black, or in those of the moving volume."""
        if warm and self._warm is None:
            self._warm = _add_warm_table(self.node.GetScene())
        self._display.SetAndObserveColorNodeID(self._warm.GetID() if warm else self._own_colors)
        if warm != self._is_warm and self._warm_window is not None:
            self._display.SetWindowLevelMinMax(*(self._warm_window if warm else self._own_window))
        self._is_warm = warm

    def put_under(self, result_node: Any) -> None:
        """Show it after a result, or before all of them where that is None."""
        self._placement.SetAndObserveTransformNodeID(None if result_node is None else result_node.GetID())

    def remove(self) -> None:
        """Take it out of the scene."""
        remove_present((self.node, self._display, self._placement, *([] if self._warm is None else [self._warm])))


def _add_warm_table(scene: Any) -> Any:
    """Black over red to yellow: the tables of the application begin with a colour, in which air would be shown."""
    node = add_hidden(scene, "vtkMRMLColorTableNode", "warm")
    node.SetTypeToUser()
    node.SetNumberOfColors(_WARM_COLORS)
    node.GetLookupTable().SetRange(0, _WARM_COLORS - 1)
    for number in range(_WARM_COLORS):
        share = number / (_WARM_COLORS - 1)
        red, green, blue = min(1.0, 2.2 * share), min(1.0, max(0.0, 1.5 * share - 0.4)), max(0.0, 2 * share - 1.4)
        node.SetColor(number, str(number), red, green, blue, 1.0)
    return node


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
