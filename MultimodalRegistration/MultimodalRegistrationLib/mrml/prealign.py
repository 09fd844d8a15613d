"""Landmark registration with markups nodes in and a transform node out."""

from __future__ import annotations

from typing import Any, Literal

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.frames import flip_matrix_lps_ras
from MultimodalRegistrationLib.landmarks.models import LinearFit, ModelName
from MultimodalRegistrationLib.landmarks.pairing import pair_landmarks, pair_targets
from MultimodalRegistrationLib.landmarks.points import Pairing, Pairs
from MultimodalRegistrationLib.landmarks.prealign import Prealignment, prealign
from MultimodalRegistrationLib.landmarks.report import prealignment_content
from MultimodalRegistrationLib.landmarks.thin_plate import ThinPlateSpline
from MultimodalRegistrationLib.mrml.landmarks import landmarks_of_node
from MultimodalRegistrationLib.mrml.transforms import add_linear_transform_node, add_thin_plate_spline_node

__all__ = ["both_given", "pairs_of_nodes", "prealign_nodes"]


def pairs_of_nodes(fixed_node: Any, moving_node: Any, *, how: Pairing, mirrored_allowed: bool = False) -> Pairs | None:
    """Pair the points of two optional nodes, in world coordinates; None when neither is given.

    Raises
    ------
    InputError
        One is given without the other, or the points cannot be paired.
    """
    if not both_given("The landmarks", fixed_node, moving_node):
        return None
    return pair_landmarks(
        landmarks_of_node(fixed_node), landmarks_of_node(moving_node), how=how, mirrored_allowed=mirrored_allowed
    )


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
    **options
        Passed to :func:`~MultimodalRegistrationLib.landmarks.prealign.prealign`: confidence, stiffness_mm, reflection,
        localisation_error_mm.

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
    pairs = pairs_of_nodes(fixed_node, moving_node, how=pairing, mirrored_allowed=options.get("reflection", False))
    if pairs is None:
        raise InputError("The landmarks", "no lists were given", "Choose a list of points for each volume.")
    targets = None
    if both_given("The targets", fixed_targets_node, moving_targets_node):
        targets = pair_targets(landmarks_of_node(fixed_targets_node), landmarks_of_node(moving_targets_node))
    result = prealign(pairs, model=model, targets=targets, **options)
    nodes = {"fixed_landmarks": fixed_node, "moving_landmarks": moving_node}
    settings = prealignment_content(result, inputs={role: node.GetName() for role, node in nodes.items()})
    placement = {
        "name": f"{moving_node.GetName()} to {fixed_node.GetName()}",
        "fixed_node": fixed_node,
        "moving_node": moving_node,
        "settings": settings,
    }
    if isinstance(result.fit, LinearFit):
        return add_linear_transform_node(
            scene, flip_matrix_lps_ras(result.fit.moving_to_fixed_lps), **placement
        ), result
    assert isinstance(result.fit, ThinPlateSpline)
    return add_thin_plate_spline_node(scene, result.fit, **placement), result
