"""Volume nodes as volumes in world coordinates, whole or in slabs, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.errors import InputError
from ..core.frames import flip_ijk_to_space, flip_points_lps_ras
from ..core.grid import VolumeGrid
from ..core.volume import Volume
from ..io.volume_checks import check_scalar_volume
from .placement import Placement, placement_in_world
from .steps import drained
from .volume_kinds import check_kind, check_voxels
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix

_BYTES_A_STEP = 4_000_000
# A non-linear parent takes microseconds a voxel.
_WARPED_VOXELS_A_STEP = 4_000


def volume_from_node(node: Any, placement: Placement | None = None) -> Volume:
    """Read a scalar volume node where it lies in the world, parent transforms included.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        Not changed.
    placement : Placement, optional
        Where it is read instead.

    Returns
    -------
    Volume
        A copy of its voxels. Under a linear parent only the header differs from the node's; under a non-linear one the
        voxels are resampled to a grid that encloses the warped volume.

    Raises
    ------
    InputError
        Another kind of volume, no voxels, or voxels that cannot be registered.
    """
    check_kind(node)
    volume = Volume(_image_of(slabs_of_node(node, placement=placement)), node.GetName())
    check_scalar_volume(volume.image, volume.name)
    return volume


def mask_from_node(node: Any) -> Volume:
    """Read a label map node as a mask in world coordinates.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        Voxels above zero are used, where it lies, parent transforms included. Not changed.

    Returns
    -------
    Volume
        Zeros and ones.

    Raises
    ------
    InputError
        The node has no voxels or marks none.
    """
    image = _image_of(slabs_of_node(node, nearest=True)) > 0
    if not np.any(sitk.GetArrayViewFromImage(image)):
        raise InputError(
            node.GetName(), "the mask is empty (no voxel above zero)", "Draw the region to use, or choose no mask."
        )
    return Volume(image, node.GetName())


def add_volume_node(scene: Any, volume: Volume, *, name: str) -> Any:
    """Add a volume to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node and its display node.
    volume : Volume
        World coordinates. Its voxels are copied.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLScalarVolumeNode
        Its parent is the world.
    """
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    fill_volume_node(node, volume, copied=True)
    node.CreateDefaultDisplayNodes()
    return node


def fill_volume_node(node: Any, volume: Volume, *, copied: bool = False) -> None:
    """Let a volume node, whose parent is the world, hold a volume.

    Not copied, the node keeps the voxels, and the image that they belong to, as long as it needs them.
    """
    data = vtk.vtkImageData()
    data.SetDimensions(*volume.grid.size)
    # Not by ascontiguousarray, whose result no longer holds on to the image.
    data.GetPointData().SetScalars(numpy_to_vtk(volume.voxels.ravel(), deep=copied))
    node.SetIJKToRASMatrix(vtk_from_matrix(flip_ijk_to_space(volume.grid.ijk_to_lps)))
    node.SetAndObserveImageData(data)


def grid_in_world(grid: VolumeGrid, placement: Placement, name: str) -> VolumeGrid:
    """Tell which grid holds in the world what a grid holds in the own coordinates of a node.

    Parameters
    ----------
    grid : VolumeGrid
        In own coordinates.
    placement : Placement
        Of the node.
    name : str
        Of the node, for messages.

    Returns
    -------
    VolumeGrid
        The same voxels where the placement is linear, else a grid that encloses the warped volume.

    Raises
    ------
    InputError
        The placement is flat.
    """
    if placement.matrix_ras is None:
        return _enclosing_grid(grid, placement)
    ijk_to_world = placement.matrix_ras @ flip_ijk_to_space(grid.ijk_to_lps)
    if not np.linalg.cond(ijk_to_world[:3, :3]) < 1e9:
        raise InputError(
            name,
            "its placement in the world is flat (a singular direction or parent transform)",
            "Correct the transform above the volume, or its orientation in the Volumes module.",
        )
    return VolumeGrid.of_matrix(grid.size, flip_ijk_to_space(ijk_to_world))


def _enclosing_grid(grid: VolumeGrid, placement: Placement) -> VolumeGrid:
    """An axis-aligned grid in the world, as fine as the finest axis of a warped volume."""
    # Points all over the volume: a warp may bulge between the corners.
    local_ras = flip_points_lps_ras(np.concatenate([grid.sample_points_lps(12), grid.corners_lps]))
    points_ras = placement.points_in_world(local_ras)
    margin = 0.05 * np.ptp(points_ras, axis=0)
    low, high = points_ras.min(axis=0) - margin, points_ras.max(axis=0) + margin
    spacing = min(grid.spacing_mm)
    i, j, k = np.ceil((high - low) / spacing).astype(int).tolist()
    ijk_to_ras = np.diag([spacing, spacing, spacing, 1.0])
    ijk_to_ras[:3, 3] = low + spacing / 2
    return VolumeGrid.of_matrix((i, j, k), flip_ijk_to_space(ijk_to_ras))


def grid_of_node(node: Any) -> VolumeGrid:
    """The grid of a volume node in its own coordinates, without any parent."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    return VolumeGrid.of_matrix(node.GetImageData().GetDimensions(), flip_ijk_to_space(matrix_from_vtk(ijk_to_ras)))


def _image_of(slabs: Slabs) -> sitk.Image:
    image = sitk.GetImageFromArray(drained(voxels_in_steps(slabs)))
    slabs.grid.place(image)
    return image


def _warped(data: Any, grid: VolumeGrid, placement: Placement, in_world: VolumeGrid, *, nearest: bool) -> Any:
    """A filter that resamples the voxels through a non-linear parent."""
    # Applied from right to left: world voxel, world point, local point, local voxel.
    chain = vtk.vtkGeneralTransform()
    chain.Concatenate(vtk_from_matrix(np.linalg.inv(flip_ijk_to_space(grid.ijk_to_lps))))
    chain.Concatenate(placement.from_world)
    chain.Concatenate(vtk_from_matrix(flip_ijk_to_space(in_world.ijk_to_lps)))
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(data)
    reslice.SetResliceTransform(chain)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(*(value for length in in_world.size for value in (0, length - 1)))
    if nearest:
        reslice.SetInterpolationModeToNearestNeighbor()
    else:
        reslice.SetInterpolationModeToLinear()
    reslice.SetBackgroundLevel(0.0 if nearest else data.GetScalarRange()[0])
    return reslice


@dataclass(frozen=True, eq=False)
class Slabs:
    """A volume that is seen in parts.

    Parameters
    ----------
    grid : VolumeGrid
        World coordinates.
    dtype : numpy.dtype
        Of the voxels.
    parts : callable
        Gives the voxels from the first to the last, in arrays of any shape whose order is that of (K, J, I).
    """

    grid: VolumeGrid
    dtype: np.dtype[Any]
    parts: Callable[[], Iterator[NDArray[Any]]]


def slabs_of_node(node: Any, *, placement: Placement | None = None, nearest: bool = False) -> Slabs:
    """The voxels of a volume node where it lies in the world, parent transforms included.

    The node may be changed or removed afterwards: the voxels it has now are kept as long as they are needed.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        Not changed, nor copied where its placement is linear.
    placement : Placement, optional
        Where it is read instead.
    nearest : bool
        Under a non-linear placement, take voxels as they are: for label maps.

    Raises
    ------
    InputError
        The node has no voxels, or its placement is flat.
    """
    check_voxels(node)
    placement = placement or placement_in_world(node)
    own = grid_of_node(node)
    grid = grid_in_world(own, placement, node.GetName())
    data = node.GetImageData()
    voxels = vtk_to_numpy(data.GetPointData().GetScalars())
    if placement.matrix_ras is not None:
        return Slabs(grid, voxels.dtype, lambda: _pieces(voxels))
    kept = type(data)()
    kept.ShallowCopy(data)
    reslice = _warped(kept, own, placement, grid, nearest=nearest)
    return Slabs(grid, voxels.dtype, lambda: _warped_pieces(reslice, grid))


def voxels_in_steps(slabs: Slabs) -> Generator[None, None, NDArray[Any]]:
    """A copy of the voxels of a volume, shape (K, J, I), that another thread may use."""
    voxels = np.empty(slabs.grid.size[::-1], dtype=slabs.dtype)
    flat, done = voxels.reshape(-1), 0
    for part in slabs.parts():
        flat[done : done + part.size] = part.ravel()
        done += part.size
        yield
    return voxels


def _pieces(voxels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, _BYTES_A_STEP // voxels.itemsize)
    for first in range(0, voxels.size, step):
        yield voxels[first : first + step]


def _warped_pieces(reslice: Any, grid: VolumeGrid) -> Iterator[NDArray[Any]]:
    i, j, k = grid.size
    rows = max(1, _WARPED_VOXELS_A_STEP // i)
    for slice_number in range(k):
        for first in range(0, j, rows):
            reslice.SetOutputExtent(0, i - 1, first, min(first + rows, j) - 1, slice_number, slice_number)
            reslice.Update()
            yield np.array(vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars()))
