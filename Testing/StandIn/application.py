"""``slicer.app``: the application, its module manager, settings and, when asked for, slice views."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import slicer
import vtk
from PySide6.QtCore import QObject, QProcessEnvironment, QSettings
from PySide6.QtWidgets import QApplication, QWidget

from StandIn.declare import declared
from StandIn.error_log import ErrorLog
from StandIn.io_manager import qSlicerCoreIOManager
from StandIn.main_window import qSlicerMainWindow

SLICE_VIEWS = (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal"))


@declared(QObject)
class qSlicerModuleManager:
    """The modules that are loaded, by name."""

    def build(self: Any) -> None:
        self._modules: dict[str, Any] = {}

    def module(self: Any, name: str) -> Any:
        return self._modules.get(name)

    def modulesNames(self: Any) -> list[str]:
        return list(self._modules)


@declared(QWidget)
class qMRMLSliceWidget:
    """A slice view: its nodes and its logic, and no picture."""

    def build(self: Any) -> None:
        self._logic: Any = None

    def sliceLogic(self: Any) -> Any:
        return self._logic

    def mrmlSliceNode(self: Any) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self: Any) -> Any:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self: Any) -> None:
        self._logic.FitSliceToBackground()


@declared(QObject)
class qMRMLLayoutManager:
    def build(self: Any) -> None:
        self._views: dict[str, Any] = {}
        self._logics = vtk.vtkCollection()

    def open_views(self: Any, scene: Any) -> None:
        application = slicer.app.applicationLogic()
        for name, orientation in SLICE_VIEWS:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(application)
            logic.SetMRMLScene(scene)
            node = logic.AddSliceNode(name)
            node.SetDefaultOrientation(orientation)
            node.SetOrientation(orientation)
            node.SetDimensions(400, 300, 1)
            node.SetMappedInLayout(1)
            view = qMRMLSliceWidget()
            view._logic = logic
            self._views[name] = view
            self._logics.AddItem(logic)
        application.SetSliceLogics(self._logics)

    def sliceViewNames(self: Any) -> list[str]:
        return list(self._views)

    def sliceWidget(self: Any, name: str) -> Any:
        return self._views.get(name)

    def mrmlSliceLogics(self: Any) -> Any:
        return self._logics

    def resetSliceViews(self: Any) -> None:
        for view in self._views.values():
            view.fitSliceToBackground()


@declared(qMRMLLayoutManager)
class qSlicerLayoutManager: ...


@declared(QApplication)
class qSlicerCoreApplication:
    """Paths, settings and the scene; there is one for the whole process, started anew for each test."""

    DEFAULTS = {
        "majorVersion": 5,
        "minorVersion": 10,
        "mainApplicationName": "Slicer",
        "mainApplicationMajorVersion": 5,
        "mainApplicationMinorVersion": 10,
        "documentationBaseUrl": "https://slicer.readthedocs.io/en/latest/",
        "isInstalled": True,
    }

    def start(self: Any, scene: Any, logic: Any, folder: str) -> None:
        self._values = dict.fromkeys(("slicerHome", "temporaryPath", "cachePath", "extensionsInstallPath"), folder)
        self._scene, self._logic, self._folder = scene, logic, folder
        self._error_log = ErrorLog(folder)
        self._manager = qSlicerModuleManager()
        self._layout: Any = None
        self._io = qSlicerCoreIOManager()
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        self._window: Any = None
        self._settings = QSettings(os.path.join(folder, "Slicer.ini"), QSettings.Format.IniFormat)

    def stop(self: Any) -> None:
        self._error_log.stop()
        self._manager.deleteLater()
        self._scene = self._logic = self._manager = self._layout = self._io = self._window = None

    def mrmlScene(self: Any) -> Any:
        return self._scene

    def applicationLogic(self: Any) -> Any:
        return self._logic

    def moduleLogic(self: Any, name: str) -> Any:
        return self._logic.GetModuleLogic(name)

    def moduleManager(self: Any) -> Any:
        return self._manager

    def coreIOManager(self: Any) -> Any:
        return self._io

    def settings(self: Any) -> QSettings:
        return self._settings

    userSettings = revisionUserSettings = settings

    def testingEnabled(self: Any) -> bool:
        return False

    def environment(self: Any) -> QProcessEnvironment:
        return QProcessEnvironment.systemEnvironment()

    startupEnvironment = environment

    def moduleDocumentationUrl(self: Any, name: str) -> str:
        return f"{self.property('documentationBaseUrl')}user_guide/modules/{name.lower()}.html"

    def setRenderPaused(self: Any, paused: bool) -> None: ...

    def pauseRender(self: Any) -> None: ...

    def resumeRender(self: Any) -> None: ...


@declared(qSlicerCoreApplication)
class qSlicerApplication:
    """No layout manager and no main window, as with ``--no-main-window``, unless slice views are opened."""

    def layoutManager(self: Any) -> Any:
        return self._layout

    ioManager = qSlicerCoreApplication.coreIOManager

    def currentLogFile(self: Any) -> str:
        return str(self._error_log.path)

    def open_main_window(self: Any) -> Any:
        self._window = qSlicerMainWindow()
        return self._window

    def open_views(self: Any) -> None:
        self._layout = qSlicerLayoutManager()
        self._layout.open_views(self._scene)


def running_application() -> Any:
    """``slicer.app``, wrapped; it is made when first asked for, since Qt takes one application per process."""
    from StandIn.pythonqt import wrap

    existing = QApplication.instance()
    if existing is None:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        existing = qSlicerApplication([sys.argv[0]])
        existing.setApplicationName("Slicer")
        running_application.kept = existing  # type: ignore[attr-defined]
    return wrap(existing)


def temporary_folder() -> str:
    return tempfile.mkdtemp(prefix="stand-in-")
