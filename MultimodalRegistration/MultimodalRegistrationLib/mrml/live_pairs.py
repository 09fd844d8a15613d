"""The points of two nodes as they are at the moment, paired, with everything that keeps them from being fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import slicer.util
import vtk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.frames import flip_ijk_to_space, flip_points_lps_ras
from ..core.grid import VolumeGrid
from ..core.points import LandmarkList, Pairing, Pairs
from ..landmarks.pairing import PairRow, pair_landmarks, pair_rows, pair_targets, pairs_of_rows, with_unique_labels
from .landmarks import landmarks_of_node
from .placement import Placement, placement_in_world, placement_without
from .scene_nodes import nodes_of_class
from .vtk_arrays import matrix_from_vtk


@dataclass(frozen=True)
class LivePairs:
    """Two lists side by side.

    Parameters
    ----------
    fixed, moving : LandmarkList
        All points, with names that are short and told apart.
    rows : tuple of PairRow
        Pairs and single points.
    pairs : Pairs
        What a fit uses; may be empty.
    problem : InputError or None
        Why the lists cannot be paired as asked for.
    """

    fixed: LandmarkList
    moving: LandmarkList
    rows: tuple[PairRow, ...]
    pairs: Pairs
    problem: InputError | None


def read_pairs(
    fixed_node: Any,
    moving_node: Any,
    *,
    how: Pairing,
    partners: Mapping[str, str] | None = None,
    without: Any = None,
) -> LivePairs:
    """Read two lists of points and put them side by side.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLMarkupsNode
        The lists.
    how : {"order", "label", "auto"}
        How to pair them.
    partners : mapping of str to str, optional
        For ``auto``, from :func:`match_nodes`.
    without : vtkMRMLTransformNode, optional
        A result that may have moved points: they are taken where they lie without it.

    Returns
    -------
    LivePairs
        Empty lists are shown too.
    """
    lists = [_points(node, without) for node in (fixed_node, moving_node)]
    problem = None
    if how != "auto":
        try:
            for node in (fixed_node, moving_node):
                landmarks_of_node(node, _placement(node, without))
            pair_landmarks(*lists, how=how)
        except InputError as error:
            problem = error
    couples = _couples(fixed_node, moving_node, partners or {})
    floating = [_floating(node) for node in (fixed_node, moving_node)]
    rows = tuple(
        row
        for row in pair_rows(*lists, how=how, couples=couples)
        if row.fixed_index not in floating[0] or row.moving_index not in floating[1]
    )
    fixed, moving = (with_unique_labels(one) for one in lists)
    return LivePairs(fixed, moving, rows, pairs_of_rows(fixed, moving, rows, how=how), problem)


def _floating(node: Any) -> set[int | None]:
    """No point, or the one that follows the mouse before it is placed: a preview, which comes and goes."""
    count = range(node.GetNumberOfControlPoints())
    return {None, *(i for i in count if node.GetNthControlPointPositionStatus(i) == node.PositionPreview)}


def _placement(node: Any, without: Any) -> Placement | None:
    return None if without is None else placement_without(node, [without])


def _points(node: Any, without: Any) -> LandmarkList:
    if node.GetNumberOfControlPoints() == 0:
        return LandmarkList(node.GetName(), ())
    return landmarks_of_node(node, _placement(node, without))


def _couples(fixed_node: Any, moving_node: Any, partners: Mapping[str, str]) -> list[tuple[int, int]]:
    """Indices of the partners that are still there."""
    couples = []
    for fixed_id, moving_id in partners.items():
        i, j = fixed_node.GetNthControlPointIndexByID(fixed_id), moving_node.GetNthControlPointIndexByID(moving_id)
        if i >= 0 and j >= 0:
            couples.append((i, j))
    return couples


def match_nodes(
    fixed_node: Any, moving_node: Any, *, mirrored_allowed: bool = False, without: Any = None
) -> dict[str, str]:
    """Find partners by the positions of the points alone; takes up to seconds.

    Returns
    -------
    dict of str to str
        Identifiers of control points, fixed to moving: they stay the same when points are added or removed.

    Raises
    ------
    InputError
        No certain correspondence.
    """
    fixed, moving = (landmarks_of_node(node, _placement(node, without)) for node in (fixed_node, moving_node))
    pairs = pair_landmarks(fixed, moving, how="auto", mirrored_allowed=mirrored_allowed)
    return {
        fixed_node.GetNthControlPointID(i): moving_node.GetNthControlPointID(j)
        for i, j in zip(pairs.fixed_index, pairs.moving_index, strict=True)
    }


def read_targets(fixed_node: Any, moving_node: Any, *, without: Any = None) -> Pairs:
    """Pair two lists of targets, by label where both have the same, else by order.

    Raises
    ------
    InputError
        They cannot be paired, or one is empty.
    """
    fixed, moving = (landmarks_of_node(node, _placement(node, without)) for node in (fixed_node, moving_node))
    pairs = pair_targets(fixed, moving)
    named, partner = (with_unique_labels(one) for one in (fixed, moving))
    return Pairs(named, partner, pairs.fixed_index, pairs.moving_index, pairs.how, pairs.notes)


def points_over_volume(node: Any, count_per_axis: int, *, without: Any = None) -> NDArray[np.float64]:
    """Points spread evenly over a volume where it lies in the world, and its corners, shape (N, 3), LPS, mm."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    i, j, k = node.GetImageData().GetDimensions()
    grid = VolumeGrid.of_matrix((i, j, k), flip_ijk_to_space(matrix_from_vtk(ijk_to_ras)))
    points_ras = flip_points_lps_ras(grid.places_lps(count_per_axis))
    placement = _placement(node, without) or placement_in_world(node)
    return flip_points_lps_ras(placement.points_in_world(points_ras))


def select_pair(row: PairRow, fixed_node: Any, moving_node: Any, *, selected: bool) -> None:
    """Let fits use a pair or not: the points are selected or unselected, as everywhere in Slicer."""
    for node, index in ((fixed_node, row.fixed_index), (moving_node, row.moving_index)):
        if index is not None:
            node.SetNthControlPointSelected(index, selected)


def exchange_points(node: Any, first: int, second: int) -> None:
    """Let two points of a list change places; labels and everything else stay."""
    positions = [node.GetNthControlPointPosition(index) for index in (first, second)]
    with slicer.util.NodeModify(node):
        for index, position in zip((second, first), positions, strict=True):
            node.SetNthControlPointPosition(index, *position)


def placed_at(node: Any, index: int) -> list[float] | None:
    """Where a point lies in the world, RAS, mm; None where it is not placed."""
    if node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
        return None
    position_ras = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, position_ras)
    return position_ras


def jump_to_point(node: Any, index: int) -> bool:
    """Centre all slice views of the node's scene on a point; False where it is not placed."""
    position_ras = placed_at(node, index)
    if position_ras is None:
        return False
    for view in nodes_of_class(node.GetScene(), "vtkMRMLSliceNode"):
        view.JumpSliceByCentering(*position_ras)
    return True
