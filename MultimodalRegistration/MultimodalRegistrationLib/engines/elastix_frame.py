"""Where elastix is shown the sampled volume: such that rounding costs it no voxels.

Imports the compiled submodules of ITK by name: ``import itk`` and its lazy loader would take some 8 s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Without it the indices that an image gives have no methods.
from itk import itkContinuousIndexPython  # noqa: F401
from itk import itkImagePython as itk_image
from itk import itkMatrixPython as itk_matrix
from itk import vnl_matrix_fixedPython as vnl_matrix
from numpy.typing import NDArray

from ..core.grid import VolumeGrid
from ..core.linear import closest_rotation

__all__ = ["last_index", "own_frame", "place"]

# Eleven were the most that any of 9,000 random grids needed. Beyond them elastix would go without a layer.
_TRIES = 64
# Of direction cosines; files round them, and a slight skew must stay.
_EXACT = 1e-6


def own_frame(grid: VolumeGrid) -> tuple[VolumeGrid, NDArray[np.float64]]:
    """A grid moved to zero and to the axes of space, with spacings from which elastix finds all of its voxels.

    elastix maps the first and the last voxel to space and back, and rounds inwards: the last digit decides whether it
    uses the outermost layer of voxels. From zero and along the axes of space the first is exact, and the spacing is
    changed by some units in its last place until the last one is not lost.

    Parameters
    ----------
    grid : VolumeGrid
        Of the sampled volume.

    Returns
    -------
    VolumeGrid
        The same voxels in their own frame; the third axis points down where the grid is left-handed, and axes that are
        not quite at right angles remain so.
    array, shape (4, 4)
        Rigid ``grid_to_own_lps``, for all that is to move with the grid.
    """
    axes = np.reshape(grid.direction, (3, 3))
    hand = float(np.sign(np.linalg.det(axes)))
    to_own = np.eye(4)
    to_own[:3, :3] = closest_rotation(axes * [1.0, 1.0, hand]).T
    to_own[:3, 3] = -to_own[:3, :3] @ np.asarray(grid.origin_lps)
    exact = np.diag([1.0, 1.0, hand])
    turned = to_own[:3, :3] @ axes
    direction = exact if np.allclose(turned, exact, rtol=0, atol=_EXACT) else turned
    first, second, third = grid.spacing_mm
    for _ in range(_TRIES):
        spacing_mm = (first, second, third)
        own = VolumeGrid(grid.size, spacing_mm, (0.0, 0.0, 0.0), tuple(direction.ravel().tolist()))
        lost = [found < size - 1 for found, size in zip(last_index(own), grid.size, strict=True)]
        if not any(lost):
            break
        first, second, third = (
            float(np.nextafter(spacing, np.inf)) if short else spacing
            for spacing, short in zip(spacing_mm, lost, strict=True)
        )
    return own, to_own


def last_index(grid: VolumeGrid) -> list[float]:
    """Continuous index of a grid's last voxel after elastix's way to space and back.

    Parameters
    ----------
    grid : VolumeGrid
        The grid.

    Returns
    -------
    list of float
        One for each axis; smaller than the size less one by rounding, or not.
    """
    image = itk_image.itkImageF3.New()
    image.SetRegions(list(grid.size))
    place(image, grid)
    point = image.TransformIndexToPhysicalPoint([n - 1 for n in grid.size])
    back = image.TransformPhysicalPointToContinuousIndex(point)
    return [back.GetElement(axis) for axis in range(3)]


def place(image: Any, grid: VolumeGrid) -> None:
    """Put an ITK image where a grid is.

    Parameters
    ----------
    image : itk.Image
        Changed in place.
    grid : VolumeGrid
        Spacing, origin and direction are taken from it.
    """
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_lps)
    direction = vnl_matrix.vnl_matrix_fixedD_3_3()
    for entry, value in enumerate(grid.direction):
        direction.put(entry // 3, entry % 3, value)
    image.SetDirection(itk_matrix.itkMatrixD33(direction))
