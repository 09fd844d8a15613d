"""Parameter nodes: types, defaults, refusals and bindings. Runs on Slicer's own files too (SLICER_PYTHON)."""

from __future__ import annotations

import enum
import pathlib
from typing import Annotated

import pytest
import slicer
from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLModelNode, vtkMRMLScalarVolumeNode


class Method(enum.Enum):
    RIGID = 1
    AFFINE = 2


class Labelled(enum.Enum):
    ONE = 1
    TWO = 2

    def label(self):
        return f"number {self.value}"


@pytest.fixture
def names(slicer_app):
    import slicer.parameterNodeWrapper as names

    return names


@pytest.fixture
def node(slicer_app):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def one(names, kind, *default):
    """Class of a wrapper with one parameter, called x."""
    contents = {"__annotations__": {"x": kind}, **({"x": default[0]} if default else {})}
    return names.parameterNodeWrapper(type("Wrapper", (), contents))


@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        (int, 0, -7),
        (float, 0, 2.25),
        (str, "", "a b"),
        (bool, False, True),
        (Method, Method.RIGID, Method.AFFINE),
        (pathlib.Path, pathlib.Path(), pathlib.Path("/data/x")),
        (int | None, None, 3),
        (int | str, 0, "word"),
        (list[int], [], [3, 1, 2]),
        (list[list[str]], [], [["a"], ["b", "c"]]),
        (dict[str, float], {}, {"a": 1.5, "b": 2.5}),
        (tuple[int, str], (0, ""), (4, "x")),
        (vtkMRMLModelNode, None, None),
    ],
)
def test_values_come_back_from_the_node(names, node, kind, default, value):
    wrapper = one(names, kind)
    if kind != tuple[int, str]:  # Slicer's default of a tuple is a generator
        assert wrapper(node).x == default
    wrapper(node).x = value
    read = wrapper(node).x
    assert read == value or list(map(list, read)) == value or dict(read) == value


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        (int, 1.5, TypeError),
        (int, None, ValueError),
        (float, "1", TypeError),
        (str, 3, TypeError),
        (bool, 1, TypeError),
        (Method, "RIGID", TypeError),
        (list[int], ["a"], TypeError),
        (int | None, "a", TypeError),
        (vtkMRMLModelNode, "vtkMRMLModelNode1", TypeError),
    ],
)
def test_wrong_types_are_refused_and_change_nothing(names, node, kind, value, error):
    wrapped = one(names, kind)(node)
    before = wrapped.x
    with pytest.raises(error):
        wrapped.x = value
    assert wrapped.x == before


def test_validators(names, node):
    for note, good, bad in (
        (names.WithinRange(0, 2), 2, 3),
        (names.Minimum(1), 1, 0),
        (names.Maximum(1), 1, 2),
        (names.Choice([1, 2]), 2, 3),
        (names.Exclude([5]), 4, 5),
    ):
        wrapped = one(names, Annotated[int, note], 1)(node)
        wrapped.x = good
        assert wrapped.x == good
        with pytest.raises(ValueError, match=str(bad)):
            wrapped.x = bad


def test_defaults_are_written_once(names, node):
    assert one(names, Annotated[int, names.Default(4)])(node).x == 4
    assert node.GetParameter("x") == "4"
    assert one(names, int, 9)(node).x == 4


def test_lists_and_dictionaries_are_stored_on_change(names, node):
    wrapper = one(names, list[int])
    wrapper(node).x = [1, 2, 3]
    wrapper(node).x.append(4)
    del wrapper(node).x[0]
    assert wrapper(node).x == [2, 3, 4]
    assert (node.GetParameter("x.len"), node.GetParameter("x.2"), node.HasParameter("x.3")) == ("3", "4", 0)


def test_packs_nest_and_save_themselves(names, node):
    members = {"low": Annotated[float, names.Minimum(-5)], "high": float}
    pack = names.parameterPack(type("Bounds", (), {"__annotations__": members, "low": -1, "high": 1}))
    wrapped = one(names, pack)(node)
    wrapped.x.low = -3
    wrapped.setValue("x.high", 8)
    assert (wrapped.x.low, wrapped.getValue("x.high"), node.GetParameter("x.low")) == (-3, 8, "-3.0")
    with pytest.raises(ValueError, match="-6"):
        wrapped.x.low = -6


def test_node_references_follow_the_scene(names, node):
    wrapped = one(names, vtkMRMLModelNode)(node)
    model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    wrapped.x = model
    assert node.GetNodeReferenceID("x") == model.GetID()
    slicer.mrmlScene.RemoveNode(model)
    assert wrapped.x is None


@pytest.mark.parametrize(
    ("kind", "make", "put", "value", "attribute", "shown"),
    [
        (int, "qt.QSpinBox", lambda w: setattr(w, "value", 8), 8, "value", 3),
        (float, "qt.QDoubleSpinBox", lambda w: setattr(w, "value", 0.25), 0.25, "value", 3),
        (float, "ctk.ctkDoubleSpinBox", lambda w: setattr(w, "value", 0.25), 0.25, "value", 3),
        (int, "ctk.ctkDoubleSpinBox", lambda w: w.setValue(8), 8, "value", 3),
        (str, "qt.QLineEdit", lambda w: setattr(w, "text", "ab"), "ab", "text", "cd"),
        (bool, "qt.QPushButton", lambda w: w.click(), True, "checked", False),
        (
            pathlib.Path,
            "ctk.ctkPathLineEdit",
            lambda w: w.setCurrentPath("/x"),
            pathlib.Path("/x"),
            "currentPath",
            "/y",
        ),
        (Method, "qt.QComboBox", lambda w: setattr(w, "currentIndex", 1), Method.AFFINE, "currentText", "RIGID"),
        (Labelled, "ctk.ctkComboBox", lambda w: setattr(w, "currentIndex", 1), Labelled.TWO, "currentText", "number 1"),
    ],
)
def test_widgets_are_bound_both_ways(names, node, kind, make, put, value, attribute, shown):
    import ctk
    import qt

    widget = getattr({"qt": qt, "ctk": ctk}[make.split(".")[0]], make.split(".")[1])()
    wrapped = one(names, kind)(node)
    if make == "qt.QPushButton":
        widget.checkable = True
    tag = wrapped.connectParametersToGui({"x": widget})
    put(widget)
    assert wrapped.x == value
    wrapped.x = {"RIGID": Method.RIGID, "number 1": Labelled.ONE, "/y": pathlib.Path("/y")}.get(shown, shown)
    assert getattr(widget, attribute) == shown
    wrapped.disconnectGui(tag)
    put(widget)
    assert wrapped.x != value


@pytest.mark.parametrize(
    ("kind", "make"),
    [(float, "QSlider"), (float, "QSpinBox"), (int, "QSlider"), (str, "QComboBox"), (bool, "QLabel"), (str, "QWidget")],
)
def test_widgets_that_slicer_cannot_bind_raise(names, node, kind, make):
    import qt

    with pytest.raises(RuntimeError):
        one(names, kind)(node).connectParametersToGui({"x": getattr(qt, make)()})


def test_a_derived_widget_is_not_recognized(names, node):
    import qt

    class MyBox(qt.QSpinBox):
        pass

    with pytest.raises(RuntimeError):
        one(names, int)(node).connectParametersToGui({"x": MyBox()})


def test_a_selector_takes_its_node_types_from_the_annotation(names, node):
    selector = slicer.qMRMLNodeComboBox()
    selector.setMRMLScene(slicer.mrmlScene)
    wrapped = one(names, vtkMRMLScalarVolumeNode | vtkMRMLMarkupsFiducialNode | None)(node)
    wrapped.connectParametersToGui({"x": selector})
    assert selector.nodeTypes == ("vtkMRMLScalarVolumeNode", "vtkMRMLMarkupsFiducialNode")
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    assert selector.nodeCount() == 1
    selector.setCurrentNode(points)
    assert wrapped.x is points


def test_ranges(names, node):
    import ctk

    widget, start = ctk.ctkRangeWidget(), names.FloatRange(0, 1)
    wrapped = one(names, Annotated[names.FloatRange, names.RangeBounds(-2, 9), names.Default(start)])(node)
    wrapped.connectParametersToGui({"x": widget})
    wrapped.x = names.FloatRange(1, 4)
    assert (widget.minimum, widget.maximum, widget.minimumValue, widget.maximumValue) == (-2, 9, 1, 4)
    bare = Annotated[names.FloatRange, names.RangeBounds(-2, 9)]
    with pytest.raises(AttributeError):
        one(names, bare)(node).connectParametersToGui({"x": widget})


@pytest.mark.parametrize("name", ["default", "connectGui", "allParameters"])
def test_reserved_names(names, name):
    with pytest.raises(ValueError, match=name):
        names.parameterNodeWrapper(type("Wrapper", (), {"__annotations__": {name: int}}))


def test_unknown_types_and_names(names, node):
    with pytest.raises(Exception, match="Unable to create serializer"):
        one(names, complex)
    with pytest.raises(ValueError, match="y"):
        one(names, int)(node).setValue("y", 3)
