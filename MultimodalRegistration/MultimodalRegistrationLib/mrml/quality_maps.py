"""Maps of an assessment as volume nodes that are shown sensibly."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..assess.images.information import NOTHING
from ..core.frames import flip_ijk_to_space
from ..core.volume import Volume
from .vtk_arrays import vtk_from_matrix

__all__ = ["add_map_node"]

# Files of colours that the application loads.
_SEQUENTIAL = "vtkMRMLColorTableNodeFileViridis.txt"
_DIVERGING = "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"
_PLAIN = "vtkMRMLColorTableNodeGrey"
_TOP_PERCENTILE = 99.0
_VALUES_LOOKED_AT = 100_000


def add_map_node(scene: Any, volume: Volume, kind: str, *, name: str) -> Any:
    """Add a map to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node and its display node.
    volume : Volume
        World coordinates.
    kind : str
        Its name in :func:`~MultimodalRegistrationLib.assess.content.quality_maps`.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLScalarVolumeNode
        A Jacobian determinant of 1 is in the middle of the colours; other maps begin at 0. What was not measured is
        transparent.
    """
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    # With a window before there are voxels: to find one, a display node takes a look at each.
    display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.SetAutoWindowLevel(False)
    values = volume.voxels.ravel()
    values = values[:: max(1, values.size // _VALUES_LOOKED_AT)]
    values = values[np.isfinite(values)]
    if kind == "jacobian":
        half = max(float(np.percentile(np.abs(values - 1), _TOP_PERCENTILE)), 0.01) if values.size else 1.0
        low, high, colors = 1 - half, 1 + half, _DIVERGING
    else:
        measured = values[values != NOTHING]
        top = max(float(np.percentile(measured, _TOP_PERCENTILE)), 1e-6) if measured.size else 1.0
        low, high, colors = 0.0, top, _SEQUENTIAL
        display.SetAutoThreshold(False)
        display.SetThreshold(0.0, float(np.finfo(np.float32).max))
        display.SetApplyThreshold(True)
    display.SetWindowLevelMinMax(low, high)
    for identifier in (colors, _PLAIN):
        if scene.GetNodeByID(identifier) is not None:
            display.SetAndObserveColorNodeID(identifier)
            break
    node.SetAndObserveDisplayNodeID(display.GetID())
    node.SetIJKToRASMatrix(vtk_from_matrix(flip_ijk_to_space(volume.grid.ijk_to_lps)))
    data = vtk.vtkImageData()
    data.SetDimensions(*volume.grid.size)
    # Not copied: the node keeps the voxels, and the image that they belong to, as long as it needs them.
    data.GetPointData().SetScalars(numpy_to_vtk(volume.voxels.ravel()))
    node.SetAndObserveImageData(data)
    return node
