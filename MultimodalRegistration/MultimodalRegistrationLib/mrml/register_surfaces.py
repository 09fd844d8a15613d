"""Registration by shape with nodes in and a transform node out."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.points import LandmarkList
from ..core.surface import Surface
from ..landmarks.icp import Model, Overlap
from ..landmarks.surface_registration import register_surface
from ..landmarks.surface_result import SurfaceRegistration, surface_content
from .landmarks import landmarks_of_node
from .moved_nodes import check_output, is_moved_by
from .surfaces import segment_title, surface_from_model_node, surface_from_segment
from .transforms import add_linear_transform_node, start_from_node
from .vtk_arrays import matrix_from_vtk

__all__ = ["add_surface_registration", "check_shapes", "movement_so_far", "register_surface_nodes"]


def register_surface_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    fixed_segment: str | None = None,
    moving_segment: str | None = None,
    model: Model = "rigid",
    overlap: Overlap = "auto",
    initial_transform_node: Any = None,
    seed: int = 0,
    node: Any = None,
) -> tuple[Any, SurfaceRegistration]:
    """Lay the shape of one node on that of another.

    Everything is computed in world coordinates: parent transforms are honoured, hardened or not.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the transform node; nothing else in it changes.
    fixed_node, moving_node : vtkMRMLModelNode, vtkMRMLSegmentationNode or vtkMRMLMarkupsNode
        The shapes. One of them may be markups: points on the surface of the other. Points that are not placed or not
        selected are left out.
    fixed_segment, moving_segment : str, optional
        Identifier or name of the segment; of segmentations only, which need it.
    model, overlap, seed
        See :func:`~MultimodalRegistrationLib.landmarks.surface_registration.register_surface`.
    initial_transform_node : vtkMRMLTransformNode, optional
        Moves the moving shape, from where it lies in the world, onto the fixed one: an additional start.
    node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node, and keeps its name. If it has moved the moving shape already, it holds
        that movement followed by the new one.

    Returns
    -------
    node : vtkMRMLTransformNode
        Linear. Maps what lies on the moving shape in the world onto the fixed one.
    result : SurfaceRegistration
        The transform with the distances that are left.

    Raises
    ------
    InputError
        A node without a shape, markups on both sides, a segment that is missing or does not belong there, or as
        :func:`~MultimodalRegistrationLib.landmarks.surface_registration.register_surface`.
    """
    before_ras = movement_so_far(node, fixed_node, moving_node)
    check_shapes(fixed_node, moving_node, fixed_segment, moving_segment)
    fixed, moving = _shape(fixed_node, fixed_segment), _shape(moving_node, moving_segment)
    result = register_surface(
        fixed,
        moving,
        model=model,
        overlap=overlap,
        initial_fixed_to_moving_lps=None if initial_transform_node is None else start_from_node(initial_transform_node),
        seed=seed,
    )
    inputs: dict[str, str | None] = {
        f"{role}_{'surface' if isinstance(shape, Surface) else 'landmarks'}": shape.name
        for role, shape in (("fixed", fixed), ("moving", moving))
    }
    inputs["initial_transform"] = None if initial_transform_node is None else initial_transform_node.GetName()
    content = surface_content(result, inputs=inputs)
    name = f"{moving.name} to {fixed.name}"
    made = add_surface_registration(
        scene,
        content,
        fixed_node=fixed_node,
        moving_node=moving_node,
        before_ras=before_ras,
        name=name,
        node=node,
    )
    return made, result


def add_surface_registration(
    scene: Any,
    content: dict[str, Any],
    *,
    fixed_node: Any,
    moving_node: Any,
    before_ras: NDArray[np.float64],
    name: str,
    node: Any,
) -> Any:
    """Add the result of a registration by shape to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the transform node; nothing else in it changes.
    content : dict
        From :func:`~MultimodalRegistrationLib.landmarks.surface_result.surface_content`.
    fixed_node, moving_node : vtkMRMLNode
        The shapes.
    before_ras : array, shape (4, 4)
        From :func:`movement_so_far`.
    name : str
        Of a new node.
    node : vtkMRMLTransformNode or None
        Gets the result in place of a new node.

    Returns
    -------
    vtkMRMLTransformNode
        As of :func:`register_surface_nodes`.
    """
    return add_linear_transform_node(
        scene,
        np.array(content["transform"]["moving_to_fixed_ras"]) @ before_ras,
        name=name,
        fixed_node=fixed_node,
        moving_node=moving_node,
        settings=content,
        node=node,
    )


def check_shapes(fixed_node: Any, moving_node: Any, fixed_segment: str | None, moving_segment: str | None) -> None:
    """Refuse nodes that hold no shapes that can be registered; parameters as of :func:`register_surface_nodes`.

    Raises
    ------
    InputError
        A kind of node without a shape, markups on both sides, a segment that is missing or does not belong there.
    """
    for node, segment in ((fixed_node, fixed_segment), (moving_node, moving_segment)):
        name, kind = node.GetName(), node.GetClassName()
        if node.IsA("vtkMRMLSegmentationNode"):
            if segment is None:
                raise InputError(name, "no segment was chosen", "Choose the segment that holds the shape.")
            segment_title(node, segment)
        elif segment is not None:
            raise InputError(
                name, f"segment '{segment}' of a {kind}", "Only segmentations have segments; leave it out."
            )
        elif not node.IsA("vtkMRMLMarkupsNode") and not node.IsA("vtkMRMLModelNode"):
            raise InputError(
                name, f"this holds no shape ({kind})", "Choose a model, a segmentation or a list of points."
            )
    if fixed_node.IsA("vtkMRMLMarkupsNode") and moving_node.IsA("vtkMRMLMarkupsNode"):
        raise InputError(
            f"{fixed_node.GetName()} and {moving_node.GetName()}",
            "both are lists of points",
            "Choose a model or a segment for one side, or register the points as pairs of landmarks.",
        )


def movement_so_far(node: Any, fixed_node: Any, moving_node: Any) -> NDArray[np.float64]:
    """How an output, or None, has moved the moving shape already, RAS, shape (4, 4).

    Raises
    ------
    InputError
        The output has a parent, moves the fixed shape, or moves the moving one and is not linear.
    """
    if node is None:
        return np.eye(4)
    check_output(node, fixed_node)
    if not is_moved_by(node, moving_node):
        return np.eye(4)
    if not node.IsLinear():
        raise InputError(
            node.GetName(),
            f"{moving_node.GetName()} lies under this transform, which is not linear",
            "Harden it first, or choose another output transform.",
        )
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    return matrix_from_vtk(matrix)


def _shape(node: Any, segment: str | None) -> Surface | LandmarkList:
    if node.IsA("vtkMRMLMarkupsNode"):
        return landmarks_of_node(node)
    return surface_from_model_node(node) if segment is None else surface_from_segment(node, segment)
