"""``slicer.app.coreIOManager()``: the files that ``slicer.util.load...`` and ``saveNode`` go through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
import vtk
from PySide6.QtCore import QObject

from StandIn.declare import declared

FILE_TYPES = {
    ".nrrd": "VolumeFile",
    ".nii": "VolumeFile",
    ".nii.gz": "VolumeFile",
    ".mha": "VolumeFile",
    ".h5": "TransformFile",
    ".tfm": "TransformFile",
    ".mrk.json": "MarkupsFile",
    ".fcsv": "MarkupsFile",
    ".seg.nrrd": "SegmentationFile",
    ".vtk": "ModelFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".ply": "ModelFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
}
NODES = {
    "ModelFile": "vtkMRMLModelNode",
    "SegmentationFile": "vtkMRMLSegmentationNode",
    "TableFile": "vtkMRMLTableNode",
}


@declared(QObject)
class qSlicerCoreIOManager:
    def fileType(self: Any, name: str) -> str:
        fitting = [ending for ending in FILE_TYPES if name.lower().endswith(ending)]
        return FILE_TYPES[max(fitting, key=len)] if fitting else "NoFile"

    def fileWriterFileType(self: Any, node: Any, _format: str = "") -> str:
        return next((kind for kind, cls in NODES.items() if node.IsA(cls)), "NodeFile")

    def loadNodes(self: Any, kind: str, properties: dict[str, Any], nodes: Any = None, messages: Any = None) -> bool:
        path = properties["fileName"]
        if kind == "SceneFile":
            return _read_scene(path, properties.get("clear", False), messages)
        node = self._load(kind, path, properties) if Path(path).exists() else None
        if node is None and messages is not None:
            messages.AddMessage(vtk.vtkCommand.ErrorEvent, f"{path} was not read")
        if node is None:
            return False
        if properties.get("name"):
            node.SetName(properties["name"])
        if nodes is not None:
            nodes.AddItem(node)
        return True

    def _load(self: Any, kind: str, path: str, properties: dict[str, Any]) -> Any:
        name = properties.get("name") or Path(path).name.split(".")[0]
        logic, scene = slicer.app.applicationLogic(), slicer.mrmlScene
        if kind == "VolumeFile":
            label = 1 if properties.get("labelmap") else 0
            node = logic.GetModuleLogic("Volumes").AddArchetypeVolume(path, name, label)
            if node is not None and properties.get("show", True):
                show_volume(node)
            return node
        if kind == "TransformFile":
            return logic.GetModuleLogic("Transforms").AddTransform(path, scene)
        if kind == "MarkupsFile":
            return scene.GetNodeByID(logic.GetModuleLogic("Markups").LoadMarkups(path, name) or "")
        if kind not in NODES:
            raise NotImplementedError(f"the stand-in does not read {kind}")
        node = scene.AddNewNodeByClass(NODES[kind], name)
        storage = node.CreateDefaultStorageNode()
        storage.SetFileName(path)
        if storage.ReadData(node):
            return node
        scene.RemoveNode(node)
        return None

    def saveNodes(self: Any, kind: str, properties: dict[str, Any], _messages: Any = None) -> bool:
        path = properties["fileName"]
        if kind == "SceneFile":
            if path.endswith(".mrb"):
                return bool(slicer.mrmlScene.WriteToMRB(path))
            slicer.mrmlScene.SetURL(path)
            return bool(slicer.mrmlScene.Commit())
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        storage = node.CreateDefaultStorageNode()
        storage.SetScene(slicer.mrmlScene)
        storage.SetFileName(path)
        return bool(storage.WriteData(node))

    def loadScene(self: Any, path: str, clear: bool = True) -> bool:
        return bool(self.loadNodes("SceneFile", {"fileName": path, "clear": clear}))


def show_volume(node: Any) -> None:
    """Show a volume that was loaded, as qSlicerVolumesReader does: all views turn to its planes and fit it."""
    logic = slicer.app.applicationLogic()
    selection = logic.GetSelectionNode()
    if selection is None or logic.GetSliceLogics() is None:
        return
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        selection.SetActiveLabelVolumeID(node.GetID())
    else:
        selection.SetActiveVolumeID(node.GetID())
    logic.PropagateVolumeSelection()


def _read_scene(path: str, clear: bool, messages: Any) -> bool:
    """As qSlicerSceneReader and qSlicerSceneBundleReader do."""
    scene = slicer.mrmlScene
    if path.endswith(".mrb"):
        return bool(scene.ReadFromMRB(path, clear, messages))
    scene.SetURL(path)
    return bool(scene.Connect(messages) if clear else scene.Import(messages))
