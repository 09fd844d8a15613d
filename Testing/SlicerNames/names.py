"""What Python can see in one version of Slicer: the names read from its sources, with those of VTK and Qt."""

from __future__ import annotations

import enum
import functools
import json
from pathlib import Path
from typing import Any

import PySide6.QtCore
import PySide6.QtGui
import PySide6.QtNetwork
import PySide6.QtPrintSupport
import PySide6.QtSvg
import PySide6.QtUiTools
import PySide6.QtWidgets
import vtk

__all__ = ["SlicerNames", "qt_class", "qt_enumeration"]

_QT = (
    PySide6.QtCore,
    PySide6.QtGui,
    PySide6.QtWidgets,
    PySide6.QtNetwork,
    PySide6.QtPrintSupport,
    PySide6.QtSvg,
    PySide6.QtUiTools,
)
# What PythonQt gives to every object, beside the members of its class and ``name``, the object's name.
_PYTHONQT = {"connect", "disconnect", "delete", "className", "help", "inherits"}
_OWN_MODULES = "fiducialprealign registrationpreprocess multimodalregistration multimodalregistrationqa"
# Set by the application at run time, in no header: slicerqt.py and qSlicerCorePythonManager.cxx.
_AT_RUN_TIME = {"app", "mrmlScene", "modules", "moduleNames", "selfTests", "dicomDatabase"}


# VTK's widgets are no part of PySide6, and Designer calls a frame that is a line by a name of its own.
_STAND_FOR = {"QVTKOpenGLNativeWidget": "QWidget", "Line": "QFrame"}


@functools.cache
def qt_class(name: str) -> Any:
    """The class of that name in PySide6, or None."""
    name = _STAND_FOR.get(name, name)
    return next((getattr(module, name) for module in _QT if hasattr(module, name)), None)


@functools.cache
def _qt_members(name: str) -> dict[str, str]:
    """Kind of each member of a Qt class ("property", "method", "signal", "value").

    PythonQt looks for a property first: ``edit.text`` is the text, and ``edit.text()`` calls a string.
    """
    found = qt_class(name)
    members: dict[str, str] = {}
    for attribute in dir(found):
        if attribute.startswith("_"):
            continue
        value = getattr(found, attribute, None)
        if isinstance(value, enum.EnumMeta):
            # In PythonQt the values belong to the class: qt.Qt.AlignLeft.
            members |= dict.fromkeys(value.__members__, "value") | {attribute: "value"}
        else:
            # isinstance() with Signal returns True or False without counting the reference (PySide6 6.12).
            members[attribute] = "signal" if type(value) is PySide6.QtCore.Signal else "method"
    meta = getattr(found, "staticMetaObject", None)
    if meta is not None:
        for index in range(meta.propertyCount()):
            members[meta.property(index).name()] = "property"
    return members


def qt_enumeration(owner: str, name: str) -> bool:
    """Whether a member of a Qt class is an enumeration."""
    return isinstance(getattr(qt_class(owner), name, None), enum.EnumMeta)


@functools.cache
def _qt_signals(name: str) -> frozenset[str]:
    meta = getattr(qt_class(name), "staticMetaObject", None)
    methods = [meta.method(index) for index in range(meta.methodCount())] if meta is not None else []
    signal = PySide6.QtCore.QMetaMethod.MethodType.Signal
    return frozenset(bytes(each.methodSignature()).decode() for each in methods if each.methodType() == signal)


class SlicerNames:
    """Names of one version.

    Parameters
    ----------
    path : Path
        Data file that ``read_names.py`` wrote.
    """

    def __init__(self, path: Path) -> None:
        data = json.loads(path.read_text(encoding="utf-8"))
        self.version: str = data["version"]
        self.classes: dict[str, dict[str, str]] = data["classes"]
        self.python = {module: set(names.split()) for module, names in data["python"].items()}
        self.modules = set(data["modules"].split()) | set(_OWN_MODULES.split())
        self._members: dict[str, dict[str, str]] = {}

    def has_class(self, name: str) -> bool:
        """Whether a class is known, be it Slicer's, CTK's, VTK's or Qt's."""
        return name in self.classes or hasattr(vtk, name) or qt_class(name) is not None

    def members(self, name: str) -> dict[str, str]:
        """Kind by name of everything that a class has, inherited names included."""
        if name in self._members:
            return self._members[name]
        members: dict[str, str] = {}
        if name in self.classes:
            own = self.classes[name]
            for base in own.get("bases", "").split():
                members |= self.members(base)
            for kind, key in (("value", "values"), ("method", "methods")):
                members |= dict.fromkeys(own.get(key, "").split(), kind)
            members |= {text.split("(")[0]: "signal" for text in own.get("signals", "").split("; ") if text}
            members |= dict.fromkeys(own.get("properties", "").split(), "property")
        elif qt_class(name) is not None:
            members = dict(_qt_members(name))
        elif hasattr(vtk, name):
            members = dict.fromkeys((each for each in dir(getattr(vtk, name)) if not each.startswith("__")), "method")
        if self.is_qt(name):
            members |= dict.fromkeys(_PYTHONQT, "method") | {"name": "property"}
        self._members[name] = members
        return members

    def is_qt(self, name: str) -> bool:
        """Whether a class is PythonQt's rather than VTK's."""
        return not name.startswith("vtk")

    def signals(self, name: str) -> frozenset[str]:
        """Signatures of a class's signals, inherited ones included."""
        if name not in self.classes:
            return _qt_signals(name) if qt_class(name) is not None else frozenset()
        own = self.classes[name]
        found = frozenset(text for text in own.get("signals", "").split("; ") if text)
        return found.union(*(self.signals(base) for base in own.get("bases", "").split()))

    def ancestors(self, name: str) -> set[str]:
        """A class and everything it derives from, as far as Slicer's and CTK's sources say."""
        found = {name}
        for base in self.classes.get(name, {}).get("bases", "").split():
            found |= self.ancestors(base)
        return found

    @functools.cached_property
    def _derived(self) -> dict[str, list[str]]:
        derived: dict[str, list[str]] = {}
        for name in self.classes:
            for ancestor in self.ancestors(name):
                derived.setdefault(ancestor, []).append(name)
        return derived

    def derived(self, name: str) -> list[str]:
        """A class and everything that derives from it."""
        return self._derived.get(name, [name])

    def returned(self, name: str, method: str) -> str | None:
        """Class of the object that a method returns, where the header says one."""
        for each in self.ancestors(name):
            for entry in self.classes.get(each, {}).get("returns", "").split():
                if entry.startswith(f"{method}:"):
                    return entry.split(":")[1]
        return None

    def in_slicer(self, name: str) -> bool:
        """Whether ``slicer.<name>`` exists in the application."""
        return (
            name in _AT_RUN_TIME
            or f"slicer.{name}" in self.python
            or (name in self.classes and not name.startswith("ctk"))
        )

    def in_modules(self, name: str) -> bool:
        """Whether ``slicer.modules.<name>`` exists; scripted modules have an Instance and a Widget too."""
        return name in self.modules or name.lower().removesuffix("instance").removesuffix("widget") in self.modules

    def module_classes(self, name: str) -> list[str]:
        """Classes that the object ``slicer.modules.<name>`` may have."""
        own = [each for each in self.classes if each.lower() == f"qslicer{name}module"]
        return [*own, "qSlicerScriptedLoadableModule", "qSlicerCLIModule"]

    def logic_class(self, module: str) -> str | None:
        """Class of the logic of one of Slicer's own loadable modules."""
        wanted = {f"vtkslicer{module}{end}" for end in ("logic", "modulelogic")}
        return next((name for name in self.classes if name.lower() in wanted), None)

    @functools.cached_property
    def vtk_style(self) -> frozenset[str]:
        """Every member of every VTK and MRML class that begins with a capital letter."""
        names: set[str] = set()
        for own in self.classes.values():
            names.update(own.get("methods", "").split())
        for name in dir(vtk):
            if name.startswith("vtk"):
                names.update(dir(getattr(vtk, name)))
        return frozenset(name for name in names if name[:1].isupper())

    @functools.cached_property
    def all_signals(self) -> frozenset[str]:
        """Signatures of every signal of Slicer, CTK and Qt's widgets."""
        qt = {name for module in _QT for name in dir(module) if name.startswith("Q")}
        return frozenset().union(*(self.signals(name) for name in {*self.classes, *qt}))
