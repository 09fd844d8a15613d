"""New nodes that take the place of those that cannot be registered; the nodes themselves stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.errors import InputError
from .volume_findings import Remedy

__all__ = ["add_remedy"]

# What scanners add to Hounsfield units to store them without sign.
_CT_OFFSET = 1024
_SUFFIX: dict[Remedy, str] = {
    "scalar": "scalar",
    "baseline": "baseline",
    "frame": "frame",
    "mask": "mask",
    "hounsfield": "HU",
}


def add_remedy(scene: Any, node: Any, remedy: Remedy) -> Any:
    """Add the node that takes the place of another.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    node : vtkMRMLNode
        Not changed.
    remedy : str
        ``"scalar"``: the brightness of a colour volume, otherwise the first value of each voxel; ``"baseline"``: the
        image of a diffusion volume with the least weighting; ``"frame"``: a copy of what a sequence shows, or of its
        first frame; ``"mask"``: the labels of a scalar volume as a label map; ``"hounsfield"``: 1024 less.

    Returns
    -------
    vtkMRMLVolumeNode
        Where the other one lies, under the same parent. For ``"mask"`` of a label map, that itself.

    Raises
    ------
    InputError
        A sequence without frames of volumes.
    """
    if remedy == "mask" and node.IsA("vtkMRMLLabelMapVolumeNode"):
        return node
    source = _first_frame(node) if node.IsA("vtkMRMLSequenceNode") else node
    kind = "vtkMRMLLabelMapVolumeNode" if remedy == "mask" else "vtkMRMLScalarVolumeNode"
    data = _voxels(source, remedy)
    made = scene.AddNewNodeByClass(kind, scene.GenerateUniqueName(f"{node.GetName()} {_SUFFIX[remedy]}"))
    made.CopyOrientation(source)
    made.SetAndObserveImageData(data)
    if source.GetTransformNodeID() is not None and scene.GetNodeByID(source.GetTransformNodeID()) is not None:
        made.SetAndObserveTransformNodeID(source.GetTransformNodeID())
    made.CreateDefaultDisplayNodes()
    return made


def _first_frame(sequence: Any) -> Any:
    frame = sequence.GetNthDataNode(0) if sequence.GetNumberOfDataNodes() else None
    if frame is None or not frame.IsA("vtkMRMLScalarVolumeNode") or frame.GetImageData() is None:
        raise InputError(sequence.GetName(), "the sequence holds no frames of volumes", "Choose a scalar volume.")
    return frame


def _voxels(node: Any, remedy: Remedy) -> Any:
    data = node.GetImageData()
    copy = vtk.vtkImageData()
    copy.SetDimensions(data.GetDimensions())
    values = vtk_to_numpy(data.GetPointData().GetScalars())
    if remedy == "scalar" and values.dtype == np.uint8 and values.shape[1] >= 3:
        # The weights of Slicer's module Vector to Scalar Volume.
        values = np.rint(values[:, :3] @ np.array([0.30, 0.59, 0.11])).astype(np.uint8)
    elif remedy == "scalar":
        values = values[:, 0]
    elif remedy == "baseline":
        weights = [node.GetBValue(number) for number in range(node.GetNumberOfGradients())]
        values = values.reshape(len(values), -1)[:, int(np.argmin(weights)) if weights else 0]
    elif remedy == "hounsfield":
        kind = np.int32 if values.dtype.kind in "iu" else values.dtype
        values = values.astype(kind) - _CT_OFFSET
    elif remedy == "mask":
        values = np.clip(np.rint(values), np.iinfo(np.int16).min, np.iinfo(np.int16).max).astype(np.int16)
    copy.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(values), deep=True))
    return copy
