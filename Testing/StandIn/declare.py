"""Classes of ctk, qMRML and qSlicer made from their headers: properties, signals and setters as declared there.

A class body holds what the stand-in models: ``build`` makes the parts, ``_get_x`` and ``_set_x`` give a property its
behaviour. Properties without them just keep a value. Methods that a header has and the body lacks raise
NotImplementedError when a module calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Property, Signal
from PySide6.QtGui import QColor, QIcon

from StandIn.members import NAMES, signal_types
from StandIn.observers import Observers
from StandIn.pythonqt import register

PROPERTY_TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "double": float,
    "QString": str,
    "QStringList": "QStringList",
    "QColor": QColor,
    "QIcon": QIcon,
}
DEFAULTS: dict[Any, Any] = {bool: False, int: 0, float: 0.0, str: "", QColor: QColor(), QIcon: QIcon()}


def first_value(kind: Any, given: Any) -> Any:
    if given is not None:
        return given
    return [] if kind == "QStringList" else DEFAULTS.get(kind, 0)


def make_property(name: str, type_name: str, body: dict[str, Any], notify: tuple[type, ...] | None) -> Property:
    kind = PROPERTY_TYPES.get(type_name, "QVariant")
    start = first_value(kind, body.get("DEFAULTS", {}).get(name))

    def get(self: Any) -> Any:
        return self._values.get(name, start)

    def put(self: Any, value: Any) -> None:
        changed = get(self) != value
        self._values[name] = value
        if changed and notify is not None:
            getattr(self, f"{name}Changed")[notify].emit(value)

    return Property(kind, body.get(f"_get_{name}", get), body.get(f"_set_{name}", put))


def make_signals(signatures: list[str]) -> dict[str, Signal]:
    overloads: dict[str, list[tuple[type, ...]]] = {}
    for signature in signatures:
        types = overloads.setdefault(signature.partition("(")[0], [])
        if signal_types(signature) not in types:
            types.append(signal_types(signature))
    return {name: Signal(*types) for name, types in overloads.items()}


def setter(name: str) -> Callable[[Any, Any], None]:
    def put(self: Any, value: Any) -> None:
        self.setProperty(name, value)

    return put


def declared(base: type) -> Callable[[type], type]:
    """Class decorator: the class named like the body, with all its header declares, over ``base``."""

    def build(body_class: type) -> type:
        name = body_class.__name__
        declaration = NAMES["classes"][name]
        body = {key: value for key, value in vars(body_class).items() if key not in ("__dict__", "__weakref__")}
        signals = make_signals(declaration["signals"])
        attributes: dict[str, Any] = {**signals}
        for called, described in declaration["properties"].items():
            notify = next((signal_types(s) for s in declaration["signals"] if s.startswith(f"{called}Changed(")), None)
            attributes[called] = make_property(called, described["type"], body, notify)
            method = f"set{called[0].upper()}{called[1:]}"
            if method in declaration["methods"]:
                attributes[method] = setter(called)
        if not hasattr(base, "_is_declared"):

            def initialize(self: Any, *arguments: Any) -> None:
                self._values = {}
                self._observers = Observers()
                base.__init__(self, *arguments)
                self.destroyed.connect(self._observers.clear)
                self.build()

            attributes["__init__"] = initialize
            attributes["_is_declared"] = True
            attributes["build"] = lambda self: None
        attributes.update(body)
        attributes["__module__"] = body_class.__module__
        made = type(base)(name, (base,), attributes)
        register(made)
        return made

    return build
