"""``slicer.app``: the application, its module manager, settings and, when asked for, slice views."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import numpy as np
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


@declared(QWidget)
class qMRMLThreeDView:
    """A 3D view: its node and its camera, which looks at the models that are visible, and no picture."""

    def build(self: Any) -> None:
        self._node: Any = None
        self._camera: Any = None

    def mrmlViewNode(self: Any) -> Any:
        return self._node

    def cameraNode(self: Any) -> Any:
        return self._camera

    def resetFocalPoint(self: Any) -> None:
        bounds = self._visible_bounds()
        self._camera.SetFocalPoint(*((bounds[::2] + bounds[1::2]) / 2))

    def resetCamera(
        self: Any, resetRotation: bool = True, resetTranslation: bool = True, resetDistance: bool = True
    ) -> None:
        """As vtkMRMLCameraNode::Reset, which Python cannot give the renderer here."""
        if resetRotation:
            raise NotImplementedError("resetCamera turns the camera")
        camera, bounds = self._camera.GetCamera(), self._visible_bounds()
        middle, size = (bounds[::2] + bounds[1::2]) / 2, bounds[1::2] - bounds[::2]
        normal = np.array(camera.GetViewPlaneNormal())
        if resetTranslation:
            distance = camera.GetDistance()
            self._camera.SetFocalPoint(*middle)
            self._camera.SetPosition(*(middle + distance * normal))
        if resetDistance:
            distance = np.linalg.norm(size) / 2 / np.sin(np.radians(camera.GetViewAngle()) / 2)
            self._camera.SetPosition(*(np.array(self._camera.GetFocalPoint()) + distance * normal))

    def _visible_bounds(self: Any) -> Any:
        """Of all models that this view shows, in the world."""
        scene, seen = self._node.GetScene(), []
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLModelNode")):
            model = scene.GetNthNodeByClass(number, "vtkMRMLModelNode")
            display = model.GetDisplayNode()
            if display is not None and display.GetVisibility(self._node.GetID()) and display.GetVisibility3D():
                bounds = np.empty(6)
                model.GetRASBounds(bounds)
                seen.append(bounds)
        if not seen:
            return np.array([-5.0, 5.0, -5.0, 5.0, -5.0, 5.0])
        low, high = np.min(seen, axis=0)[::2], np.max(seen, axis=0)[1::2]
        return np.column_stack([low, high]).ravel()


@declared(QWidget)
class qMRMLThreeDWidget:
    """A 3D view with its bar."""

    def build(self: Any) -> None:
        self._view = qMRMLThreeDView()

    def threeDView(self: Any) -> Any:
        return self._view

    def mrmlViewNode(self: Any) -> Any:
        return self._view.mrmlViewNode()

    mrmlAbstractViewNode = mrmlViewNode


@declared(QObject)
class qMRMLLayoutManager:
    """Makes a slice view for every slice node, and has Slicer's own logic make the nodes that a layout lacks."""

    def build(self: Any) -> None:
        self._views: dict[str, Any] = {}
        self._view_3d: Any = None
        self._logics = vtk.vtkCollection()
        self._layout_logic = slicer.vtkMRMLLayoutLogic()

    def open_views(self: Any, scene: Any) -> None:
        for name, orientation in SLICE_VIEWS:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
            logic.SetMRMLScene(scene)
            node = logic.AddSliceNode(name)
            node.SetDefaultOrientation(orientation)
            node.SetOrientation(orientation)
            self._add_view(logic)
        slicer.app.applicationLogic().SetSliceLogics(self._logics)
        self._layout_logic.SetMRMLScene(scene)
        layout_node = self._layout_logic.GetLayoutNode()
        self._shown_layout = self.property("layout")
        self._view_3d = qMRMLThreeDWidget()
        self._view_3d._view._node = self._singleton(scene, "vtkMRMLViewNode", "1")
        self._view_3d._view._camera = self._singleton(scene, "vtkMRMLCameraNode", "1")
        views = LayoutViews(scene, self._layout_logic, self._views, self._view_3d, self._add_view)

        def update(*_: Any) -> None:
            views.update()
            layout = self.property("layout")
            if layout != self._shown_layout:
                self._shown_layout = layout
                self.layoutChanged[int].emit(layout)

        self._observers.add(layout_node, "ModifiedEvent", update)
        self._observers.add(scene, scene.EndCloseEvent, update)
        update()

    @staticmethod
    def _singleton(scene: Any, kind: str, layout_name: str) -> Any:
        node = scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetLayoutName(layout_name)
        return scene.AddNode(node)

    def close_views(self: Any) -> None:
        self._observers.clear()
        self._layout_logic.SetMRMLScene(None)

    def _add_view(self: Any, logic: Any) -> None:
        logic.GetSliceNode().SetDimensions(400, 300, 1)
        view = qMRMLSliceWidget()
        view._logic = logic
        self._views[logic.GetSliceNode().GetName()] = view
        self._logics.AddItem(logic)

    def layoutLogic(self: Any) -> Any:
        return self._layout_logic

    def _get_layout(self: Any) -> int:
        return int(self._layout_logic.GetLayoutNode().GetViewArrangement())

    def _set_layout(self: Any, layout: int) -> None:
        self._layout_logic.GetLayoutNode().SetViewArrangement(layout)

    def setLayout(self: Any, layout: int) -> None:
        """Enums of VTK are numbers, which PySide does not take for any."""
        self.setProperty("layout", int(layout))

    def _get_threeDViewCount(self: Any) -> int:
        return 1

    def threeDWidget(self: Any, view: Any) -> Any:
        return self._view_3d if view in (0, "1") else None

    def sliceViewNames(self: Any) -> list[str]:
        return list(self._views)

    def sliceWidget(self: Any, name: str) -> Any:
        return self._views.get(name)

    def mrmlSliceLogics(self: Any) -> Any:
        return self._logics

    def resetSliceViews(self: Any) -> None:
        for view in self._views.values():
            view.fitSliceToBackground()


class LayoutViews:
    """The views of a layout manager; they stay when their layout is left, and are then not mapped in it."""

    def __init__(self, scene: Any, logic: Any, views: dict[str, Any], view_3d: Any, add_view: Any) -> None:
        self._scene, self._logic, self._views, self._add_view = scene, logic, views, add_view
        self._view_3d = view_3d

    def update(self) -> None:
        """Make the views that are missing, and map those of the layout; not while a scene is closed or loaded."""
        if self._scene.IsBatchProcessing():
            return
        for number in range(self._scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
            node = self._scene.GetNthNodeByClass(number, "vtkMRMLSliceNode")
            if node.GetName() not in self._views:
                logic = slicer.vtkMRMLSliceLogic()
                logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
                logic.SetSliceNode(node)
                logic.SetMRMLScene(self._scene)
                self._add_view(logic)
        of_layout = self._logic.GetViewNodes()
        for node in (*(view.mrmlSliceNode() for view in self._views.values()), self._view_3d.mrmlViewNode()):
            node.SetMappedInLayout(bool(of_layout.IsItemPresent(node)))


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

    def close_views(self: Any) -> None:
        """Before the scene loses the nodes of the views."""
        if self._layout is not None:
            self._layout.close_views()


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
