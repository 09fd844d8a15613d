"""Display nodes of volumes, with a window that is found at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from vtk.util.numpy_support import vtk_to_numpy

__all__ = ["add_display_node"]

_VOXELS_LOOKED_AT = 100_000


def add_display_node(node: Any, like: Any = None) -> Any:
    """Give a volume a display node.

    Left to itself, a display node finds its window by a look at every voxel, which takes a second in a large volume.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        In a scene, with voxels, without display node.
    like : vtkMRMLScalarVolumeDisplayNode, optional
        Whose window and colours are taken; by default the window holds all values but outliers.

    Returns
    -------
    vtkMRMLScalarVolumeDisplayNode
        Of the volume.
    """
    display = node.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    if like is not None:
        display.CopyContent(like)
        display.SetAutoWindowLevel(False)
    else:
        voxels = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
        low, high = np.percentile(voxels[:: max(1, voxels.size // _VOXELS_LOOKED_AT)], [0.1, 99.9])
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(float(low), float(high))
        display.SetDefaultColorMap()
    node.SetAndObserveDisplayNodeID(display.GetID())
    return display
