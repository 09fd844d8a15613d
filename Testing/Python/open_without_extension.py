"""Open a scene file where this extension is not installed, and save it again.

Run as a program, with the two files: slicer-core alone, which is Slicer's own code. Prints, as JSON, what it had to say
and the kinds of nodes.
"""

from __future__ import annotations

import json
import sys
import tempfile

import slicer
import vtk

# Importing the extension fails, wherever it is installed.
sys.modules["MultimodalRegistrationLib"] = None  # type: ignore[assignment]

# What Slicer's own modules register in every scene.
LOGICS = (
    *("vtkSlicerVolumesLogic", "vtkSlicerMarkupsLogic", "vtkSlicerTransformLogic", "vtkSlicerModelsLogic"),
    *("vtkSlicerSegmentationsModuleLogic", "vtkSlicerTablesLogic", "vtkSlicerPlotsLogic"),
)


class Complaints:
    """Every error and warning of VTK, as text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        window = vtk.vtkOutputWindow.GetInstance()
        for event in ("ErrorEvent", "WarningEvent"):
            window.AddObserver(event, self._note)

    def _note(self, _caller: object, _event: str, text: str = "") -> None:
        self.lines.append(text)

    _note.CallDataType = vtk.VTK_STRING  # type: ignore[attr-defined]


def new_scene(folder: str) -> tuple[object, list[object]]:
    """A scene as Slicer has it, and what has to live as long."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    logics = [application]
    for name in LOGICS:
        logic = getattr(slicer, name)()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        logics.append(logic)
    cache, files = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(folder)
    files.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(files)
    return scene, logics


def main(source: str, target: str) -> None:
    """Open the one file and write the other."""
    complaints, messages = Complaints(), slicer.vtkMRMLMessageCollection()
    with tempfile.TemporaryDirectory() as folder:
        scene, _logics = new_scene(folder)
        read = scene.ReadFromMRB(source, True, messages)
        nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
        written = scene.WriteToMRB(target, None, messages)
    said = [messages.GetNthMessageText(number) for number in range(messages.GetNumberOfMessages())]
    print(
        json.dumps(
            {
                "read": bool(read),
                "written": bool(written),
                "said": [*complaints.lines, *said],
                "kinds": sorted({node.GetClassName() for node in nodes}),
                "modules": sorted(
                    node.GetAttribute("ModuleName") for node in nodes if node.IsA("vtkMRMLScriptedModuleNode")
                ),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
