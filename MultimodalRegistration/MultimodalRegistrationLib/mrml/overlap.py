"""What two volumes have in common in the world."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["overlap_center_ras"]


def overlap_center_ras(fixed_node: Any, moving_node: Any) -> list[float]:
    """Tell where to look at two volumes: the middle of what both fill, or of the fixed one where they are apart.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLVolumeNode
        Where they lie in the world.

    Returns
    -------
    list of 3 float
        World coordinates, mm; of the boxes along the axes of the patient.
    """
    fixed, moving = np.empty(6), np.empty(6)
    fixed_node.GetRASBounds(fixed)
    moving_node.GetRASBounds(moving)
    low, high = np.maximum(fixed[::2], moving[::2]), np.minimum(fixed[1::2], moving[1::2])
    if np.any(low >= high):
        low, high = fixed[::2], fixed[1::2]
    center: list[float] = ((low + high) / 2).tolist()
    return center
