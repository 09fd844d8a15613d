"""A scalar volume in world coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .grid import VolumeGrid

__all__ = ["Volume"]


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
