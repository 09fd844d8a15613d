"""Puts the stand-in in place of Slicer, and takes it out again."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import slicer
import slicer.util
import vtk
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from StandIn import dialogs, modules, parameter_values, parameter_wrapper, scripted, signals
from StandIn.application import running_application, temporary_folder
from StandIn.messages import Messages
from StandIn.pythonqt import _by_name, still_running, wrap, wrapper_class
from StandIn.qt_module import CtkModule, QtModule
from StandIn.sample_data import sample_data_module

LOGICS = {
    # Takes display and storage nodes along when the only node that refers to them is removed.
    "Data": "vtkSlicerDataModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Models": "vtkSlicerModelsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
}
WRAPPER_NAMES = ("parameterNodeWrapper", "parameterPack", "isParameterNodeWrapper", "FloatRange")
VALUE_NAMES = (
    *("Default", "Validator", "NotNone", "IsInstance", "WithinRange"),
    *("Minimum", "Maximum", "Choice", "Exclude", "RangeBounds"),
)


def python_module(name: str, contents: dict[str, Any]) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    return module


def translate(_context: str, text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"translate takes text, not {text!r}")
    return text


def tr(text: str) -> str:
    return translate("", text)


def use_cache(scene: Any, folder: str) -> None:
    """Give a scene the folder that it unpacks scene files in; it has to exist."""
    cache, files = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(folder)
    files.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(files)


def bootstrap(scene: Any, folder: str) -> tuple[Any, dict[str, Any]]:
    """Application logic and the logics of the modules that slicer-core brings."""
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    # That of the module Colors, as in the application; it looks for files of colours, and finds none.
    (Path(folder) / "share" / "ColorFiles").mkdir(parents=True)
    application.SetHomeDirectory(folder)
    application.SetShareDirectory("share")
    colors = slicer.vtkSlicerColorLogic()
    application.SetColorLogic(colors)
    colors.SetMRMLApplicationLogic(application)
    colors.SetMRMLScene(scene)
    logics = {}
    for name, class_name in LOGICS.items():
        logic = application.GetColorLogic() if name == "Colors" else getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        logics[name] = logic
    return application, logics


class StandIn:
    """Slicer for the time of one test: ``slicer.app``, a scene, the loadable modules, ``qt`` and ``ctk``."""

    def __init__(self) -> None:
        self._before = set(vars(slicer))
        self._modules_before = set(sys.modules)
        self._opened: list[Any] = []
        self.folder = temporary_folder()
        self.scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = self.scene
        use_cache(self.scene, self.folder)
        self._application_logic, self.logics = bootstrap(self.scene, self.folder)
        self.app = running_application()
        self.app._qt.start(self.scene, self._application_logic, self.folder)
        slicer.app = self.app
        slicer.modules = types.SimpleNamespace()
        slicer.moduleNames = types.SimpleNamespace()
        slicer.selfTests = {}
        self._install_modules()
        self.messages = Messages()
        self.dialog_answers, self.opened_urls = dialogs.answers, dialogs.opened_urls
        self.dialog_answers.clear()
        self.opened_urls.clear()
        self.slot_errors = signals.slot_errors
        self.slot_errors.clear()
        self._removals = self.scene.AddObserver(self.scene.NodeAboutToBeRemovedEvent, self._about_to_be_removed)
        self._excepthook = sys.excepthook
        sys.excepthook = self._failed_observer
        for name, logic in self.logics.items():
            module = modules.qSlicerLoadableModule()
            module._values["name"] = name
            module._logic = logic
            self.app.moduleManager()._qt._modules[name] = module
            setattr(slicer.modules, name.lower(), wrap(module))

    def _install_modules(self) -> None:
        wrappers = {name: getattr(parameter_wrapper, name) for name in WRAPPER_NAMES}
        wrappers.update({name: getattr(parameter_values, name) for name in VALUE_NAMES})
        installed = {
            "i18n": python_module("slicer.i18n", {"translate": translate, "tr": tr}),
            "ScriptedLoadableModule": scripted,
            "parameterNodeWrapper": python_module("slicer.parameterNodeWrapper", wrappers),
        }
        sys.modules["qt"], sys.modules["ctk"] = QtModule("qt"), CtkModule("ctk")
        for name, cls in _by_name.items():
            if name.startswith(("qMRML", "qSlicer")):
                setattr(slicer, name, wrapper_class(cls))
        own = os.environ.get("SLICER_PYTHON")
        if own:
            # Slicer's own Python files, from a checkout's Base/Python/slicer: shows that ours do the same.
            slicer.__path__.append(own)
        for name, module in installed.items():
            sys.modules[f"slicer.{name}"] = module
            setattr(slicer, name, module)
            if own:
                del sys.modules[f"slicer.{name}"]
                setattr(slicer, name, importlib.import_module(f"slicer.{name}"))
        sys.modules["SampleData"] = sample_data_module(own)

    def _failed_observer(self, kind: Any, error: BaseException, trace: Any) -> None:
        """VTK and PySide6 report here what an observer or an overridden method raised."""
        self.slot_errors.append(error)
        self._excepthook(kind, error, trace)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _about_to_be_removed(self, _scene: Any, _event: str, node: Any) -> None:
        """The subject hierarchy asks every node for its scene (qSlicerSubjectHierarchyPluginLogic), and logs errors."""
        if node.GetScene() is None:
            self.slot_errors.append(RuntimeError(f"{node.GetID()} is removed a second time: Invalid scene given"))

    def open_module(self, folder: str | Path, name: str) -> Any:
        """Load ``folder/name.py`` and show its panel, entered."""
        opened = modules.OpenModule(Path(folder), name)
        self._opened.append(opened)
        return opened

    def open_slice_views(self) -> Any:
        """Give the application a layout manager with red, yellow, green and 3D views (nodes and logics only)."""
        self.app._qt.open_views()
        return self.app.layoutManager()

    def open_main_window(self) -> Any:
        """Give the application a main window, so that ``slicer.util.selectModule`` works."""
        return wrap(self.app._qt.open_main_window())

    def startup_completed(self) -> None:
        self.app._qt.startupCompleted.emit()

    def process_events(self, milliseconds: int = 0) -> None:
        """Run the event loop for a while."""
        QApplication.processEvents()
        if milliseconds:
            loop = wrapper_class(type(self)._event_loop())()._qt
            QTimer.singleShot(milliseconds, loop.quit)
            loop.exec()

    @staticmethod
    def _event_loop() -> type:
        from PySide6.QtCore import QEventLoop

        return QEventLoop

    def wait_for(self, condition: Any, timeout_s: float = 10) -> None:
        """Run the event loop until the condition holds; raises TimeoutError."""
        for _ in range(int(timeout_s * 100)):
            if condition():
                return
            self.process_events(10)
        raise TimeoutError("the condition did not come true")

    def screenshot(self, widget: Any, path: str | Path, width: int = 480) -> Path:
        """Picture of a panel at the width it has in Slicer."""
        made = getattr(widget, "_qt", widget)
        made.setMinimumWidth(width)
        made.adjustSize()
        made.show()
        QApplication.processEvents()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not made.grab().save(str(path)):
            raise OSError(f"{path}: could not be written")
        return Path(path)

    def uninstall(self) -> list[str]:
        """Close everything and leave ``slicer`` as it was; returns what the modules left behind."""
        left = []
        for opened in self._opened:
            if opened.name in self.app.moduleManager().modulesNames():
                opened.close()
            left += opened.left
        gc.collect()
        left += still_running()
        self.messages.restore()
        sys.excepthook = self._excepthook
        self.scene.RemoveObserver(self._removals)
        self.app._qt.close_views()
        self.scene.Clear(1)
        self.app._qt.stop()
        for widget in QApplication.topLevelWidgets():
            widget.deleteLater()
        modules.deliver_deletions()
        self._opened.clear()
        for name in set(vars(slicer)) - self._before:
            delattr(slicer, name)
        for name in set(sys.modules) - self._modules_before:
            if name in ("qt", "ctk", "SampleData") or name.startswith("slicer."):
                del sys.modules[name]
        slicer.__path__ = [path for path in slicer.__path__ if path != os.environ.get("SLICER_PYTHON")]
        gc.collect()
        shutil.rmtree(self.folder, ignore_errors=True)
        return left
