"""The widgets of ctk and qMRML in the stand-in behave as their sources say."""

from __future__ import annotations

import numpy as np
import pytest
import slicer


@pytest.fixture
def ctk(slicer_app):
    import ctk

    return ctk


@pytest.fixture
def selector(slicer_app):
    made = slicer.qMRMLNodeComboBox()
    made.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    made.setMRMLScene(slicer.mrmlScene)
    return made


def add(kind, name=""):
    return slicer.mrmlScene.AddNewNodeByClass(kind, name)


def test_every_widget_can_be_made_and_each_property_read(slicer_app, tmp_path):
    from PySide6.QtWidgets import QApplication, QWidget
    from StandIn.members import NAMES, is_declared
    from StandIn.pythonqt import _by_name, wrapper_class

    for name, cls in _by_name.items():
        if is_declared(cls) and issubclass(cls, QWidget) and not issubclass(cls, QApplication):
            widget = wrapper_class(cls)()
            for described in NAMES["classes"][name]["properties"]:
                if name != "qMRMLSliceWidget":
                    getattr(widget, described)
            slicer_app.screenshot(widget, tmp_path / "widget.png")
            widget.delete()


def test_a_selector_is_disabled_without_a_scene_and_lists_matching_nodes(selector):
    assert not slicer.qMRMLNodeComboBox().enabled
    first, hidden = add("vtkMRMLScalarVolumeNode"), add("vtkMRMLScalarVolumeNode")
    add("vtkMRMLModelNode")
    label = add("vtkMRMLLabelMapVolumeNode")
    assert selector.nodeCount() == 3
    hidden.SetHideFromEditors(True)
    selector.showChildNodeTypes = False
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    assert [selector.nodeFromIndex(index) for index in range(selector.nodeCount())] == [first]
    assert selector.currentNode() is first
    selector.setCurrentNode(label)
    assert selector.currentNode() is None


def test_without_none_there_is_always_a_current_node(selector):
    heard = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    selector.connect("currentNodeChanged(bool)", heard.append)
    selector.connect("currentNodeIDChanged(QString)", heard.append)
    first = add("vtkMRMLScalarVolumeNode")
    assert heard == [first, True, first.GetID()]
    second = add("vtkMRMLScalarVolumeNode")
    assert selector.currentNode() is first
    slicer.mrmlScene.RemoveNode(first)
    assert selector.currentNode() is second
    slicer.mrmlScene.Clear()
    assert heard[-3:] == [None, False, ""]


def test_with_none_nothing_is_selected_by_itself(selector):
    selector.noneEnabled = True
    slicer.mrmlScene.Clear()
    node = add("vtkMRMLScalarVolumeNode")
    assert selector.currentNode() is None
    selector.setCurrentNodeID(node.GetID())
    assert selector.currentNodeID == node.GetID()


def test_new_nodes_have_the_base_name_and_attributes(selector):
    selector.baseName = "Result"
    selector.addAttribute("vtkMRMLScalarVolumeNode", "kind", "output")
    node = selector.addNode()
    assert (node.GetName(), node.GetAttribute("kind"), selector.currentNode()) == ("Result", "output", node)
    add("vtkMRMLScalarVolumeNode")
    assert selector.nodeCount() == 1


def test_collapsing_hides_the_children_but_not_for_ever(ctk):
    import qt

    button = ctk.ctkCollapsibleButton()
    layout = qt.QFormLayout(button)
    shown, hidden = qt.QLabel("shown"), qt.QLabel("hidden")
    layout.addRow(shown)
    layout.addRow(hidden)
    hidden.hide()
    button.show()
    button.collapsed = True
    assert not button.checked
    assert not shown.visible
    button.click()
    assert not button.collapsed
    assert shown.visible
    assert not hidden.visible


def test_segments_can_be_selected(slicer_app):
    node = add("vtkMRMLSegmentationNode")
    for name in ("bone", "brain"):
        node.GetSegmentation().AddEmptySegment(name, name)
    widget, heard = slicer.qMRMLSegmentSelectorWidget(), []
    widget.connect("currentSegmentChanged(QString)", heard.append)
    widget.setMRMLScene(slicer.mrmlScene)
    assert widget.currentNode() is node
    widget.setCurrentSegmentID("brain")
    assert (widget.segmentIDs(), widget.currentSegmentID(), heard[-1]) == (("bone", "brain"), "brain", "brain")
    table = slicer.qMRMLSegmentsTableView()
    table.setSegmentationNode(node)
    table.setSelectedSegmentIDs(["brain"])
    assert (table.segmentCount, table.selectedSegmentIDs()) == (2, ("brain",))


def test_points_are_listed_and_place_mode_follows_the_button(slicer_app):
    points = add("vtkMRMLMarkupsFiducialNode", "points")
    widget = slicer.qSlicerSimpleMarkupsWidget()
    widget.setMRMLScene(slicer.mrmlScene)
    widget.setCurrentNode(points)
    points.AddControlPoint([1, 2, 3], "tip")
    table = widget.tableWidget()
    assert (table.rowCount, table.item(0, 0).text(), table.item(0, 3).text()) == (1, "tip", "3.000")
    place = widget.markupsPlaceWidget()
    place.placeButton().click()
    assert place.placeModeEnabled
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    place.placeModeEnabled = False
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    place.deleteButton().click()
    assert points.GetNumberOfControlPoints() == table.rowCount == 0


def test_one_list_is_placed_at_a_time(slicer_app):
    places = [slicer.qSlicerMarkupsPlaceWidget() for _ in range(2)]
    for number, place in enumerate(places):
        place.setMRMLScene(slicer.mrmlScene)
        place.setCurrentNode(add("vtkMRMLMarkupsFiducialNode", f"list {number}"))
    places[0].setPlaceModeEnabled(True)
    places[1].setPlaceModeEnabled(True)
    assert [place.placeModeEnabled for place in places] == [False, True]
    assert [place.placeButton().checked for place in places] == [False, True]


def test_a_table_view_shows_its_node(slicer_app):
    node = add("vtkMRMLTableNode")
    view = slicer.qMRMLTableView()
    view.setMRMLTableNode(node)
    slicer.util.updateTableFromArray(node, [np.array([1.5, 2.5]), np.array([3.0, 4.0])], ["x", "y"])
    node.Modified()
    model = view.model()
    assert (model.rowCount(), model.columnCount()) == (2, 2)
    assert model.index(1, 0).data() == "2.5"
