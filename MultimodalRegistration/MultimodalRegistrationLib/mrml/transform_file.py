"""Transform nodes written as files, in steps between which a window can live."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from ..core.grid import VolumeGrid
from ..core.spatial import SpatialTransform
from ..io.transforms import write_transform
from .spatial import spatial_transform_steps
from .steps import in_thread, shares

__all__ = ["write_transform_node"]

# A finer grid takes longer to write than a window may stand still.
_MOST_NODES = 1_000_000
# Nobody knows how many steps there will be.
_SHARE = 0.5


def write_transform_node(
    path: Path, node: Any, over: VolumeGrid, on_read: Callable[[SpatialTransform, float], None] | None = None
) -> Generator[float, None, tuple[SpatialTransform, float]]:
    """Write what a node does to points of the world, with all its parents.

    Parameters
    ----------
    path : Path
        ITK transform, ``fixed_to_moving_lps``.
    node : vtkMRMLTransformNode
        Moves the moving volume onto the fixed one; may be changed or removed between two steps.
    over : VolumeGrid
        Of the fixed volume: a transform that bends is sampled there.
    on_read : callable, optional
        Called with what is returned once the node is not needed any more.

    Yields
    ------
    float
        How much is done, 0 to 1.

    Returns
    -------
    spatial : SpatialTransform
        What was written.
    error_mm : float
        The largest error of the sampling.
    """
    spatial, error_mm = yield from shares(spatial_transform_steps(node, over, most_nodes=_MOST_NODES), _SHARE)
    if on_read is not None:
        on_read(spatial, error_mm)
    yield from shares(in_thread(lambda: write_transform(path, spatial)), _SHARE)
    yield 1.0
    return spatial, error_mm
