"""Markups nodes as landmarks, and registration with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from ..core.errors import InputError
from ..core.frames import flip_matrix_lps_ras, flip_points_lps_ras
from ..core.points import Landmark, LandmarkList, Pairing, Pairs
from ..landmarks.models import LinearFit, ModelName
from ..landmarks.pairing import pair_landmarks, pair_targets
from ..landmarks.prealign import Prealignment, prealign
from ..landmarks.report import prealignment_content
from ..landmarks.thin_plate import ThinPlateSpline
from .moved_nodes import check_output
from .placement import Placement, placement_in_world, placement_without
from .transforms import add_linear_transform_node, add_thin_plate_spline_node


def landmarks_of_node(node: Any, placement: Placement | None = None) -> LandmarkList:
    """Read the control points of a markups node where they lie in the world, parent transforms included.

    Parameters
    ----------
    node : vtkMRMLMarkupsNode
        Of any type; not changed.
    placement : Placement, optional
        Where they are read instead.

    Returns
    -------
    LandmarkList
        All control points, LPS, mm. Those whose position is not defined (being placed, skipped) are not placed.

    Raises
    ------
    InputError
        Not a markups node, no control points, or a position that is not finite in the world.
    """
    name = node.GetName()
    if not node.IsA("vtkMRMLMarkupsNode"):
        raise InputError(name, f"this holds no landmarks ({node.GetClassName()})", "Choose a point list.")
    count = node.GetNumberOfControlPoints()
    if count == 0:
        raise InputError(name, "the list holds no points", "Place points in it first.")
    placement = placement or placement_in_world(node)
    return LandmarkList(name, tuple(_landmark(node, index, placement) for index in range(count)))


def _landmark(node: Any, index: int, placement: Placement) -> Landmark:
    label = node.GetNthControlPointLabel(index)
    selected = bool(node.GetNthControlPointSelected(index))
    if node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
        return Landmark(label, None, selected)
    position_ras = placement.points_in_world(node.GetNthControlPointPosition(index))[0]
    if not np.all(np.isfinite(position_ras)):
        raise InputError(
            node.GetName(),
            f"point {index + 1} '{label}' lies at {tuple(position_ras.tolist())} in the world",
            "Place it again, and check the transform above the list.",
        )
    x, y, z = flip_points_lps_ras(position_ras).tolist()
    return Landmark(label, (x, y, z), selected)


@contextmanager
def active_list_kept(scene: Any) -> Iterator[None]:
    """Add markups of the program's own: the application would place the user's next points in what came last."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    if selection is None:
        yield
        return
    kind, identifier = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    try:
        yield
    finally:
        selection.SetReferenceActivePlaceNodeClassName(kind)
        selection.SetReferenceActivePlaceNodeID(identifier)


def add_landmark_node(scene: Any, landmarks: LandmarkList, *, name: str) -> Any:
    """Add a list of landmarks to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node and its display node.
    landmarks : LandmarkList
        LPS, mm. Points that are not placed or not selected stay so.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLMarkupsFiducialNode
        Its parent is the world.
    """
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    for landmark in landmarks.landmarks:
        position_ras = flip_points_lps_ras(landmark.position_lps or (0.0, 0.0, 0.0)).tolist()
        index = node.AddControlPoint(*position_ras, landmark.label)
        # Slicer invents a label where it is given none.
        node.SetNthControlPointLabel(index, landmark.label)
        node.SetNthControlPointSelected(index, landmark.selected)
        if not landmark.placed:
            node.UnsetNthControlPointPosition(index)
    return node


def pairs_of_nodes(
    fixed_node: Any, moving_node: Any, *, how: Pairing, mirrored_allowed: bool = False, without: Any = None
) -> Pairs | None:
    """Pair the points of two optional nodes, in world coordinates; None when neither is given.

    With ``without``, a result that moved points, they are taken where they lie without it.

    Raises
    ------
    InputError
        One is given without the other, or the points cannot be paired.
    """
    if not both_given("The landmarks", fixed_node, moving_node):
        return None
    fixed, moving = (_landmarks(node, without) for node in (fixed_node, moving_node))
    return pair_landmarks(fixed, moving, how=how, mirrored_allowed=mirrored_allowed)


def _landmarks(node: Any, without: Any) -> LandmarkList:
    return landmarks_of_node(node, None if without is None else placement_without(node, [without]))


def both_given(what: str, fixed_node: Any, moving_node: Any) -> bool:
    """Tell whether two nodes are given.

    Parameters
    ----------
    what : str
        What they hold, for messages.
    fixed_node, moving_node : vtkMRMLNode or None
        Of the two sides.

    Raises
    ------
    InputError
        Only one of them is given.
    """
    if (fixed_node is None) != (moving_node is None):
        name = (moving_node if fixed_node is None else fixed_node).GetName()
        raise InputError(what, f"{name} was given without its partner", "Choose both, or none.")
    return fixed_node is not None


def prealign_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    model: ModelName | Literal["auto"] = "rigid",
    pairing: Pairing = "order",
    fixed_targets_node: Any = None,
    moving_targets_node: Any = None,
    node: Any = None,
    **options: Any,
) -> tuple[Any, Prealignment]:
    """Fit a transform to two lists of points.

    Everything is computed in world coordinates: parent transforms of the lists are honoured, hardened or not.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the transform node; nothing else in it changes.
    fixed_node, moving_node : vtkMRMLMarkupsNode
        The landmarks. Points that are not placed or not selected are left out.
    model, pairing : str, optional
        See :func:`~MultimodalRegistrationLib.landmarks.prealign.prealign` and
        :func:`~MultimodalRegistrationLib.landmarks.pairing.pair_landmarks`.
    fixed_targets_node, moving_targets_node : vtkMRMLMarkupsNode, optional
        Independent points, paired by label where both lists have the same, else by order; both or none.
    node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node, and keeps its name. Points that it has moved so far are taken where they
        lie without it.
    **options
        Passed to :func:`~MultimodalRegistrationLib.landmarks.prealign.prealign`: confidence, stiffness_mm, reflection,
        localisation_error_mm, over_fixed_lps, over_name.

    Returns
    -------
    node : vtkMRMLTransformNode
        Maps what lies on the moving volume in the world onto the fixed one: linear, or a thin-plate spline.
    result : Prealignment
        The transform with its errors.

    Raises
    ------
    InputError
        As the functions above.
    """
    if node is not None:
        check_output(node, fixed_node)
    pairs = pairs_of_nodes(
        fixed_node, moving_node, how=pairing, mirrored_allowed=options.get("reflection", False), without=node
    )
    if pairs is None:
        raise InputError("The landmarks", "no lists were given", "Choose a list of points for each volume.")
    targets = None
    if both_given("The targets", fixed_targets_node, moving_targets_node):
        targets = pair_targets(_landmarks(fixed_targets_node, node), _landmarks(moving_targets_node, node))
    result = prealign(pairs, model=model, targets=targets, **options)
    return add_prealignment_node(scene, result, fixed_node, moving_node, node=node), result


def add_prealignment_node(
    scene: Any, result: Prealignment, fixed_node: Any, moving_node: Any, *, node: Any = None
) -> Any:
    """Add the transform of a prealignment to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    result : Prealignment
        What was fitted.
    fixed_node, moving_node : vtkMRMLMarkupsNode
        The lists, referenced by the node.
    node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node, and keeps its name.

    Returns
    -------
    vtkMRMLTransformNode
        As of :func:`prealign_nodes`.
    """
    nodes = {"fixed_landmarks": fixed_node, "moving_landmarks": moving_node}
    placement = {
        "name": f"{moving_node.GetName()} to {fixed_node.GetName()}",
        "fixed_node": fixed_node,
        "moving_node": moving_node,
        "settings": prealignment_content(result, inputs={role: one.GetName() for role, one in nodes.items()}),
        "node": node,
    }
    if isinstance(result.fit, LinearFit):
        return add_linear_transform_node(scene, flip_matrix_lps_ras(result.fit.moving_to_fixed_lps), **placement)
    assert isinstance(result.fit, ThinPlateSpline)
    return add_thin_plate_spline_node(scene, result.fit, **placement)
