"""PythonQt's view of Qt objects, over PySide6: properties are attributes, signals are connected by their signature.

Read from ``PythonQtInstanceWrapper.cpp``, ``PythonQtClassInfo.cpp`` and ``PythonQtStdDecorators.cpp``. Where PythonQt
only prints a warning (an unknown signal) or converts (a number given for a text), this raises.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6.QtCore import QObject, QProcess, QTimer
from PySide6.QtWidgets import QDialog, QMenu

from StandIn import dialogs
from StandIn.members import EnumValue, members, qt_base, truth
from StandIn.signals import SignalFunction, connect, disconnect

PLAIN = (type(None), bool, int, float, str, bytes)
_wrappers: weakref.WeakValueDictionary[int, InstanceWrapper] = weakref.WeakValueDictionary()
_classes: dict[type, type] = {}
_by_name: dict[str, type] = {}


class ClassWrapper(type):
    """Class of the wrapped classes: enum values, static methods and unbound methods are found on demand."""

    def __getattr__(cls, name: str) -> Any:
        pyside = cls.__dict__.get("_pyside") or getattr(cls.__base__, "_pyside", None)
        member = members(pyside).get(name) if pyside is not None and not name.startswith("__") else None
        if member is None or member.kind not in ("enum", "method"):
            raise AttributeError(f"{cls.__name__} has no attribute named '{name}'")
        if member.kind == "enum":
            return member.value
        if name == "singleShot":
            return single_shot
        waiting = dialogs.replacement(pyside.__name__, name)
        if waiting is not None:
            return waiting
        return as_python_call(getattr(pyside, method_name(pyside, name)))


class InstanceWrapper(metaclass=ClassWrapper):
    """A wrapped object. Every wrapped class has this as its only base, so ``isinstance`` asks for the exact class."""

    _pyside: type
    _qt: Any

    def __init__(self, *arguments: Any) -> None:
        made = object_class(type(self), self._pyside)(*map(unwrap, arguments))
        object.__setattr__(self, "_qt", made)
        if is_derived(type(self)):
            # Python code has state in this wrapper: it lives as long as the object of Qt.
            made._wrapper = self
        elif isinstance(made, QObject):
            _wrappers[id(made)] = self

    def className(self) -> str:
        return type(self).__name__ if is_derived(type(self)) else self._pyside.__name__

    def inherits(self, name: str) -> bool:
        return any(base.__name__ == name for base in self._pyside.__mro__)

    def help(self) -> str:
        return " ".join(sorted(members(self._pyside)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_qt":
            raise AttributeError(name)
        made, member = self._qt, members(self._pyside).get(name)
        if name in DECORATORS and isinstance(made, QObject):
            return lambda *arguments: DECORATORS[name](self, *arguments)
        if member is not None:
            return self._value(name, member)
        if isinstance(made, QObject):
            if name in made.dynamicPropertyNames():
                return wrap(made.property(name))
            for child in made.children():
                if child.objectName() == name:
                    return wrap(child)
        raise AttributeError(f"{self.className()} has no attribute named '{name}'")

    def _value(self, name: str, member: Any) -> Any:
        made = self._qt
        if member.kind == "property":
            if not shiboken6.isValid(made):
                raise ValueError(f"Trying to read property '{name}' from a destroyed {self.className()} object")
            return wrap(made.property(member.value.get("of", name)))
        if member.kind == "enum":
            return member.value
        if member.kind == "signal":
            return SignalFunction(self, name, member.value)
        if name in ("exec", "exec_") and isinstance(made, (QDialog, QMenu)):
            return lambda *_: dialogs.run_modal(self)
        return as_python_call(modelled(made, method_name(type(made), name)))

    def __setattr__(self, name: str, value: Any) -> None:
        made, member = self._qt, members(self._pyside).get(name)
        if member is None or name.startswith("_"):
            if isinstance(made, QObject) and name in made.dynamicPropertyNames():
                made.setProperty(name, unwrap(value))
            elif is_derived(type(self)):
                object.__setattr__(self, name, value)
            else:
                raise AttributeError(
                    f"'{name}' does not exist on {self.className()} and creating new attributes on C++ objects "
                    "is not allowed"
                )
            return
        if member.kind != "property":
            raise AttributeError(f"{member.kind} '{name}' can not be overwritten on {self.className()} object")
        if not shiboken6.isValid(made):
            raise AttributeError(f"Trying to set property '{name}' on a destroyed {self.className()} object")
        if not member.value["write"]:
            raise AttributeError(f"Property '{name}' of {self.className()} object is not writable")
        check_type(name, member.value, value)
        made.setProperty(member.value.get("of", name), unwrap(value))

    def __bool__(self) -> bool:
        if not shiboken6.isValid(self._qt):
            return False
        asked = truth(self._pyside)
        return asked is None or bool(getattr(self._qt, asked[1])()) != asked[0]

    def __eq__(self, other: object) -> Any:
        return isinstance(other, InstanceWrapper) and self._qt == other._qt

    def __hash__(self) -> int:
        return hash(self._qt)

    def __repr__(self) -> str:
        return f"{self.className()} ({self._qt!r})"

    def __len__(self) -> int:
        return len(self._qt)

    def __add__(self, other: Any) -> Any:
        return wrap(self._qt + unwrap(other))

    def __sub__(self, other: Any) -> Any:
        return wrap(self._qt - unwrap(other))

    def __mul__(self, other: Any) -> Any:
        return wrap(self._qt * unwrap(other))

    def __lt__(self, other: Any) -> Any:
        return self._qt < unwrap(other)


def is_derived(cls: type) -> bool:
    """True for a class that Python code derived from a wrapped one."""
    return cls.__base__ is not InstanceWrapper


def method_name(cls: type, name: str) -> str:
    return "exec" if name == "exec_" and not hasattr(cls, "exec_") else name


def modelled(made: Any, name: str) -> Any:
    if not hasattr(made, name):
        raise NotImplementedError(f"{type(made).__name__}.{name} exists in Slicer but the stand-in does not model it")
    return getattr(made, name)


def as_python_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with wrapped arguments and result; PythonQt takes no keyword arguments."""
    return lambda *arguments: wrap(function(*map(unwrap, arguments)))


def check_type(name: str, declaration: dict[str, Any], value: Any) -> None:
    """Raise for a value that the property's type does not take, a node for a bool above all."""
    wanted: dict[str, tuple[type, ...]] = {
        "bool": (bool, int),
        "int": (int,),
        "double": (int, float),
        "QString": (str,),
        "QStringList": (list, tuple),
        "QColor": (InstanceWrapper,),
        "QIcon": (InstanceWrapper,),
    }
    kind = declaration["type"]
    if kind in wanted and not isinstance(value, wanted[kind]):
        raise AttributeError(
            f"Property '{name}' of type '{kind}' does not accept an object of type {type(value).__name__} ({value!r})"
        )


def object_class(wrapper: type, pyside: type) -> type:
    """Class to make the object of Qt from: one that calls the virtual methods a derived Python class overrides."""
    if not is_derived(wrapper):
        return pyside
    overridden = {
        name
        for base in wrapper.__mro__[: wrapper.__mro__.index(InstanceWrapper) - 1]
        for name in vars(base)
        if not name.startswith("_") and callable(getattr(pyside, name, None))
    }

    def forwarding(name: str) -> Callable[..., Any]:
        return lambda self, *arguments: unwrap(getattr(self._wrapper, name)(*map(wrap, arguments)))

    return type(pyside)(wrapper.__name__, (pyside,), {name: forwarding(name) for name in overridden})


def wrapper_class(pyside: type) -> type:
    """The wrapped class for a class of PySide6 or of the stand-in."""
    if pyside not in _classes:
        _classes[pyside] = ClassWrapper(pyside.__name__, (InstanceWrapper,), {"_pyside": pyside})
    return _classes[pyside]


def wrap(value: Any) -> Any:
    """A value from PySide6 as PythonQt hands it to Python: lists become tuples."""
    if isinstance(value, (*PLAIN, InstanceWrapper)):
        return value
    if isinstance(value, enum.Enum):
        return EnumValue.of(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(wrap, value))
    if not isinstance(value, shiboken6.Shiboken.Object):
        return value
    kept = getattr(value, "_wrapper", None) or (_wrappers.get(id(value)) if isinstance(value, QObject) else None)
    if kept is not None and kept._qt is value:
        return kept
    cls = type(value)
    made = object.__new__(wrapper_class(cls if cls in _classes or cls.__name__ in _by_name else qt_base(cls)))
    object.__setattr__(made, "_qt", value)
    if isinstance(value, QObject):
        _wrappers[id(value)] = made
    return made


def unwrap(value: Any) -> Any:
    """A value from Python as PySide6 takes it."""
    if isinstance(value, InstanceWrapper):
        return value._qt
    if isinstance(value, EnumValue):
        return getattr(value, "member", int(value))
    if isinstance(value, (list, tuple)):
        return [unwrap(item) for item in value]
    return value


def register(pyside: type) -> type:
    """Make a class of the stand-in known, so that its objects are wrapped as what they are."""
    _by_name[pyside.__name__] = pyside
    return wrapper_class(pyside)


def still_running() -> list[str]:
    """Timers and processes that Python holds and that have not ended."""
    found = []
    for wrapper in list(_wrappers.values()):
        made = wrapper._qt
        if not shiboken6.isValid(made):
            continue
        if isinstance(made, QTimer) and made.isActive():
            found.append(f"timer {made.interval()} ms")
        if isinstance(made, QProcess) and made.state() != QProcess.ProcessState.NotRunning:
            found.append(f"process {made.program()} {made.processId()}")
    return found


def single_shot(milliseconds: int, function: Callable[[], Any]) -> None:
    """``qt.QTimer.singleShot`` as Slicer replaces it: a timer that the application owns."""
    from StandIn.application import running_application

    timer = wrapper_class(QTimer)(running_application().moduleManager())
    timer.setSingleShot(True)
    timer.connect("timeout()", function)
    timer.connect("timeout()", timer.deleteLater)
    timer.start(milliseconds)


def find_children(owner: InstanceWrapper, kind: Any, name: str = "") -> list[Any]:
    def fits(child: QObject) -> bool:
        wanted = kind._pyside if isinstance(kind, type) else None
        same_kind = isinstance(child, wanted) if wanted else child.inherits(kind)
        return same_kind and (not name or child.objectName() == name)

    return [wrap(child) for child in owner._qt.findChildren(QObject) if fits(child)]


def find_child(owner: InstanceWrapper, kind: Any, name: str = "") -> Any:
    return next(iter(find_children(owner, kind, name)), None)


def set_property(owner: InstanceWrapper, name: str, value: Any) -> bool:
    return bool(owner._qt.setProperty(name, unwrap(value)))


DECORATORS: dict[str, Callable[..., Any]] = {
    "connect": connect,
    "disconnect": disconnect,
    "parent": lambda self: wrap(self._qt.parent()),
    "setParent": lambda self, parent: self._qt.setParent(unwrap(parent)),
    "children": lambda self: wrap(self._qt.children()),
    "findChild": find_child,
    "findChildren": lambda self, *arguments: tuple(find_children(self, *arguments)),
    "property": lambda self, name: wrap(self._qt.property(name)),
    "setProperty": set_property,
    "delete": lambda self: shiboken6.delete(self._qt),
}
