"""What two volumes have in common in the world."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["common_box_ras", "overlap_center_ras"]


def common_box_ras(first: Any, second: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """What the boxes of two nodes along the axes of the patient have in common.

    Parameters
    ----------
    first, second : vtkMRMLDisplayableNode
        Volumes or models, where they lie in the world.

    Returns
    -------
    tuple of array, shape (3,), or None
        Lowest and highest corner, world coordinates, RAS, mm; None where they are apart.
    """
    one, other = np.empty(6), np.empty(6)
    first.GetRASBounds(one)
    second.GetRASBounds(other)
    low, high = np.maximum(one[::2], other[::2]), np.minimum(one[1::2], other[1::2])
    return None if np.any(low >= high) else (low, high)


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
    box = common_box_ras(fixed_node, moving_node)
    if box is None:
        bounds = np.empty(6)
        fixed_node.GetRASBounds(bounds)
        box = bounds[::2], bounds[1::2]
    center: list[float] = ((box[0] + box[1]) / 2).tolist()
    return center
