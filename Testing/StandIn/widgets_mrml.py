"""The qMRML and qSlicer widgets besides the node selector: scene widgets, numbers, segments, tables, plots, places."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QTableView,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from StandIn.declare import declared
from StandIn.node_combo_box import qMRMLNodeComboBox
from StandIn.widgets_ctk import bare_row, ctkCollapsibleButton
from StandIn.widgets_ctk_numbers import ctkCoordinatesWidget, ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget


def set_scene(self: Any, scene: Any) -> None:
    """Keep the scene and tell what the .ui file connected to it."""
    if scene is not self.__dict__.get("_scene"):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class Ignored:
    """Widgets that take the scene for units only."""

    def setMRMLScene(self: Any, scene: Any) -> None:
        self._scene = scene


@declared(QWidget)
class qMRMLWidget:
    setMRMLScene = set_scene

    def mrmlScene(self: Any) -> Any:
        return self.__dict__.get("_scene")


@declared(QWidget)
class qSlicerWidget:
    setMRMLScene = set_scene


@declared(ctkCollapsibleButton)
class qMRMLCollapsibleButton:
    setMRMLScene = set_scene


@declared(ctkSliderWidget)
class qMRMLSliderWidget:
    setMRMLScene = Ignored.setMRMLScene


@declared(ctkDoubleSpinBox)
class qMRMLSpinBox:
    setMRMLScene = Ignored.setMRMLScene


@declared(ctkRangeWidget)
class qMRMLRangeWidget:
    setMRMLScene = Ignored.setMRMLScene


@declared(ctkCoordinatesWidget)
class qMRMLCoordinatesWidget:
    setMRMLScene = set_scene


def segment_ids(node: Any) -> list[str]:
    if node is None:
        return []
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]


@declared(qMRMLWidget)
class qMRMLSegmentSelectorWidget:
    """A segmentation node and one of its segments, or several."""

    DEFAULTS = {"segmentationNodeSelectorVisible": True, "selectNodeUponCreation": True, "horizontalLayout": False}

    def build(self: Any) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._selector, self._segments = qMRMLNodeComboBox(self), QComboBox(self)
        self._selector.setProperty("nodeTypes", ["vtkMRMLSegmentationNode"])
        self._selector.setProperty("addEnabled", False)
        column.addWidget(self._selector)
        column.addWidget(self._segments)
        self._ids: list[str] = []
        self._selected: list[str] = []
        self._selector.currentNodeChanged[object].connect(self._node_changed)
        self._segments.currentIndexChanged.connect(lambda _: self.currentSegmentChanged.emit(self.currentSegmentID()))

    def setMRMLScene(self: Any, scene: Any) -> None:
        self._selector.setMRMLScene(scene)
        set_scene(self, scene)

    def _node_changed(self: Any, node: Any) -> None:
        self._ids = segment_ids(node)
        self._selected = []
        self._segments.clear()
        self._segments.addItems([node.GetSegmentation().GetSegment(i).GetName() for i in self._ids])
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)

    def _set_noneEnabled(self: Any, enabled: bool) -> None:
        self._values["noneEnabled"] = enabled
        self._selector.setProperty("noneEnabled", enabled)

    def _set_segmentationNodeSelectorVisible(self: Any, visible: bool) -> None:
        self._values["segmentationNodeSelectorVisible"] = visible
        self._selector.setVisible(visible)

    def currentNode(self: Any) -> Any:
        return self._selector.currentNode()

    def currentNodeID(self: Any) -> str:
        return str(self._selector.property("currentNodeID"))

    def setCurrentNode(self: Any, node: Any) -> None:
        self._selector.setCurrentNode(node)

    def setCurrentNodeID(self: Any, node_id: str) -> None:
        self._selector.setCurrentNode(node_id)

    def segmentIDs(self: Any) -> list[str]:
        return list(self._ids)

    def currentSegmentID(self: Any) -> str:
        index = self._segments.currentIndex()
        return self._ids[index] if 0 <= index < len(self._ids) else ""

    def setCurrentSegmentID(self: Any, segment_id: str) -> None:
        self._segments.setCurrentIndex(self._ids.index(segment_id) if segment_id in self._ids else -1)

    def selectedSegmentIDs(self: Any) -> list[str]:
        return list(self._selected)

    def setSelectedSegmentIDs(self: Any, ids: list[str]) -> None:
        self._selected = [i for i in ids if i in self._ids]
        self.segmentSelectionChanged.emit(self._selected)


@declared(qMRMLWidget)
class qMRMLSegmentsTableView:
    """The segments of a node, some of them selected."""

    def build(self: Any) -> None:
        self._table = QTableWidget(0, 1, self)
        bare_row(self).addWidget(self._table)
        self._node: Any = None

    def tableWidget(self: Any) -> QTableWidget:
        return self._table

    def segmentationNode(self: Any) -> Any:
        return self._node

    def setSegmentationNode(self: Any, node: Any) -> None:
        self._node = node
        ids = segment_ids(node)
        self._table.setRowCount(len(ids))
        for row, segment_id in enumerate(ids):
            self._table.setItem(row, 0, QTableWidgetItem(node.GetSegmentation().GetSegment(segment_id).GetName()))

    def _get_segmentCount(self: Any) -> int:
        return len(segment_ids(self._node))

    def displayedSegmentIDs(self: Any) -> list[str]:
        return segment_ids(self._node)

    def selectedSegmentIDs(self: Any) -> list[str]:
        rows = sorted({index.row() for index in self._table.selectedIndexes()})
        return [segment_ids(self._node)[row] for row in rows]

    def setSelectedSegmentIDs(self: Any, ids: list[str]) -> None:
        self._table.clearSelection()
        self._table.setSelectionMode(QTableWidget.SelectionMode.MultiSelection)
        for row, segment_id in enumerate(segment_ids(self._node)):
            if segment_id in ids:
                self._table.selectRow(row)


@declared(QTableView)
class qMRMLTableView:
    """A table node, shown as it was when set or last modified."""

    def build(self: Any) -> None:
        self._node: Any = None
        self.setModel(QStandardItemModel(self))

    setMRMLScene = set_scene

    def mrmlScene(self: Any) -> Any:
        return self.__dict__.get("_scene")

    def mrmlTableNode(self: Any) -> Any:
        return self._node

    def setMRMLTableNode(self: Any, node: Any) -> None:
        self._observers.clear()
        self._node = node
        if node is not None:
            self._observers.add(node, "ModifiedEvent", lambda *_: self._fill())
        self._fill()

    def _fill(self: Any) -> None:
        model = self.model()
        model.clear()
        if self._node is None:
            return
        columns = range(self._node.GetNumberOfColumns())
        model.setHorizontalHeaderLabels([self._node.GetColumnName(column) for column in columns])
        for row in range(self._node.GetNumberOfRows()):
            model.appendRow([QStandardItem(self._node.GetCellText(row, column)) for column in columns])


@declared(QWidget)
class qMRMLPlotView:
    """A plot view that keeps its view node and draws nothing."""

    setMRMLScene = set_scene

    def setMRMLPlotViewNode(self: Any, node: Any) -> None:
        self._node = node

    def fitToContent(self: Any) -> None: ...


@declared(qSlicerWidget)
class qSlicerMarkupsPlaceWidget:
    """The place button of one markups node; which one is placed is told by the selection and interaction nodes."""

    DEFAULTS = {"buttonsVisible": True, "deleteAllControlPointsOptionVisible": True}

    def build(self: Any) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._place, self._delete = QToolButton(self), QToolButton(self)
        # In Slicer there are a colour and a menu too: two of these widgets side by side need 474 pixels with margins.
        self.setMinimumWidth(200)
        self._place.setCheckable(True)
        self._place.setText("Place")
        self._delete.setText("Delete")
        row.addWidget(self._place)
        row.addWidget(self._delete)
        self._node: Any = None
        self._signalled = False
        self._place.toggled.connect(self._set_placeModeEnabled)
        self._delete.clicked.connect(self.deleteLastPoint)

    def placeButton(self: Any) -> QToolButton:
        return self._place

    def deleteButton(self: Any) -> QToolButton:
        return self._delete

    def setMRMLScene(self: Any, scene: Any) -> None:
        set_scene(self, scene)
        self._observers.clear()
        for node in (self.interactionNode(), self.selectionNode()):
            if scene is not None and node is not None:
                self._observers.add(node, "ModifiedEvent", lambda *_: self._update())
        self._update()

    def currentNode(self: Any) -> Any:
        return self._node

    def currentMarkupsNode(self: Any) -> Any:
        return self._node

    def setCurrentNode(self: Any, node: Any) -> None:
        self._node = node
        self.setEnabled(node is not None)
        self._update()

    def interactionNode(self: Any) -> Any:
        return slicer.app.applicationLogic().GetInteractionNode()

    def selectionNode(self: Any) -> Any:
        return slicer.app.applicationLogic().GetSelectionNode()

    def _get_currentNodeActive(self: Any) -> bool:
        if self._node is None:
            return False
        active = slicer.modules.markups.logic().GetActiveListID() == self._node.GetID()
        return active and self.selectionNode().GetActivePlaceNodeClassName() == self._node.GetClassName()

    def _get_placeModeEnabled(self: Any) -> bool:
        interaction = self.interactionNode()
        return self._get_currentNodeActive() and interaction.GetCurrentInteractionMode() == interaction.Place

    def _set_placeModeEnabled(self: Any, enabled: bool) -> None:
        if self._node is None:
            if enabled:
                raise RuntimeError("setPlaceModeEnabled activate failed: there is no markups node")
            return
        interaction = self.interactionNode()
        if enabled:
            if not self._get_currentNodeActive():
                slicer.modules.markups.logic().SetActiveList(self._node)
            interaction.SetCurrentInteractionMode(interaction.Place)
        else:
            # Of whichever node is placed.
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        self._update()

    def _update(self: Any) -> None:
        enabled = self._get_placeModeEnabled()
        blocked = self._place.blockSignals(True)
        self._place.setChecked(enabled)
        self._place.blockSignals(blocked)
        if enabled != self._signalled:
            self._signalled = enabled
            self.activeMarkupsPlaceModeChanged.emit(enabled)
            self.activeMarkupsFiducialPlaceModeChanged.emit(enabled)

    def deleteLastPoint(self: Any) -> None:
        if self._node is not None and self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self: Any) -> None:
        if self._node is not None:
            self._node.RemoveAllControlPoints()


@declared(qSlicerWidget)
class qSlicerSimpleMarkupsWidget:
    """Selector, place button and table of a point list."""

    DEFAULTS = {"nodeSelectorVisible": True, "optionsVisible": True}

    def build(self: Any) -> None:
        column = QVBoxLayout(self)
        self._selector, self._placing = qMRMLNodeComboBox(self), qSlicerMarkupsPlaceWidget(self)
        self._table = QTableWidget(0, 4, self)
        for widget in (self._selector, self._placing, self._table):
            column.addWidget(widget)
        self._selector.setProperty("nodeTypes", ["vtkMRMLMarkupsFiducialNode"])
        self._observed: Any = None
        self._selector.currentNodeChanged[object].connect(self._node_changed)
        self._placing.activeMarkupsPlaceModeChanged.connect(self.activeMarkupsPlaceModeChanged)
        self._table.currentCellChanged.connect(
            lambda row, *_: self.currentMarkupsControlPointSelectionChanged.emit(row)
        )

    def setMRMLScene(self: Any, scene: Any) -> None:
        self._selector.setMRMLScene(scene)
        set_scene(self, scene)

    def _node_changed(self: Any, node: Any) -> None:
        self._observers.clear()
        self._observed = node
        if node is not None:
            for event in (node.PointAddedEvent, node.PointRemovedEvent, node.PointModifiedEvent, "ModifiedEvent"):
                self._observers.add(node, event, lambda *_: self._fill())
        self._placing.setCurrentNode(node)
        self._fill()
        self.markupsNodeChanged.emit()
        self.markupsFiducialNodeChanged.emit()

    def _fill(self: Any) -> None:
        node = self._observed
        self._table.setRowCount(0 if node is None else node.GetNumberOfControlPoints())
        for row in range(self._table.rowCount()):
            position = node.GetNthControlPointPosition(row)
            for place, text in enumerate([node.GetNthControlPointLabel(row), *(f"{value:.3f}" for value in position)]):
                self._table.setItem(row, place, QTableWidgetItem(text))
        self.updateFinished.emit()

    def currentNode(self: Any) -> Any:
        return self._selector.currentNode()

    getCurrentNode = currentNode

    def setCurrentNode(self: Any, node: Any) -> None:
        self._selector.setCurrentNode(node)

    def tableWidget(self: Any) -> QTableWidget:
        return self._table

    def markupsPlaceWidget(self: Any) -> Any:
        return self._placing

    def markupsSelectorComboBox(self: Any) -> Any:
        return self._selector

    def highlightNthControlPoint(self: Any, row: int) -> None:
        self._table.selectRow(row)
