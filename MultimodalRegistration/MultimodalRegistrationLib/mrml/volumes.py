"""Volume nodes as volumes in world coordinates, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.frames import flip_ijk_to_space, flip_points_lps_ras
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.io.volume_checks import check_scalar_volume
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.mrml.placement import Placement, placement_in_world
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix

__all__ = ["check_kind", "check_voxels", "mask_from_node", "volume_from_node", "world_voxels"]


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
    volume = Volume(_image_in_world(node, placement or placement_in_world(node), nearest=False), node.GetName())
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
    image = _image_in_world(node, placement or placement_in_world(node), nearest=True) > 0
    if not np.any(sitk.GetArrayViewFromImage(image)):
        raise InputError(
            node.GetName(), "the mask is empty (no voxel above zero)", "Draw the region to use, or choose no mask."
        )
    return Volume(image, node.GetName())


def check_kind(node: Any) -> None:
    """Refuse a node that is no scalar volume with voxels.

    Raises
    ------
    InputError
        Names the node and what it is.
    """
    name, kind = node.GetName(), node.GetClassName()
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(name, "this is a label map, not a scan", "Choose the scan; label maps can be used as masks.")
    if node.IsA("vtkMRMLVectorVolumeNode"):
        raise InputError(
            name,
            "this is a vector or colour volume",
            "Convert it to a scalar volume with the module Vector to Scalar Volume.",
        )
    if node.IsA("vtkMRMLDiffusionWeightedVolumeNode") or node.IsA("vtkMRMLDiffusionTensorVolumeNode"):
        raise InputError(
            name, f"this is a diffusion volume ({kind})", "Extract a baseline or a scalar map of it first."
        )
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(name, f"this is not a scalar volume ({kind})", "Choose a scalar volume.")
    check_voxels(node)


def check_voxels(node: Any) -> None:
    """Refuse a volume node without voxels, or with several components a voxel.

    Raises
    ------
    InputError
        Names the node.
    """
    data = node.GetImageData()
    if data is None or data.GetPointData().GetScalars() is None:
        raise InputError(node.GetName(), "the volume holds no voxels", "Load its data first.")
    if data.GetNumberOfScalarComponents() != 1:
        raise InputError(
            node.GetName(),
            f"the voxels have {data.GetNumberOfScalarComponents()} components",
            "Convert it to a scalar volume with the module Vector to Scalar Volume.",
        )


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
    own = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(own)
    ijk_to_ras = matrix_from_vtk(own)
    if placement.matrix_ras is None:
        return _warped(node, placement, ijk_to_ras, nearest=nearest)
    ijk_to_world = placement.matrix_ras @ ijk_to_ras
    if not np.linalg.cond(ijk_to_world[:3, :3]) < 1e9:
        raise InputError(
            node.GetName(),
            "its placement in the world is flat (a singular direction or parent transform)",
            "Correct the transform above the volume, or its orientation in the Volumes module.",
        )
    i, j, k = node.GetImageData().GetDimensions()
    return VolumeGrid.of_matrix((i, j, k), flip_ijk_to_space(ijk_to_world)), node.GetImageData()


def _image_in_world(node: Any, placement: Placement, *, nearest: bool) -> sitk.Image:
    grid, source = world_voxels(node, placement, nearest=nearest)
    if source.IsA("vtkImageReslice"):
        source.Update()
        source = source.GetOutput()
    voxels = vtk_to_numpy(source.GetPointData().GetScalars()).reshape(grid.size[::-1])
    image = sitk.GetImageFromArray(voxels)
    grid.place(image)
    return image


def _warped(
    node: Any, placement: Placement, ijk_to_ras: NDArray[np.float64], *, nearest: bool
) -> tuple[VolumeGrid, Any]:
    i, j, k = node.GetImageData().GetDimensions()
    grid = VolumeGrid.of_matrix((i, j, k), flip_ijk_to_space(ijk_to_ras))
    # Points all over the volume: a warp may bulge between the corners.
    local_ras = flip_points_lps_ras(np.concatenate([grid.sample_points_lps(12), grid.corners_lps]))
    points_ras = placement.points_in_world(local_ras)
    margin = 0.05 * np.ptp(points_ras, axis=0)
    low, high = points_ras.min(axis=0) - margin, points_ras.max(axis=0) + margin
    # An axis-aligned grid in the world, as fine as the finest axis of the volume.
    spacing = min(node.GetSpacing())
    size = np.ceil((high - low) / spacing).astype(int).tolist()
    world_ijk_to_ras = np.asarray(np.diag([spacing, spacing, spacing, 1.0]), dtype=np.float64)
    world_ijk_to_ras[:3, 3] = low + spacing / 2
    # Applied from right to left: world voxel, world point, local point, local voxel.
    chain = vtk.vtkGeneralTransform()
    chain.Concatenate(vtk_from_matrix(np.asarray(np.linalg.inv(ijk_to_ras))))
    chain.Concatenate(placement.from_world)
    chain.Concatenate(vtk_from_matrix(world_ijk_to_ras))
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(node.GetImageData())
    reslice.SetResliceTransform(chain)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    if nearest:
        reslice.SetInterpolationModeToNearestNeighbor()
    else:
        reslice.SetInterpolationModeToLinear()
    reslice.SetBackgroundLevel(0.0 if nearest else node.GetImageData().GetScalarRange()[0])
    return VolumeGrid.of_matrix((size[0], size[1], size[2]), flip_ijk_to_space(world_ijk_to_ras)), reslice
