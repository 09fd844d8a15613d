"""The displacements that carry all structures, with nodes that yield where the field would fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.marked import some_marked
from .contacts import Closeness, closest_approaches
from .field_quality import FieldJacobian, field_jacobian
from .flow import DistanceMap, Flow
from .motions import RigidPath, common_motion
from .nodes import carrying_nodes
from .sampling import sample_displacements

__all__ = ["CarryingField", "carrying_field"]

_TIME_ERROR_MM = 0.02
_PROBES = 5_000
# Time steps matter most close to the structures.
_PROBED_CELLS = 4
_INTERPOLATION_MM = 0.05
# Nodes that come closer to a neighbour than this share of a cell leave no room for what goes on between.
_CLOSEST_CELLS = 0.25
# In a gap, structures can move past each other by some multiple of its width before a grid folds; how large it is
# depends on their shape. Near folds, nodes yield down to these multiples, one after the other.
_MULTIPLES = (8.0, 4.0, 2.0, 1.0)
_NEAR_CELLS = 2


@dataclass(frozen=True, eq=False)
class CarryingField:
    """Displacements and what is known of them.

    Parameters
    ----------
    displacements_mm : array, shape (K, J, I, 3)
        From fixed to moving, LPS.
    common_fixed_to_moving_lps : array, shape (4, 4)
        What all structures have in common.
    time_steps : int
        Of the integration.
    jacobian : FieldJacobian
        Over all nodes.
    flow : Flow
        What was integrated, without what the structures have in common.
    """

    displacements_mm: NDArray[np.float64]
    common_fixed_to_moving_lps: NDArray[np.float64]
    time_steps: int
    jacobian: FieldJacobian
    flow: Flow


def carrying_field(
    names: Sequence[str],
    points_lps: Sequence[NDArray[np.float64]],
    matrices: Sequence[NDArray[np.float64]],
    nodes: VolumeGrid,
    on_fraction: Callable[[float], None],
) -> CarryingField:
    """Find displacements that are rigid at points of structures and do not fold.

    Parameters
    ----------
    names : sequence of str
        Of the structures.
    points_lps : sequence of array, shape (N, 3)
        Their voxels, LPS, mm.
    matrices : sequence of array, shape (4, 4)
        ``fixed_to_moving_lps`` of each; rigid.
    nodes : VolumeGrid
        Where displacements are wanted.
    on_fraction : callable
        Called with the share that is done.

    Raises
    ------
    InputError
        Structures that overlap before, after or on the way.
    """
    common = common_motion(matrices)
    paths = [RigidPath.to(np.linalg.inv(common) @ matrix) for matrix in matrices]
    carried = [carrying_nodes(nodes, points) for points in points_lps]
    distances = [DistanceMap.to(marked, nodes) for marked in carried]
    closeness = closest_approaches(names, paths, carried, distances, nodes)
    _yield(names, carried, distances, [one.gap_mm < _CLOSEST_CELLS * min(nodes.spacing_mm) for one in closeness])
    on_fraction(0.1)
    field = _field(paths, distances, common, carried, matrices, nodes, lambda share: on_fraction(0.1 + 0.7 * share))
    for multiple in _MULTIPLES:
        if not field.jacobian.folded.any():
            break
        if _yield(names, carried, distances, _squeezed(closeness, field.jacobian, 1 / multiple)):
            field = _field(paths, distances, common, carried, matrices, nodes, lambda share: on_fraction(0.8))
    return field


def _squeezed(closeness: Sequence[Closeness], jacobian: FieldJacobian, least_room: float) -> list[NDArray[np.bool_]]:
    near = ndimage.binary_dilation(jacobian.folded, np.ones((3, 3, 3), dtype=bool), iterations=_NEAR_CELLS)
    return [near & (one.room < least_room) for one in closeness]


def _yield(
    names: Sequence[str],
    carried: list[NDArray[np.bool_]],
    distances: list[DistanceMap],
    yielding: Sequence[NDArray[np.bool_]],
) -> bool:
    """Take nodes from the structures, in place; whether there were any."""
    changed = False
    for number, gone in enumerate(yielding):
        if not (carried[number] & gone).any():
            continue
        changed = True
        carried[number] &= ~gone
        if not carried[number].any():
            raise InputError(
                f"The structure '{names[number]}'",
                "nothing of it stays free of its neighbours",
                "Make them one segment, or crop the fixed volume to the structures for a finer grid.",
                code="collision",
            )
        distances[number] = DistanceMap.to(carried[number], distances[number].nodes)
    return changed


def _field(
    paths: Sequence[RigidPath],
    distances: Sequence[DistanceMap],
    common: NDArray[np.float64],
    carried: Sequence[NDArray[np.bool_]],
    matrices: Sequence[NDArray[np.float64]],
    nodes: VolumeGrid,
    on_fraction: Callable[[float], None],
) -> CarryingField:
    flow = Flow(paths, distances)
    near = np.minimum.reduce([distance.distances_mm for distance in distances])
    probes = some_marked((near > 0) & (near < _PROBED_CELLS * max(nodes.spacing_mm)), _PROBES)
    steps = flow.steps_for(apply_matrix(nodes.ijk_to_lps, probes), _TIME_ERROR_MM)

    def displace(points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        return apply_matrix(common, flow.end(points_lps, steps)) - points_lps

    displacements = sample_displacements(displace, nodes, _INTERPOLATION_MM, on_fraction=on_fraction)
    # To the last digit, whatever was interpolated.
    for marked, matrix in zip(carried, matrices, strict=True):
        places = apply_matrix(nodes.ijk_to_lps, np.argwhere(marked)[:, ::-1])
        displacements[marked] = apply_matrix(matrix, places) - places
    return CarryingField(displacements, common, steps, field_jacobian(displacements, nodes), flow)
