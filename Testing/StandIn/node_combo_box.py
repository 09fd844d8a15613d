"""qMRMLNodeComboBox: the nodes of the scene that pass its filters, and one of them current."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtWidgets import QComboBox, QWidget

from StandIn.declare import declared
from StandIn.widgets_ctk import bare_row


@declared(QWidget)
class qMRMLNodeComboBox:
    DEFAULTS = {
        "showChildNodeTypes": True,
        "addEnabled": True,
        "removeEnabled": True,
        "editEnabled": False,
        "renameEnabled": False,
        "selectNodeUponCreation": True,
        "noneDisplay": "None",
    }

    def _get_sizeAdjustPolicy(self: Any) -> Any:
        return self._box.sizeAdjustPolicy()

    def _set_sizeAdjustPolicy(self: Any, policy: Any) -> None:
        self._box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy(policy))

    def build(self: Any) -> None:
        self._scene: Any = None
        self._nodes: list[Any] = []
        self._attributes: list[tuple[str, str, Any]] = []
        self._labels: dict[str, str] = {}
        self._current: Any = None
        self._box = QComboBox(self)
        bare_row(self).addWidget(self._box)
        self._box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._box.activated.connect(self._activated)
        self.setEnabled(False)

    # Scene

    def mrmlScene(self: Any) -> Any:
        return self._scene

    def setMRMLScene(self: Any, scene: Any) -> None:
        if scene is self._scene:
            return
        self._observers.clear()
        self._scene = scene
        if scene is not None:
            self._observe(scene)
        self.setEnabled(scene is not None)
        self._refresh()

    def _observe(self: Any, scene: Any) -> None:
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(_caller: Any, _event: str, node: Any) -> None:
            if not scene.IsBatchProcessing() and self._accepts(node):
                self._refresh()
                self.nodeAdded.emit(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(_caller: Any, _event: str, node: Any) -> None:
            if node in self._nodes:
                self.nodeAboutToBeRemoved.emit(node)
                self._refresh(without=node)

        def changed(_caller: Any, _event: str) -> None:
            self._refresh()

        events = slicer.vtkMRMLScene
        self._observers.add(scene, events.NodeAddedEvent, added)
        self._observers.add(scene, events.NodeAboutToBeRemovedEvent, removed)
        self._observers.add(scene, events.EndBatchProcessEvent, changed)
        self._observers.add(scene, events.EndCloseEvent, changed)

    def _accepts(self: Any, node: Any) -> bool:
        types = [name for name in self.property("nodeTypes") if name]
        if node.GetHideFromEditors() and not self.property("showHidden"):
            return False
        if not any(node.IsA(name) for name in types):
            return False
        if not self.property("showChildNodeTypes") and node.GetClassName() not in types:
            return False
        if any(node.IsA(name) for name in self.property("hideChildNodeTypes")):
            return False
        for kind, attribute, value in self._attributes:
            found = node.GetAttribute(attribute)
            if node.IsA(kind) and (found is None or (value is not None and found != str(value))):
                return False
        return True

    def _refresh(self: Any, without: Any = None) -> None:
        scene, before = self._scene, list(self._nodes)
        every = [] if scene is None else [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
        self._nodes = [node for node in every if node is not without and self._accepts(node)]
        blocked = self._box.blockSignals(True)
        self._box.clear()
        self._box.addItems([self.property("noneDisplay")] if self.property("noneEnabled") else [])
        self._box.addItems([node.GetName() or "" for node in self._nodes])
        self._box.blockSignals(blocked)
        current = self._current
        if current not in self._nodes:
            current = self._replacement(before)
        self._select(current)

    def _replacement(self: Any, before: list[Any]) -> Any:
        """Like QComboBox, the item before a removed one becomes current; without "None" there always is one."""
        if self._current in before:
            place = before.index(self._current) - 1
            if place >= 0 and before[place] in self._nodes:
                return before[place]
        return self._nodes[0] if self._nodes and not self.property("noneEnabled") else None

    # The current node

    def currentNode(self: Any) -> Any:
        return self._current

    def _get_currentNodeID(self: Any) -> str:
        return self._current.GetID() if self._current is not None else ""

    def _set_currentNodeID(self: Any, node_id: str) -> None:
        self.setCurrentNode(node_id)

    _get_currentNodeId, _set_currentNodeId = _get_currentNodeID, _set_currentNodeID
    currentNodeId = _get_currentNodeID

    def setCurrentNodeID(self: Any, node_id: str) -> None:
        self.setCurrentNode(node_id)

    def setCurrentNode(self: Any, node: Any) -> None:
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene is not None else None
        if node is not None and not isinstance(node, slicer.vtkMRMLNode):
            raise ValueError(f"qMRMLNodeComboBox.setCurrentNode takes a node or an ID, not {node!r}")
        self._select(node if node in self._nodes else None)

    def setCurrentNodeIndex(self: Any, index: int) -> None:
        self._select(self._nodes[index] if 0 <= index < len(self._nodes) else None)

    def _select(self: Any, node: Any) -> None:
        shift = 1 if self.property("noneEnabled") else 0
        row = self._nodes.index(node) + shift if node is not None else shift - 1
        self._box.setCurrentIndex(row)
        if node is self._current:
            return
        self._current = node
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def _activated(self: Any, row: int) -> None:
        row -= 1 if self.property("noneEnabled") else 0
        self.setCurrentNodeIndex(row)
        self.nodeActivated.emit(self._current)

    # The list

    def nodeCount(self: Any) -> int:
        return len(self._nodes)

    def nodeFromIndex(self: Any, index: int) -> Any:
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def _set_nodeTypes(self: Any, types: list[str]) -> None:
        self._values["nodeTypes"] = [name for name in types if name]
        self._refresh()

    def _set_noneEnabled(self: Any, enabled: bool) -> None:
        self._values["noneEnabled"] = enabled
        self._refresh()

    def _set_showHidden(self: Any, shown: bool) -> None:
        self._values["showHidden"] = shown
        self._refresh()

    def addAttribute(self: Any, kind: str, attribute: str, value: Any = None) -> None:
        self._attributes.append((kind, attribute, value))
        self._refresh()

    def removeAttribute(self: Any, kind: str, attribute: str) -> None:
        self._attributes = [entry for entry in self._attributes if entry[:2] != (kind, attribute)]
        self._refresh()

    def setNodeTypeLabel(self: Any, label: str, kind: str) -> None:
        self._labels[kind] = label

    def nodeTypeLabel(self: Any, kind: str) -> str:
        return str(self._labels.get(kind, kind))

    def addNode(self: Any, kind: str | None = None) -> Any:
        types = self.property("nodeTypes")
        kind = types[0] if kind is None else kind
        if kind not in types:
            return None
        base = self.property("baseName")
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(base) if base else "")
        for wanted, attribute, value in self._attributes:
            if node.IsA(wanted):
                node.SetAttribute(attribute, "" if value is None else str(value))
        if self.property("selectNodeUponCreation"):
            self._refresh()
            self._select(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self: Any) -> None:
        self._scene.RemoveNode(self._current)


@declared(qMRMLNodeComboBox)
class qMRMLCheckableNodeComboBox:
    """Several nodes may be checked."""

    def _checks(self: Any) -> list[Any]:
        return self.__dict__.setdefault("_checked", [])

    def checkedNodes(self: Any) -> list[Any]:
        return [node for node in self._nodes if node in self._checks()]

    def uncheckedNodes(self: Any) -> list[Any]:
        return [node for node in self._nodes if node not in self._checks()]

    def setCheckState(self: Any, node: Any, state: Any) -> None:
        checks = self._checks()
        checked = getattr(state, "value", state) == 2
        if (node in checks) != checked:
            (checks.append if checked else checks.remove)(node)
            self.checkedNodesChanged.emit()

    def check(self: Any, node: Any) -> None:
        self.setCheckState(node, 2)

    def uncheck(self: Any, node: Any) -> None:
        self.setCheckState(node, 0)

    def noneChecked(self: Any) -> bool:
        return not self.checkedNodes()

    def allChecked(self: Any) -> bool:
        return not self.uncheckedNodes()
