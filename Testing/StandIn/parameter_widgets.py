"""Which widgets a parameter can be bound to, and how: the widget's class has to be one of these exactly."""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Callable
from typing import Any

import slicer

from StandIn.parameter_values import Choice, Default, Maximum, Minimum, RangeBounds, WithinRange, split_annotations

SLIDERS = ("QSlider", "ctkSliderWidget", "qMRMLSliderWidget")
INT_WIDGETS = ("QSlider", "QSpinBox")
NUMBER_WIDGETS = (
    "QDoubleSpinBox",
    "ctkSliderWidget",
    "qMRMLSliderWidget",
    "ctkDoubleSlider",
    "ctkDoubleSpinBox",
    "qMRMLSpinBox",
)


class Connector:
    """A widget and how its value is read, written and announced."""

    def __init__(self, widget: Any, signal: str, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
        self.widget, self.signal, self.read, self.write = widget, signal, read, write
        self._callback: Callable[[], None] | None = None

    def connect(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        if self.signal:
            getattr(self.widget, self.signal).connect(callback)

    def disconnect(self) -> None:
        if self.signal and self._callback is not None and self.widget:
            getattr(self.widget, self.signal).disconnect(self._callback)
        self._callback = None


def note(annotations: list[Any], kind: type) -> Any:
    return next((found for found in annotations if isinstance(found, kind)), None)


def by_property(widget: Any, name: str, signal: str, convert: Callable[[Any], Any] = lambda value: value) -> Connector:
    return Connector(
        widget, signal, lambda: convert(getattr(widget, name)), lambda value: setattr(widget, name, convert(value))
    )


def set_bounds(widget: Any, kind: type, annotations: list[Any]) -> None:
    limits = note(annotations, WithinRange)
    low = limits.minimum if limits else getattr(note(annotations, Minimum), "minimum", None)
    high = limits.maximum if limits else getattr(note(annotations, Maximum), "maximum", None)
    if widget.className() in SLIDERS and (low is None or high is None):
        raise RuntimeError(f"Cannot have a connection to {widget.className()} where the {kind.__name__} is unbounded.")
    if widget.className() in INT_WIDGETS:
        widget.setMinimum(-(2**31) if low is None else low)
        widget.setMaximum(2**31 - 1 if high is None else high)
    else:
        widget.minimum = float("-inf") if low is None else low
        widget.maximum = float("inf") if high is None else high


def number_connector(widget: Any, kind: type, annotations: list[Any]) -> Connector:
    name = widget.className()
    if name not in INT_WIDGETS and name != "ctkDoubleSlider":
        decimals = next((found for found in annotations if type(found).__name__ == "Decimals"), None)
        if kind is int:
            widget.decimals = 0
        elif decimals is not None:
            widget.decimals = decimals.value
    step = next((found for found in annotations if type(found).__name__ == "SingleStep"), None)
    if step is not None:
        widget.singleStep = step.value
    set_bounds(widget, kind, annotations)
    return by_property(widget, "value", "valueChanged", int if kind is int else (lambda value: value))


def choice_connector(widget: Any, choices: list[Any], labels: list[str]) -> Connector:
    widget.clear()
    for label in labels:
        widget.addItem(label)

    def write(value: Any) -> None:
        if value not in choices:
            raise ValueError(f"Unable to find value {value} in choices {choices}")
        widget.currentIndex = choices.index(value)

    return Connector(widget, "currentIndexChanged", lambda: choices[widget.currentIndex], write)


def range_connector(widget: Any, kind: type, annotations: list[Any]) -> Connector:
    bounds = note(annotations, RangeBounds)
    if bounds is None:
        raise RuntimeError("Cannot have a connection to a range widget where the float is unbounded.")
    if note(annotations, Default) is None:
        # Slicer means to ask for it only where 0 is out of bounds, but its check fails on any bounds.
        raise AttributeError("a range widget needs a Default() annotation beside RangeBounds")
    widget.setRange(bounds.minimum, bounds.maximum)
    return Connector(
        widget,
        "valuesChanged",
        lambda: kind(widget.minimumValue, widget.maximumValue),
        lambda value: widget.setValues(value.minimum, value.maximum),
    )


def write_line(widget: Any) -> Callable[[str], None]:
    def write(value: str) -> None:
        if value != widget.text:
            widget.text = value

    return write


def node_types(kind: Any) -> list[str] | None:
    """Class names when the type is a node or a union of nodes, else None."""
    members = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    plain = [split_annotations(member)[0] for member in members]
    nodes = [member for member in plain if member is not type(None)]
    if nodes and all(isinstance(member, type) and issubclass(member, slicer.vtkMRMLNode) for member in nodes):
        return [member().GetClassName() for member in nodes]
    return None


def connector_for(widget: Any, annotated: Any) -> Connector:
    """Raises RuntimeError for a widget that the type cannot be bound to."""
    kind, annotations = split_annotations(annotated)
    name = widget.className()
    if kind is bool and name in ("QCheckBox", "ctkCheckBox"):
        return by_property(widget, "checked", "stateChanged")
    if kind is bool and name == "QPushButton":
        widget.checkable = True
        return by_property(widget, "checked", "toggled")
    if (kind is int and name in INT_WIDGETS) or (kind in (int, float) and name in NUMBER_WIDGETS):
        return number_connector(widget, kind, annotations)
    if name in ("QComboBox", "ctkComboBox"):
        choice = note(annotations, Choice)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            label = getattr(kind, "label", lambda member: member.name)
            # Slicer reads the selection first and so fails when the .ui file lists more items than members.
            list(kind)[widget.currentIndex]
            return choice_connector(widget, list(kind), [label(member) for member in kind])
        if kind in (int, float, str, bool) and choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        if kind in (int, float, str, bool):
            return choice_connector(widget, list(choice.choices), [str(value) for value in choice.choices])
    if kind is str and name == "QLineEdit":
        return Connector(widget, "textChanged", lambda: widget.text, write_line(widget))
    if kind is str and name == "QLabel":
        return by_property(widget, "text", "")
    if kind is str and name == "QTextEdit":
        return Connector(widget, "textChanged", widget.toPlainText, widget.setPlainText)
    if name in ("ctkRangeWidget", "ctkDoubleRangeSlider", "qMRMLRangeWidget") and kind.__name__ == "FloatRange":
        return range_connector(widget, kind, annotations)
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        described = {"ctkPathLineEdit": "currentPath", "ctkDirectoryButton": "directory"}.get(name)
        if described:
            signal = f"{described}Changed"
            return Connector(
                widget,
                signal,
                lambda: kind(getattr(widget, described)),
                lambda value: setattr(widget, described, str(value)),
            )
    nodes = node_types(kind)
    if nodes and name == "qMRMLNodeComboBox":
        widget.nodeTypes = nodes
        return Connector(widget, "currentNodeChanged", widget.currentNode, widget.setCurrentNode)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{annotated}' to widget type '{name}'.")
