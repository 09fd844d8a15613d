"""The main window with its module selector, for panels that hand over to another module."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6.QtWidgets import QMainWindow, QToolBar

from StandIn.declare import declared


@declared(QToolBar)
class qSlicerModuleSelectorToolBar:
    """Enters the module that is selected and exits the one before."""

    def build(self: Any) -> None:
        self._current = ""

    def _get_selectedModule(self: Any) -> str:
        return str(self._current)

    def selectModule(self: Any, name: str) -> None:
        modules = slicer.app.moduleManager()._qt._modules
        if name not in modules:
            raise RuntimeError(f"there is no module {name}")
        for other in modules.values():
            panel = other._widget
            if panel is not None and panel.property("isEntered"):
                panel.exit()
                panel.hide()
        self._current = name
        panel = modules[name].widgetRepresentation()
        if panel is not None:
            panel.show()
            panel.enter()
        self.moduleSelected.emit(name)


@declared(QMainWindow)
class qSlicerMainWindow:
    def build(self: Any) -> None:
        self.setObjectName("qSlicerMainWindow")
        self._selector = qSlicerModuleSelectorToolBar(self)
        self.addToolBar(self._selector)
        self.statusBar()

    def moduleSelector(self: Any) -> Any:
        return self._selector
