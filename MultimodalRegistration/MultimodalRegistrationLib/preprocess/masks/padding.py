"""The constant border around what a scanner or a resampling has seen.

Padding is a value that fills a region without a gap, from the edge of the volume inward. The same value scattered
through noisy air, as where a CT is cut off at -1000, is none. Whatever the value is, -1024, -2000, -3024 or 0, it is
taken from the faces of the volume.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.volume import Volume
from .make import mask_like
from .regions import connected_regions

__all__ = ["border_and_padding", "padded_voxels"]

_LEAST_SHARE_OF_FACES = 0.002
_LEAST_SHARE_OF_VOLUME = 0.0005
_MOST_VALUES = 4
# Where this share of the voxels of a value is free of gaps, all of them are padding, thin wedges included.
_SOLID = 0.9
# The lowest and the highest value need less; below it is air that is cut off at a value.
_LEAST_SOLID = 0.6


def border_and_padding(volume: Volume) -> Volume:
    """Mark the black border and the padding.

    Parameters
    ----------
    volume : Volume
        Not changed.

    Returns
    -------
    Volume
        Unsigned 8-bit mask on the same grid, one where there is no data; all zero where there is no border.
    """
    marked, _ = padded_voxels(volume.voxels)
    return mask_like(volume, marked, "padding")


def padded_voxels(voxels: NDArray[Any]) -> tuple[NDArray[np.bool_], tuple[float, ...]]:
    """Find padding.

    Parameters
    ----------
    voxels : array, shape (K, J, I)
        Intensities.

    Returns
    -------
    marked : array of bool, shape (K, J, I)
        The padding.
    values : tuple of float
        What fills it, the most frequent first.
    """
    marked = np.zeros(voxels.shape, dtype=bool)
    faces = np.concatenate([face.ravel() for face in _faces(voxels)])
    values, counts = np.unique(faces, return_counts=True)
    found = []
    for index in np.argsort(-counts, kind="stable")[:_MOST_VALUES]:
        if counts[index] < _LEAST_SHARE_OF_FACES * faces.size:
            break
        extreme = bool(values[index] == voxels.min() or values[index] == voxels.max())
        region = _solid_region(voxels == values[index], least_solid=_LEAST_SOLID if extreme else _SOLID)
        if region is not None:
            marked |= region
            found.append(float(values[index]))
    return marked, tuple(found)


def _solid_region(same: NDArray[np.bool_], *, least_solid: float) -> NDArray[np.bool_] | None:
    """The part of one value that is connected to the edge of the volume and has no gaps."""
    # Most values of noisy images end here, before anything slow is done.
    pairs = np.count_nonzero(same[..., 1:] & same[..., :-1])
    if pairs < 0.3 * np.count_nonzero(same):
        return None
    region = _connected_to_edge(same)
    core = region.copy()
    for axis in range(3):
        here, there = _shifted(axis)
        core[here] &= region[there]
        core[there] &= region[here]
    solid = region & _grown(core)
    share = np.count_nonzero(solid) / max(1, int(np.count_nonzero(region)))
    if share < least_solid or np.count_nonzero(solid) < _LEAST_SHARE_OF_VOLUME * same.size:
        return None
    return region if share >= _SOLID else _connected_to_edge(solid)


def _connected_to_edge(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = connected_regions(marked)
    keep = np.zeros(count + 1, dtype=bool)
    for face in _faces(labels):
        keep[np.unique(face)] = True
    keep[0] = False
    return np.asarray(keep[labels])


def _grown(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """By one voxel along every axis."""
    grown = marked.copy()
    for axis in range(3):
        here, there = _shifted(axis)
        grown[here] |= marked[there]
        grown[there] |= marked[here]
    return grown


def _faces(array: NDArray[Any]) -> list[NDArray[Any]]:
    return [array.take(index, axis) for axis in range(3) for index in (0, -1)]


def _shifted(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    here, there = [slice(None)] * 3, [slice(None)] * 3
    here[axis], there[axis] = slice(None, -1), slice(1, None)
    return tuple(here), tuple(there)
