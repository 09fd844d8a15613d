"""Display nodes of volumes, with a window that is found at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from vtk.util.numpy_support import vtk_to_numpy

from ..assess.pictures.planes import display_window, finite_sample
from ..core.volume import Volume

__all__ = ["add_display_node", "window_of_content"]

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
        low, high = np.percentile(_sample(node), [0.1, 99.9])
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(float(low), float(high))
        display.SetDefaultColorMap()
    node.SetAndObserveDisplayNodeID(display.GetID())
    return display


def window_of_content(node: Any) -> tuple[float, float]:
    """Intensities to show as black and as white, as in pictures: the air of a CT and what surrounds it are black.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        With voxels.
    """
    sample = finite_sample(_sample(node)).astype(np.float32)
    return display_window(Volume(sitk.GetImageFromArray(sample[None, None]), str(node.GetName())), sample)


def _sample(node: Any) -> Any:
    voxels = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
    return voxels[:: max(1, voxels.size // _VOXELS_LOOKED_AT)]
