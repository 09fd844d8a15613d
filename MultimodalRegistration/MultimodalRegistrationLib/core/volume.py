"""A scalar volume in world coordinates, and the marked voxels of a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .grid import VolumeGrid


@dataclass(frozen=True)
class Volume:
    """A scalar volume in world coordinates.

    Parameters
    ----------
    image : SimpleITK.Image
        Voxels on a three-dimensional LPS grid. Never changed by this library.
    name : str
        What messages call it: a path or a node name.
    """

    image: sitk.Image
    name: str

    @property
    def grid(self) -> VolumeGrid:
        """Placement of the voxels."""
        return VolumeGrid.of_image(self.image)

    @property
    def voxels(self) -> NDArray[Any]:
        """Read-only view of the voxels, shape (K, J, I)."""
        view = sitk.GetArrayViewFromImage(self.image).view(_VoxelView)
        view.image = self.image
        return view


class _VoxelView(np.ndarray[Any, Any]):
    """A view that keeps its image alive: SimpleITK's own view would show freed memory once the image is gone."""

    image: sitk.Image | None

    def __array_finalize__(self, parent: Any) -> None:
        self.image = getattr(parent, "image", None)


def some_marked(mask: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Take about as many marked voxels as are wanted, at even strides.

    Parameters
    ----------
    mask : array, shape (K, J, I)
        Marked where it is not zero.
    count : int
        From so many to twice as many are taken; all, if there are fewer.

    Returns
    -------
    array, shape (N, 3)
        In I, J, K.
    """
    marked = np.flatnonzero(mask)
    chosen = marked[:: max(1, len(marked) // count)]
    return np.stack(np.unravel_index(chosen, mask.shape)[::-1], axis=1)


def box_of_marked(mask: NDArray[Any]) -> tuple[slice, slice, slice]:
    """The smallest box that holds all marked voxels.

    Parameters
    ----------
    mask : array, shape (K, J, I)
        Marked where it is not zero, at least in one voxel.

    Returns
    -------
    tuple of 3 slice
        Along K, J, I.
    """
    sides = []
    for axis in range(3):
        marked = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        sides.append(slice(int(marked[0]), int(marked[-1]) + 1))
    return sides[0], sides[1], sides[2]
