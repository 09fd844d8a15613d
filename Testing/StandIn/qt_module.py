"""The modules ``qt`` and ``ctk``: one flat namespace each, filled when a name is asked for."""

from __future__ import annotations

import types
from typing import Any

import PySide6.QtCore
import PySide6.QtGui
import PySide6.QtNetwork
import PySide6.QtWidgets
import shiboken6

from StandIn import pythonqt, ui_loader, widgets_ctk, widgets_ctk_numbers, widgets_mrml  # noqa: F401 - they register
from StandIn.members import qt_members
from StandIn.pythonqt import wrapper_class

SOURCES = (PySide6.QtWidgets, PySide6.QtGui, PySide6.QtCore, PySide6.QtNetwork)
NOT_IN_SLICER = ("Signal", "Slot", "Property", "SIGNAL", "SLOT", "QEnum", "ClassInfo")


class QtNamespace:
    """``qt.Qt``: the enum values of the namespace, by their short names only."""

    def __init__(self) -> None:
        self._values = {name: member.value for name, member in qt_members(PySide6.QtCore.Qt).items()}

    def __getattr__(self, name: str) -> Any:
        if name not in self._values:
            raise AttributeError(f"Qt has no attribute named '{name}'")
        return self._values[name]


class QtModule(types.ModuleType):
    """``qt``."""

    def __getattr__(self, name: str) -> Any:
        if name == "Qt":
            value: Any = QtNamespace()
        elif name in ("QUiLoader",):
            value = wrapper_class(pythonqt._by_name[name])
        else:
            found = next((getattr(source, name) for source in SOURCES if hasattr(source, name)), None)
            is_class = isinstance(found, type) and issubclass(found, shiboken6.Shiboken.Object)
            if not is_class or name in NOT_IN_SLICER:
                raise AttributeError(f"module 'qt' has no attribute '{name}'")
            value = wrapper_class(found)
        setattr(self, name, value)
        return value


class CtkModule(types.ModuleType):
    """``ctk``."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("ctk") or name not in pythonqt._by_name:
            raise AttributeError(f"module 'ctk' has no attribute '{name}' (or the stand-in does not model it)")
        return wrapper_class(pythonqt._by_name[name])
