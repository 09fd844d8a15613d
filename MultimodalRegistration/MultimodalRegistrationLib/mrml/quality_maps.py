"""Maps of an assessment as volume nodes that are shown sensibly."""

from __future__ import annotations

from typing import Any

import numpy as np

from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.mrml.volumes import add_volume_node
from MultimodalRegistrationLib.quality.images.windows import NOTHING

__all__ = ["add_map_node"]

# Files of colours that the application loads.
_SEQUENTIAL = "vtkMRMLColorTableNodeFileViridis.txt"
_DIVERGING = "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"
_PLAIN = "vtkMRMLColorTableNodeGrey"
_TOP_PERCENTILE = 99.0


def add_map_node(scene: Any, volume: Volume, kind: str, *, name: str) -> Any:
    """Add a map to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node and its display node.
    volume : Volume
        World coordinates.
    kind : str
        Its name in :func:`~MultimodalRegistrationLib.quality.maps.quality_maps`.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLScalarVolumeNode
        A Jacobian determinant of 1 is in the middle of the colours; other maps begin at 0. What was not measured is
        transparent.
    """
    node = add_volume_node(scene, volume, name=name)
    display = node.GetDisplayNode()
    values = volume.voxels[np.isfinite(volume.voxels)]
    if kind == "jacobian":
        half = max(float(np.percentile(np.abs(values - 1), _TOP_PERCENTILE)), 0.01) if values.size else 1.0
        low, high, colors = 1 - half, 1 + half, _DIVERGING
    else:
        measured = values[values != NOTHING]
        low, high, colors = (
            0.0,
            max(float(np.percentile(measured, _TOP_PERCENTILE)), 1e-6) if measured.size else 1.0,
            _SEQUENTIAL,
        )
        display.SetThreshold(0.0, float(np.finfo(np.float32).max))
        display.SetApplyThreshold(True)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, high)
    for identifier in (colors, _PLAIN):
        if scene.GetNodeByID(identifier) is not None:
            display.SetAndObserveColorNodeID(identifier)
            break
    return node
