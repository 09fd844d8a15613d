"""What the tests of panels share: a process that does what the test says, small volumes, and a look at a scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import slicer
import vtk
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.core.request import fields_of
from vtk.util.numpy_support import numpy_to_vtk

MOVING_TO_FIXED_RAS = np.array([[0, -1, 0, 4], [1, 0, 0, -7], [0, 0, 1, 12], [0, 0, 0, 1]], dtype=float)


def fields_of_job(command):
    """Fields of the request and the outputs of a job."""
    from MultimodalRegistrationLib.cli.jobs import requests_of

    return [one for request in requests_of(command) for one in fields_of(request)]


class FakeProcess:
    """Runs nothing: the test says when it tells something and how it ends."""

    made: list[FakeProcess] = []  # noqa: RUF012

    def __init__(self, arguments):
        self.arguments = arguments
        self.calls = []
        FakeProcess.made.append(self)

    def start(self, on_output, on_end, on_failed):
        self.output, self.end, self.fail = on_output, on_end, on_failed
        self.tell(event="started", pid=2**30)

    def close_input(self):
        self.calls.append("close_input")

    def kill(self):
        self.calls.append("kill")
        self.end(9)

    def wait(self, milliseconds):
        self.calls.append("wait")
        self.end(4)
        return True

    def tell(self, **event):
        self.output(json.dumps(event).encode() + b"\n")

    def tell_error(self, error):
        """As the command does, before it ends with the code of the error."""
        self.tell(event="error", **error.content())
        self.end(error.exit_code)

    @property
    def job(self):
        """The job that it was given, as JSON."""
        return json.loads(Path(self.arguments[self.arguments.index("run") + 1]).read_text(encoding="utf-8"))

    def asked(self, option):
        """The value of an option, of the job or of a command of its own."""
        if "run" in self.arguments:
            job = self.job
            name = {one.flag: one.name for one in fields_of_job(job["job"])}[option.removeprefix("--")]
            return job["request"][name] if name in job["request"] else job["outputs"][name]
        option = f"--{option.removeprefix('--')}"
        joined = [argument for argument in self.arguments if argument.startswith(f"{option}=")]
        return joined[0].split("=", 1)[1] if joined else self.arguments[self.arguments.index(option) + 1]

    def file(self, option):
        return Path(self.asked(option))

    def finish(self, **changes):
        """End with a result, which the command of a panel writes whatever the verdict, and with its exit code."""
        content = {
            "inputs": dict.fromkeys(("fixed", "moving", "fixed_mask", "moving_mask")),
            "transform": {"type": "linear", "moving_to_fixed_ras": MOVING_TO_FIXED_RAS.tolist()},
            "verdict": {
                "word": "uncertain",
                "against": ["The optimum is blunt."],
                "facts": [],
                "estimated_error_mm": 2,
            },
            "warnings": [f"{self.file('--fixed')} has a clipped range."],
            "moved_from_start": {"mean_mm": 3.0, "rotation_deg": 4.0},
            "engine": "simpleitk",
            "preset": "rigid",
            **changes,
        }
        self.file("--json").write_text(json.dumps(content))
        self.end(6 if (content["verdict"] or {}).get("word") == "failed" else 0)


def grid(size, spacing_mm, center_lps):
    matrix = np.diag([*spacing_mm, 1.0])
    matrix[:3, 3] = np.asarray(center_lps) - matrix[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return VolumeGrid.of_matrix(tuple(size), matrix)


def add_scan(name, modality="T1", size=(36, 40, 44), spacing_mm=(6.0, 6.0, 6.0), seed=1):
    """A coarse scan of the phantom."""
    pose = np.eye(4)
    pose[:3, 3] = [seed, -2 * seed, 3]
    volume = make_head(modality, grid(size, spacing_mm, pose[:3, 3]), pose, seed=seed)
    return add_voxels(name, volume.voxels, volume.grid)


def add_voxels(name, voxels, voxel_grid, kind="vtkMRMLScalarVolumeNode"):
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    image = vtk.vtkImageData()
    image.SetDimensions(*voxel_grid.size)
    image.GetPointData().SetScalars(numpy_to_vtk(np.array(voxels).ravel(), deep=True))
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(flip_ijk_to_space(voxel_grid.ijk_to_lps).ravel())
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(image)
    return node


def assert_lively(*meters, limit_ms=100):
    """The main thread never computed for longer, and never stood still for longer where the processors were free."""
    for meter in meters:
        print(meter)
        assert meter.turns > 2, "the event loop did not run"
        assert meter.longest_cpu_ms < limit_ms
        assert meter.crowded or meter.longest_ms < limit_ms


def scene_state():
    """Every node with the time of its last change."""
    scene = slicer.mrmlScene
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    return {node.GetID(): node.GetMTime() for node in nodes}


def scene_content():
    """Every node of users as text: what undo has to bring back."""
    scene = slicer.mrmlScene
    kept = {}
    for index in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(index)
        if node.IsA("vtkMRMLTransformableNode") and not node.GetHideFromEditors():
            matrix = vtk.vtkMatrix4x4()
            if node.IsA("vtkMRMLVolumeNode"):
                node.GetIJKToRASMatrix(matrix)
            kept[node.GetID()] = (node.GetName(), node.GetTransformNodeID(), [*matrix.GetData()])
    return kept
