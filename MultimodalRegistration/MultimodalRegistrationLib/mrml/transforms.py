"""Transform nodes: results of registrations and of other programs, and where they act."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from numpy.typing import ArrayLike, NDArray
from vtk.util.numpy_support import numpy_to_vtk

from ..core.errors import InputError, RegistrationError
from ..core.frames import (
    flip_ijk_to_space,
    flip_points_lps_ras,
    modelling_ras_from_resampling_lps,
    resampling_lps_from_modelling_ras,
)
from ..core.linear import LARGEST_CONDITION, condition_number
from ..core.spatial import DisplacementGrid
from ..io.tools.itk import write_transform
from ..io.transforms import approximation, read_transform, recognised_format
from ..landmarks.thin_plate import ThinPlateSpline
from .placement import OLD_PARENT_ROLE, RESULT_ROLE, placement_in_world, step_between
from .vtk_arrays import matrix_from_vtk, vtk_from_matrix, vtk_from_points

SETTINGS_ATTRIBUTE = "MultimodalRegistration.Settings"
# In every file of elastix that holds a transform, and in none that says how to register.
_HOLDS_TRANSFORM = re.compile(rb"^\s*\(?(NumberOfParameters|TransformParameters)\b", re.MULTILINE)
_HEAD_BYTES = 65536


def add_linear_transform_node(
    scene: Any,
    moving_to_fixed_ras: ArrayLike,
    *,
    name: str,
    fixed_node: Any,
    moving_node: Any,
    settings: dict[str, Any],
    node: Any = None,
) -> Any:
    """Add the result of a registration to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    moving_to_fixed_ras : array, shape (4, 4)
        In world coordinates, RAS, mm.
    name : str
        Name of the node.
    fixed_node, moving_node : vtkMRMLVolumeNode
        Referenced by the node in the roles that Slicer has for them.
    settings : dict
        Kept as JSON in the node's attribute :data:`SETTINGS_ATTRIBUTE`.
    node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node, and keeps its name.

    Returns
    -------
    vtkMRMLTransformNode
        Linear. Its parent is the world.
    """
    node = _result_node(scene, node, name, fixed_node, moving_node, settings)
    node.SetMatrixTransformToParent(vtk_from_matrix(moving_to_fixed_ras))
    return node


def add_thin_plate_spline_node(
    scene: Any,
    spline: ThinPlateSpline,
    *,
    name: str,
    fixed_node: Any,
    moving_node: Any,
    settings: dict[str, Any],
    node: Any = None,
) -> Any:
    """Add a thin-plate spline to a scene.

    It is stored from parent, from fixed to moving, as other non-linear results are.

    Parameters
    ----------
    scene, name, fixed_node, moving_node, settings, node
        As for :func:`add_linear_transform_node`.
    spline : ThinPlateSpline
        In world coordinates.

    Returns
    -------
    vtkMRMLTransformNode
        Its parent is the world. Slicer's Transforms module turns it into a grid on request.
    """
    node = _result_node(scene, node, name, fixed_node, moving_node, settings)
    transform = vtk.vtkThinPlateSplineTransform()
    transform.SetBasisToR()
    transform.SetSourceLandmarks(vtk_from_points(flip_points_lps_ras(spline.fixed_lps)))
    # A stiff spline passes beside its landmarks; the one through the points that it passes through is the same spline.
    transform.SetTargetLandmarks(vtk_from_points(flip_points_lps_ras(spline.to_moving(spline.fixed_lps))))
    node.SetAndObserveTransformFromParent(transform)
    return node


def add_file_transform_node(
    scene: Any,
    path: Path,
    *,
    name: str,
    fixed_node: Any,
    moving_node: Any,
    settings: dict[str, Any],
    node: Any = None,
) -> Any:
    """Add a result of any kind to a scene, from its file.

    Parameters
    ----------
    scene, name, fixed_node, moving_node, settings, node
        As for :func:`add_linear_transform_node`.
    path : Path
        ITK transform, ``fixed_to_moving_lps``; not needed afterwards.

    Returns
    -------
    vtkMRMLTransformNode
        As Slicer reads it, with all its parts. Its parent is the world.

    Raises
    ------
    InputError
        Slicer cannot read the file; the scene is as it was.
    """
    read = _result_node(scene, None, name, fixed_node, moving_node, settings)
    read_node_file(read, path)
    if node is None:
        return read
    # Only once it is read: a given node stays as it is where that fails.
    _result_node(scene, node, name, fixed_node, moving_node, settings)
    node.CopyContent(read)
    scene.RemoveNode(read)
    return node


def read_node_file(node: Any, path: Path) -> None:
    """Fill a node with the ITK transform in a file, which is not needed afterwards.

    Parameters
    ----------
    node : vtkMRMLTransformNode
        In a scene, which it leaves where the file cannot be read.
    path : Path
        ``fixed_to_moving_lps``.

    Raises
    ------
    InputError
        Slicer cannot read the file.
    """
    scene = node.GetScene()
    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetScene(scene)
    storage.SetFileName(str(path))
    if not storage.ReadData(node, True):
        scene.RemoveNode(node)
        raise InputError(path, "Slicer cannot read this transform", "Report it, with how the transform was made.")


def add_grid_node(scene: Any, made: DisplacementGrid, *, name: str) -> Any:
    """Add the grid of a spline to a scene: what other ITK programs can read once it is saved.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    made : DisplacementGrid
        From :func:`~MultimodalRegistrationLib.landmarks.thin_plate.spline_grid`.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLTransformNode
        A grid from parent. Its parent is the world.
    """
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(name))
    image = vtk.vtkImageData()
    image.SetDimensions(*made.grid.size)
    image.SetSpacing(*made.grid.spacing_mm)
    # The grid has the axes of LPS; in RAS two of them point the other way.
    image.SetOrigin(*flip_points_lps_ras(made.grid.origin_lps))
    field = sitk.GetArrayFromImage(made.transform.GetDisplacementField())
    image.GetPointData().SetScalars(numpy_to_vtk(flip_points_lps_ras(field).reshape(-1, 3), deep=True))
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetGridDirectionMatrix(vtk_from_matrix(flip_ijk_to_space(np.eye(4))))
    transform.SetInterpolationModeToLinear()
    node.SetAndObserveTransformFromParent(transform)
    return node


def volumes_of_result(node: Any) -> tuple[Any, Any]:
    """The fixed and the moving volume that a result was made of; None where one is gone, or is a list of points."""
    roles = node.GetFixedNodeReferenceRole(), node.GetMovingNodeReferenceRole()
    nodes = (node.GetNodeReference(role) for role in roles)
    fixed, moving = (one if one is not None and one.IsA("vtkMRMLScalarVolumeNode") else None for one in nodes)
    return fixed, moving


def _result_node(scene: Any, node: Any, name: str, fixed_node: Any, moving_node: Any, settings: dict[str, Any]) -> Any:
    """A new node, or the given one emptied: MRML refuses a matrix for a node that holds another kind of transform."""
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(name))
    elif not node.IsLinear():
        # Whichever of the two it holds; the other one is empty already, and setting that would change nothing.
        node.SetAndObserveTransformFromParent(None)
        node.SetAndObserveTransformToParent(None)
    node.SetNodeReferenceID(node.GetFixedNodeReferenceRole(), fixed_node.GetID())
    node.SetNodeReferenceID(node.GetMovingNodeReferenceRole(), moving_node.GetID())
    node.SetAttribute(SETTINGS_ATTRIBUTE, json.dumps(settings))
    return node


def apply_to_moving(result_node: Any, moving_node: Any) -> Any:
    """Put the moving volume onto the fixed one by a result, without hardening anything.

    A result acts in the world. A volume without parent simply gets it as its parent. A volume that already has a
    parent keeps that movement: it gets a new transform that holds its old parent followed by the result. Other
    nodes under the old parent do not move.

    Parameters
    ----------
    result_node : vtkMRMLTransformNode
        From :func:`add_linear_transform_node` or :func:`add_thin_plate_spline_node`.
    moving_node : vtkMRMLTransformableNode
        In the same scene.

    Returns
    -------
    vtkMRMLTransformNode
        The volume's new parent. One that holds the old parent and the result references both, so that
        :func:`~MultimodalRegistrationLib.mrml.placement.placement_without` finds where the volume lay before.
    """
    parent = moving_node.GetParentTransformNode()
    if parent is None:
        moving_node.SetAndObserveTransformNodeID(result_node.GetID())
        return result_node
    scene = moving_node.GetScene()
    name = f"{result_node.GetName()} after {parent.GetName()}"
    combined = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(name))
    placement = placement_in_world(moving_node).then(step_between(result_node, None))
    if placement.matrix_ras is not None:
        combined.SetMatrixTransformToParent(vtk_from_matrix(placement.matrix_ras))
    else:
        combined.SetAndObserveTransformToParent(placement.to_world)
    combined.SetNodeReferenceID(RESULT_ROLE, result_node.GetID())
    combined.SetNodeReferenceID(OLD_PARENT_ROLE, parent.GetID())
    moving_node.SetAndObserveTransformNodeID(combined.GetID())
    return combined


def inverted_copy(node: Any) -> Any:
    """Add the inverse of a transform node to its scene; the node itself stays as it is.

    Parameters
    ----------
    node : vtkMRMLTransformNode
        Any transform that MRML can invert.

    Returns
    -------
    vtkMRMLTransformNode
        Maps what ``node`` maps, the other way round.
    """
    scene = node.GetScene()
    inverse = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(f"{node.GetName()} inverse"))
    inverse.CopyContent(node)
    inverse.Inverse()
    return inverse


def start_from_node(node: Any) -> NDArray[np.float64]:
    """Read a transform node as the start of a registration.

    Parameters
    ----------
    node : vtkMRMLTransformNode
        Moves the moving volume, from where it lies in the world, onto the fixed one. Parents included.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``.

    Raises
    ------
    InputError
        Not linear or not invertible.
    """
    if not node.IsTransformToWorldLinear():
        raise InputError(node.GetName(), "this transform is not linear", "Choose a linear transform as the start.")
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToWorld(matrix)
    moving_to_fixed_ras = matrix_from_vtk(matrix)
    condition = condition_number(moving_to_fixed_ras)
    if condition > LARGEST_CONDITION:
        raise InputError(
            node.GetName(),
            f"this transform cannot be inverted (condition number {condition:.3g})",
            "Choose a transform that does not flatten space.",
        )
    return resampling_lps_from_modelling_ras(moving_to_fixed_ras)


def is_tool_transform(path: Path) -> bool:
    """Whether a file tells its transform by itself, and Slicer has no reader for it: of elastix, or a FreeSurfer LTA.

    DICOM objects come by way of Slicer's DICOM database.
    """
    try:
        name = recognised_format(path)
        if name != "elastix":
            return name == "lta"
        with path.open("rb") as file:
            return _HOLDS_TRANSFORM.search(file.read(_HEAD_BYTES)) is not None
    except (OSError, RegistrationError):
        # Unreadable, or a bare matrix: not a file of these programs, and others may be asked.
        return False


def add_tool_transform(scene: Any, path: Path) -> tuple[Any, str | None]:
    """Add the transform in a file of another program to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node, named after the file.
    path : Path
        As for :func:`~MultimodalRegistrationLib.io.transforms.read_transform`.

    Returns
    -------
    node : vtkMRMLTransformNode
        Applied to the moving volume, it puts it onto the fixed one. Linear where the transform is.
    warning : str or None
        How far the node is from the file, where it cannot be the same.

    Raises
    ------
    InputError
        The file cannot be read; the scene is as it was.
    """
    transform = read_transform(path)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(path.stem))
    if transform.matrix is not None:
        node.SetMatrixTransformToParent(vtk_from_matrix(modelling_ras_from_resampling_lps(transform.matrix)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "transform.h5"
            write_transform(file, transform)
            read_node_file(node, file)
    return node, approximation(transform)
