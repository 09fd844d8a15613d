"""Which names a Qt, ctk, qMRML or qSlicer class has in Slicer's Python, and of what kind each is."""

from __future__ import annotations

import enum
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from PySide6.QtCore import QMetaMethod, QObject

NAMES = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))
EXTRA_METHODS = {"QObject": ["isWidgetType", "tr"], "QUiLoader": ["load", "createWidget", "availableWidgets"]}
NEWER_THAN_QT_5 = {
    "QCheckBox": {"checkStateChanged"},
    "QComboBox": {"labelDrawingMode"},
    "QAbstractItemView": {"updateThreshold", "keyboardSearchFlags"},
    "QAction": {"enabledChanged", "checkableChanged"},
    "QMessageBox": {"options"},
    "QStackedWidget": {"widgetAdded"},
    "QDockWidget": {"dockLocation"},
    "QTimer": {"active"},
}
"""Properties and signals of the Qt 6 meta-objects that the Qt 5.15 of Slicer 5.10 lacks."""


class Member(NamedTuple):
    """One name of a class: property, signal, method or enum; ``value`` is the declaration or the enum value."""

    kind: str
    value: Any = None


class EnumValue(int):
    """Value of a Qt enum; PythonQt's are integers too, and ``|`` gives something a flags argument takes."""

    member: Any

    @staticmethod
    def of(member: enum.Enum) -> EnumValue:
        made = EnumValue(member.value)
        made.member = member
        return made

    def _combined(self, other: Any, combine: Any) -> Any:
        if isinstance(other, EnumValue) and isinstance(self.member, enum.Flag):
            combined = combine(self.member, other.member)
            return EnumValue.of(combined) if isinstance(combined, enum.Enum) else combined
        return combine(int(self), int(other))

    def __or__(self, other: Any) -> Any:
        return self._combined(other, lambda a, b: a | b)

    def __and__(self, other: Any) -> Any:
        return self._combined(other, lambda a, b: a & b)

    def __invert__(self) -> Any:
        return EnumValue.of(~self.member) if isinstance(self.member, enum.Flag) else ~int(self)

    __hash__ = int.__hash__


def is_declared(cls: type) -> bool:
    """True for a class of ours that stands for one of ctk, qMRML or qSlicer."""
    return cls.__name__ in NAMES["classes"] and not cls.__module__.startswith("PySide6")


def qt_base(cls: type) -> type:
    """The first class of Qt itself among the bases."""
    return next(base for base in cls.__mro__ if base.__module__.startswith("PySide6"))


def declared_members(cls: type) -> dict[str, Member]:
    declaration = NAMES["classes"][cls.__name__]
    found = {name: Member("method") for name in declaration["methods"]}
    for signature in declaration["signals"]:
        found.setdefault(signature.partition("(")[0], Member("signal", signature))
    found.update({name: Member("property", value) for name, value in declaration["properties"].items()})
    for name, value in declaration["enums"].items():
        if isinstance(value, int):
            found[name] = Member("enum", value)
    return found


def qt_members(cls: type) -> dict[str, Member]:
    """Names of one Qt class without those of its bases."""
    wrapped = NAMES["qt"].get(cls.__name__, "").split() + EXTRA_METHODS.get(cls.__name__, [])
    found = {}
    for name in wrapped:
        attribute = getattr(cls, name, None)
        if isinstance(attribute, enum.Enum):
            found[name] = Member("enum", EnumValue.of(attribute))
        elif attribute is not None:
            found[name] = Member("method")
    for attribute in vars(cls).values():
        if isinstance(attribute, type) and issubclass(attribute, enum.Enum):
            found.update({name: Member("enum", EnumValue.of(m)) for name, m in attribute.__members__.items()})
    if not issubclass(cls, QObject):
        return found
    newer = NEWER_THAN_QT_5.get(cls.__name__, set())
    meta = cls.staticMetaObject
    for index in range(meta.methodOffset(), meta.methodCount()):
        method = meta.method(index)
        name = method.name().data().decode()
        if method.methodType() == QMetaMethod.MethodType.Signal:
            found.setdefault(name, Member("signal", method.methodSignature().data().decode()))
        elif method.access() == QMetaMethod.Access.Public and hasattr(cls, name):
            found[name] = Member("method")
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        described = meta.property(index)
        found[described.name()] = Member(
            "property", {"type": described.typeName(), "write": described.isWritable(), "enum": described.isEnumType()}
        )
    return {name: member for name, member in found.items() if name not in newer}


@cache
def members(cls: type) -> dict[str, Member]:
    """Every name of a class and its bases; a property hides a method of the same name, as in PythonQt."""
    found: dict[str, Member] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("PySide6"):
            own = qt_members(base)
        elif is_declared(base):
            own = declared_members(base)
        else:
            continue
        for name, member in own.items():
            if member.kind == "property" or found.get(name, member).kind != "property":
                found[name] = member
    if "objectName" in found:
        found.setdefault("name", Member("property", {**found["objectName"].value, "of": "objectName"}))
    if "exec" in found:
        found["exec_"] = found["exec"]
    if cls.__name__ == "QTimer":
        found["singleShot"] = Member("method")
    return found


@cache
def truth(cls: type) -> tuple[bool, str] | None:
    """What ``bool()`` of an object asks and whether it is negated: an empty layout, for one, is false in PythonQt."""
    for base in cls.__mro__:
        for name in NAMES["qt"].get(base.__name__, "").split():
            if name.startswith("bool"):
                return name.startswith("bool!"), name.removeprefix("bool").lstrip("!")
    return None


@cache
def signal_signatures(cls: type) -> dict[str, str]:
    """Signatures a module may connect to, each with the one that the stand-in's meta-object has."""
    found = {}
    for base in cls.__mro__:
        if is_declared(base):
            for signature in NAMES["classes"][base.__name__]["signals"]:
                found[signature] = standin_signature(signature)
    if issubclass(cls, QObject):
        meta = qt_base(cls).staticMetaObject
        for index in range(meta.methodCount()):
            signal = meta.method(index)
            if signal.methodType() == QMetaMethod.MethodType.Signal and signal.name().data().decode() in members(cls):
                signature = signal.methodSignature().data().decode()
                found[signature] = signature
    return found


NATIVE = {"QString": str, "double": float, "float": float, "int": int, "bool": bool}
WRITTEN = {str: "QString", float: "double", int: "int", bool: "bool", object: "PyObject"}


def signal_types(signature: str) -> tuple[type, ...]:
    """Types that stand for the parameters of a signal; anything that is not a plain value is an object."""
    inside = signature.partition("(")[2].rstrip(")")
    return tuple(NATIVE.get(part, object) for part in inside.split(",") if part)


def standin_signature(signature: str) -> str:
    """A signature of the headers as the stand-in's meta-object spells it."""
    return f"{signature.partition('(')[0]}({','.join(WRITTEN[kind] for kind in signal_types(signature))})"
