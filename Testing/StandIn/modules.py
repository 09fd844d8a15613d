"""Scripted modules: registered, instantiated, opened, reloaded and unloaded as Slicer does it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QVBoxLayout

from StandIn.declare import declared
from StandIn.pythonqt import wrap
from StandIn.widgets_mrml import qSlicerWidget


@declared(QObject)
class qSlicerAbstractCoreModule:
    DEFAULTS = {"widgetRepresentationCreationEnabled": True, "isInstalled": True}

    def build(self: Any) -> None:
        self._logic: Any = None
        self._widget: Any = None

    def logic(self: Any) -> Any:
        return self._logic

    def mrmlScene(self: Any) -> Any:
        return slicer.mrmlScene


@declared(qSlicerAbstractCoreModule)
class qSlicerAbstractModule:
    def widgetRepresentation(self: Any) -> Any:
        return self._widget


@declared(qSlicerAbstractModule)
class qSlicerLoadableModule: ...


@declared(qSlicerWidget)
class qSlicerAbstractModuleWidget:
    def enter(self: Any) -> None:
        self._values["isEntered"] = True

    def exit(self: Any) -> None:
        self._values["isEntered"] = False

    def module(self: Any) -> Any:
        return self._module


@declared(qSlicerAbstractModuleWidget)
class qSlicerScriptedLoadableModuleWidget:
    """Parent of the Python panel; calls its setup, enter and exit."""

    def build(self: Any) -> None:
        self.setLayout(QVBoxLayout())
        self._python: Any = None

    def instantiate(self: Any) -> None:
        name = self._module.property("name")
        panel_class = getattr(sys.modules[name], f"{name}Widget")
        self._python = panel_class(wrap(self))
        setattr(slicer.modules, f"{name}Widget", self._python)
        self._python.setup()

    def self(self: Any) -> Any:
        return self._python

    def reload(self: Any) -> None:
        self.instantiate()

    def enter(self: Any) -> None:
        assert not self.property("isEntered"), "enter() of a panel that is entered"
        self._values["isEntered"] = True
        getattr(self._python, "enter", lambda: None)()

    def exit(self: Any) -> None:
        assert self.property("isEntered"), "exit() of a panel that is not entered"
        self._values["isEntered"] = False
        getattr(self._python, "exit", lambda: None)()


@declared(qSlicerLoadableModule)
class qSlicerScriptedLoadableModule:
    """What ``parent`` is in a module's ``__init__``. Its logic is not the Python logic, in Slicer either."""

    def widgetRepresentation(self: Any) -> Any:
        if self._widget is None:
            widget = qSlicerScriptedLoadableModuleWidget()
            widget._module = self
            widget._values["moduleName"] = self.property("name")
            self._widget = widget
            widget.instantiate()
            widget.setMRMLScene(slicer.mrmlScene)
        return self._widget


def load_source(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_module(folder: Path, name: str) -> Any:
    """Register and load ``folder/name.py``; returns the module as ``slicer.modules`` has it."""
    path = (folder / f"{name}.py").resolve()
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    python = load_source(name, path)
    module = qSlicerScriptedLoadableModule()
    module._values.update(name=name, path=str(path))
    module._logic = slicer.vtkSlicerScriptedLoadableModuleLogic()
    module._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
    module._logic.SetMRMLScene(slicer.mrmlScene)
    setattr(slicer.modules, f"{name}Instance", getattr(python, name)(wrap(module)))
    instance = getattr(slicer.modules, f"{name}Instance")
    if not hasattr(python, f"{name}Widget"):
        module._values["widgetRepresentationCreationEnabled"] = False
    getattr(instance, "setup", lambda: None)()
    manager = slicer.app.moduleManager()._qt
    manager._modules[name] = module
    setattr(slicer.moduleNames, name, name)
    setattr(slicer.modules, name.lower(), wrap(module))
    manager.moduleLoaded.emit(name)
    return wrap(module)


def unload_module(name: str) -> None:
    """Leave, clean up and forget a module, as when the application quits."""
    manager = slicer.app.moduleManager()._qt
    module = manager._modules.pop(name)
    if module._widget is not None and module._widget.property("isEntered"):
        module._widget.exit()
    manager.moduleAboutToBeUnloaded.emit(name)
    if module._widget is not None:
        module._widget._python = None
        module._widget.deleteLater()
    module.deleteLater()
    for attribute in (f"{name}Instance", f"{name}Widget", name.lower()):
        if hasattr(slicer.modules, attribute):
            delattr(slicer.modules, attribute)
    delattr(slicer.moduleNames, name)
    slicer.selfTests.pop(name, None)
    folder = str(Path(sys.modules.pop(name).__file__ or "").parent)
    if folder in sys.path:
        sys.path.remove(folder)
    deliver_deletions()


def deliver_deletions() -> None:
    """Carry out ``deleteLater``, which outside an event loop waits for ever."""
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()


class OpenModule:
    """A module whose panel is shown and entered."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.left: list[str] = []
        self.module = load_module(Path(folder), name)
        self.parent = self.module.widgetRepresentation()
        self.enter()

    @property
    def widget(self) -> Any:
        """The Python panel; another one after a reload."""
        return self.parent.self()

    @property
    def ui(self) -> Any:
        return self.widget.ui

    @property
    def logic(self) -> Any:
        return self.widget.logic

    def enter(self) -> None:
        self.parent.show()
        self.parent.enter()

    def exit(self) -> None:
        self.parent.exit()
        self.parent.hide()

    def reload(self) -> None:
        slicer.util.reloadScriptedModule(self.name)

    def close(self) -> None:
        widget = self.widget
        unload_module(self.name)
        for observed, *_ in getattr(widget, "Observations", ()):
            self.left.append(f"{self.name} still observes {observed.GetClassName()}")
