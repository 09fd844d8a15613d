"""Volume nodes as volumes in world coordinates, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.errors import InputError
from ..core.frames import flip_ijk_to_space, flip_points_lps_ras
from ..core.grid import VolumeGrid
from ..core.volume import Volume
from ..io.volume_checks import check_scalar_volume
from .placement import Placement, placement_in_world
from .volume_kinds import check_kind, check_voxels
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix

__all__ = [
    "add_volume_node",
    "grid_in_world",
    "grid_of_node",
    "image_in_world",
    "mask_from_node",
    "volume_from_node",
    "world_voxels",
]


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
    volume = Volume(image_in_world(node, placement or placement_in_world(node), nearest=False), node.GetName())
    check_scalar_volume(volume.image, volume.name)
    return volume


def mask_from_node(node: Any, placement: Placement | None = None) -> Volume:
    """Read a label map node as a mask in world coordinates.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        Voxels above zero are used. Not changed.
    placement : Placement, optional
        Where it is read; by default where it lies, parent transforms included.

    Returns
    -------
    Volume
        Zeros and ones.

    Raises
    ------
    InputError
        The node has no voxels or marks none.
    """
    check_voxels(node)
    image = image_in_world(node, placement or placement_in_world(node), nearest=True) > 0
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
    data = vtk.vtkImageData()
    data.SetDimensions(*volume.grid.size)
    data.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(volume.voxels).ravel(), deep=True))
    node.SetAndObserveImageData(data)
    node.SetIJKToRASMatrix(vtk_from_matrix(flip_ijk_to_space(volume.grid.ijk_to_lps)))
    node.CreateDefaultDisplayNodes()
    return node


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


def image_in_world(node: Any, placement: Placement, *, nearest: bool) -> sitk.Image:
    """Copy the voxels of a volume node to an image in world coordinates, LPS.

    Parameters
    ----------
    node : vtkMRMLVolumeNode
        With one number a voxel.
    placement : Placement
        Where it is read.
    nearest : bool
        Of labels: resample to the nearest voxel where the placement is not linear; else linearly.

    Raises
    ------
    InputError
        The placement is flat.
    """
    grid, source = world_voxels(node, placement, nearest=nearest)
    if source.IsA("vtkImageReslice"):
        source.Update()
        source = source.GetOutput()
    image = sitk.GetImageFromArray(vtk_to_numpy(source.GetPointData().GetScalars()).reshape(grid.size[::-1]))
    grid.place(image)
    return image


def world_voxels(node: Any, placement: Placement, *, nearest: bool) -> tuple[VolumeGrid, Any]:
    """The voxels of a node in the world, without touching the node or its scene.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        With voxels.
    placement : Placement
        Where it is read.
    nearest : bool
        How voxels are taken under a non-linear placement: as they are, or by linear interpolation.

    Returns
    -------
    grid : VolumeGrid
        World coordinates.
    source : vtkImageData or vtkImageReslice
        The node's own voxels, where the placement is linear; otherwise a filter that makes those of the grid, of any
        part of it.

    Raises
    ------
    InputError
        The placement is flat.
    """
    grid = grid_of_node(node)
    in_world = grid_in_world(grid, placement, node.GetName())
    data = node.GetImageData()
    if placement.matrix_ras is None:
        return in_world, _warped(data, grid, placement, in_world, nearest=nearest)
    return in_world, data


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
