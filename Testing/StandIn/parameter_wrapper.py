"""``slicer.parameterNodeWrapper``, second part: the decorators ``parameterNodeWrapper`` and ``parameterPack``."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import slicer
import vtk

from StandIn.parameter_values import Default, IsInstance, NotNone, Stored, split_annotations, stored
from StandIn.parameter_widgets import Connector, connector_for

NAME_PROPERTY = "SlicerParameterName"
RESERVED = (
    *("allParameters", "default", "dataType", "getValue", "setValue", "connectGui", "connectParametersToGui"),
    *("disconnectGui", "StartModify", "EndModify", "AddObserver", "RemoveObserver", "Modified"),
)


class StoredPack(Stored):
    """A parameterPack: each member under ``name.member``."""

    def __init__(self, kind: type) -> None:
        super().__init__(kind, None, [NotNone(), IsInstance(kind)])

    def default(self) -> Any:
        return self.kind()

    def present(self, node: Any, name: str) -> bool:
        first, part = next(iter(self.kind.allParameters.items()))
        return bool(part.present(node, f"{name}.{first}"))

    def write(self, node: Any, name: str, value: Any) -> None:
        for member, part in self.kind.allParameters.items():
            part.store(node, f"{name}.{member}", getattr(value, member))

    def read(self, node: Any, name: str) -> Any:
        values = {member: part.read(node, f"{name}.{member}") for member, part in self.kind.allParameters.items()}
        made = self.kind(**values)
        made.__dict__["_save"] = lambda: self.store(node, name, made)
        return made

    def remove(self, node: Any, name: str) -> None:
        for member, part in self.kind.allParameters.items():
            part.remove(node, f"{name}.{member}")


def pack_member(name: str) -> property:
    def put(self: Any, value: Any) -> None:
        self.allParameters[name].validate(value)
        self.__dict__[f"_value_{name}"] = value
        self.__dict__.get("_save", lambda: None)()

    return property(lambda self: self.__dict__[f"_value_{name}"], put)


def start_value(cls: type, name: str, annotated: Any, part: Stored) -> Any:
    """Value by ``=``, by the Default annotation, or of the type."""
    given = next((note for note in split_annotations(annotated)[1] if isinstance(note, Default)), None)
    if hasattr(cls, name):
        return getattr(cls, name)
    return given.value if given is not None else part.default()


def parameterPack(cls: Any = None) -> Any:
    """Class decorator: several values that are stored together."""
    if cls is None:
        return parameterPack
    hints = typing.get_type_hints(cls, include_extras=True)
    if not hints:
        raise ValueError("Unable to find any members in parameterPack")
    parts = {name: stored(annotated) for name, annotated in hints.items()}
    starts = {name: start_value(cls, name, hints[name], part) for name, part in parts.items()}

    def initialize(self: Any, *arguments: Any, **named: Any) -> None:
        given = {**dict(zip(parts, arguments, strict=False)), **named}
        unknown = set(given) - set(parts)
        if unknown:
            raise TypeError(f"__init__() got an unexpected keyword argument '{unknown.pop()}'")
        for name in parts:
            setattr(self, name, given.get(name, starts[name]))

    for name in parts:
        setattr(cls, name, pack_member(name))
    cls.allParameters = parts
    cls._types = hints
    cls.dataType = staticmethod(lambda name: member_type(cls, name))
    cls._stored_pack = classmethod(StoredPack)
    cls.__init__ = initialize
    cls.__eq__ = lambda self, other: all(getattr(self, name) == getattr(other, name, None) for name in parts)
    cls.__hash__ = None
    return cls


def member_type(cls: Any, name: str) -> Any:
    top, _, rest = name.partition(".")
    if top not in cls._types:
        raise ValueError(f"Cannot find a param with the given name: {top}; found {', '.join(cls._types)}")
    return member_type(split_annotations(cls._types[top])[0], rest) if rest else cls._types[top]


class Wrapped:
    """What the decorator adds to a class."""

    allParameters: dict[str, Stored]
    _starts: dict[str, Any]
    dataType: Callable[[str], Any]

    def initialize(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._guis: dict[int, dict[str, Connector]] = {}
        self._tags: dict[int, int] = {}
        self._next_tag = 0
        self._showing = False
        for name, part in self.allParameters.items():
            if not part.present(parameterNode, name):
                part.store(parameterNode, name, self._starts[name])

    def default(self, name: str) -> Default:
        self.dataType(name)
        return Default(self._starts[name])

    def getValue(self, name: str) -> Any:
        self.dataType(name)
        value: Any = self
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def setValue(self, name: str, value: Any) -> None:
        self.dataType(name)
        path, _, last = name.rpartition(".")
        owner = self.getValue(path) if path else self
        setattr(owner, last, value)

    def connectGui(self, gui: Any) -> int:
        widgets = gui.findChildren("QWidget") if hasattr(gui, "isWidgetType") else gui.__dict__.values()
        return self.connectParametersToGui(
            {widget.property(NAME_PROPERTY): widget for widget in widgets if widget.property(NAME_PROPERTY)}
        )

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        connectors = {name: connector_for(widget, self.dataType(name)) for name, widget in mapping.items()}
        tag = self._next_tag
        self._next_tag += 1
        self._guis[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(self._changed(name, connector))
        self._tags[tag] = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show())
        return tag

    def disconnectGui(self, tag: int) -> None:
        for connector in self._guis.pop(tag, {}).values():
            connector.disconnect()
        if tag in self._tags:
            self.RemoveObserver(self._tags.pop(tag))

    def _changed(self, name: str, connector: Connector) -> Callable[[], None]:
        def take_over() -> None:
            if not self._showing:
                with slicer.util.NodeModify(self):
                    self.setValue(name, connector.read())

        return take_over

    def _show(self) -> None:
        if self._showing:
            return
        self._showing = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in self._guis.values():
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._showing = False

    def StartModify(self) -> int:
        return int(self.parameterNode.StartModify())

    def EndModify(self, was_modified: int) -> int:
        return int(self.parameterNode.EndModify(was_modified))

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return int(self.parameterNode.AddObserver(event, callback, priority))

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def node_member(name: str) -> property:
    def get(self: Any) -> Any:
        part = self.allParameters[name]
        if not part.present(self.parameterNode, name):
            part.store(self.parameterNode, name, self._starts[name])
        return part.read(self.parameterNode, name)

    def put(self: Any, value: Any) -> None:
        with slicer.util.NodeModify(self.parameterNode):
            self.allParameters[name].store(self.parameterNode, name, value)

    return property(get, put)


def parameterNodeWrapper(cls: Any = None) -> Any:
    """Class decorator: typed members over a vtkMRMLScriptedModuleNode."""
    if cls is None:
        return parameterNodeWrapper
    hints = typing.get_type_hints(cls, include_extras=True)
    for name in RESERVED:
        if hasattr(cls, name) or name in hints:
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    parts = {name: stored(annotated) for name, annotated in hints.items()}
    cls._starts = {name: start_value(cls, name, hints[name], part) for name, part in parts.items()}
    for name in parts:
        setattr(cls, name, node_member(name))
    for name, value in vars(Wrapped).items():
        if not name.startswith("__"):
            setattr(cls, name, value)
    cls.allParameters = parts
    cls._types = hints
    cls._is_parameter_node_wrapper = True
    cls.dataType = staticmethod(lambda name: member_type(cls, name))
    cls.__init__ = Wrapped.initialize
    return cls


def isParameterNodeWrapper(value: Any) -> bool:
    return bool(getattr(value, "_is_parameter_node_wrapper", False))


@parameterPack
class FloatRange:
    """A minimum and a maximum."""

    _minimum: float
    _maximum: float

    @property
    def minimum(self) -> float:
        return self._minimum

    @property
    def maximum(self) -> float:
        return self._maximum
