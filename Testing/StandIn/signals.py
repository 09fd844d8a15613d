"""Signals as PythonQt connects them: by signature, with as many arguments as the callable takes."""

from __future__ import annotations

import inspect
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6.QtCore import SIGNAL, QMetaObject, QObject

from StandIn.members import signal_signatures, signal_types

slot_errors: list[BaseException] = []
"""What connected functions raised. PythonQt prints it and goes on; a test has to look here."""


class Deliver:
    """Receiver of one connection."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> None:
        from StandIn.pythonqt import wrap

        taken = [wrap(argument) for argument in arguments[: arguments_taken(self.function)]]
        try:
            self.function(*taken)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            slot_errors.append(error)


def arguments_taken(function: Callable[..., Any]) -> int | None:
    """Number of arguments passed on, None for all: PythonQt looks at functions and bound methods only."""
    plain = function.__func__ if isinstance(function, types.MethodType) else function
    if not isinstance(plain, types.FunctionType) or plain.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return plain.__code__.co_argcount - int(isinstance(function, types.MethodType))


def standin_signal(sender: Any, signal: str) -> str:
    """The signature in the stand-in's meta-object; raises when the class has no such signal in Slicer."""
    normalized = QMetaObject.normalizedSignature(signal).data().decode()
    known = signal_signatures(sender._pyside)
    if normalized not in known:
        raise AttributeError(
            f"signal '{signal}' does not exist on {sender.className()}; it has {', '.join(sorted(known))}"
        )
    return known[normalized]


class SignalFunction:
    """``object.signal``: connect, disconnect, and a call emits it."""

    def __init__(self, owner: Any, name: str, signature: str) -> None:
        self.owner = owner
        self.name = name
        self.signature = signature

    def connect(self, receiver: Any, slot: str | None = None) -> bool:
        return connect(self.owner, self.signature, receiver, slot)

    def disconnect(self, receiver: Any = None) -> bool:
        return disconnect(self.owner, self.signature, receiver)

    def emit(self, *arguments: Any) -> None:
        from StandIn.pythonqt import unwrap

        bound = getattr(self.owner._qt, self.name)
        kinds = signal_types(self.signature)
        if self.owner._pyside.__module__.startswith("PySide6"):
            bound.emit(*map(unwrap, arguments))
        else:
            bound[kinds].emit(*map(unwrap, arguments))

    __call__ = emit


_connections: dict[int, list[tuple[str, Any, Any]]] = {}
"""Signature, function and Qt's connection, by the address of the sender."""


def connections_of(made: QObject) -> list[tuple[str, Any, Any]]:
    address = shiboken6.getCppPointer(made)[0]
    if address not in _connections:
        _connections[address] = []
        made.destroyed.connect(lambda: _connections.pop(address, None))
    return _connections[address]


def connect(sender: Any, signal: str, receiver: Any, slot: str | None = None) -> bool:
    """``object.connect("signal(type)", function)``, or a receiver and the name of its slot."""
    function = receiver if slot is None else getattr(receiver, slot.partition("(")[0])
    if not callable(function):
        raise TypeError(f"{function!r} can not be called")
    signature = standin_signal(sender, signal)
    made = QObject.connect(sender._qt, SIGNAL(signature), Deliver(function))
    if not made:
        raise RuntimeError(f"could not connect {sender.className()} {signature}")
    connections_of(sender._qt).append((signature, function, made))
    return True


def disconnect(sender: Any, signal: str, receiver: Any = None, slot: str | None = None) -> bool:
    """Take back the connections of a signal to one function, or to all; False when there is none."""
    function = receiver if slot is None else getattr(receiver, slot.partition("(")[0])
    signature = standin_signal(sender, signal)
    kept, gone = [], []
    for entry in connections_of(sender._qt):
        same = entry[0] == signature and (function is None or entry[1] == function)
        (gone if same else kept).append(entry)
    _connections[shiboken6.getCppPointer(sender._qt)[0]] = kept
    for _, _, made in gone:
        QObject.disconnect(made)
    return bool(gone)
