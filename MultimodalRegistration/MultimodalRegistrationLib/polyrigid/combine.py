"""One transform of several rigid ones: rigid inside each structure, smooth between them, without folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, is_rigid
from ..core.spatial import SpatialTransform
from ..core.volume import some_marked
from ..transforms.working_grid import DistanceStatistics
from .contacts import closest_approaches
from .field import FieldJacobian, field_grid, field_jacobian, sample_displacements, share_text, structure_nodes
from .flow import DistanceMap, Flow, RigidPath, common_motion
from .structure import Structure

MAX_NODES = 4_000_000
RIGID_MM = 0.1
_RIGID_TOLERANCE = 1e-4
_ROUND_TRIPS_PER_AXIS = 32
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


@dataclass(frozen=True)
class CombinedStructure:
    """How well the combined transform moves one structure as its own transform does.

    Parameters
    ----------
    name : str
        Of the structure.
    voxels : int
        How many it has within the fixed volume.
    deviation_mean_mm, deviation_max_mm : float
        Distance from where its own rigid transform puts its voxels.
    yielding_share : float
        Share of its voxels that are more than :data:`RIGID_MM` off, because they are too close to a neighbour.
    """

    name: str
    voxels: int
    deviation_mean_mm: float
    deviation_max_mm: float
    yielding_share: float


@dataclass(frozen=True, eq=False)
class CombinedTransform:
    """One transform for all structures.

    Parameters
    ----------
    transform : SimpleITK.DisplacementFieldTransform
        ``fixed_to_moving_lps``, over the whole box of the fixed volume.
    nodes : VolumeGrid
        Of its displacements.
    common_fixed_to_moving_lps : array, shape (4, 4)
        What all structures have in common, and what remains far from them.
    time_steps : int
        Of the integration; half of them would change no probe by more than 0.02 mm.
    structures : tuple of CombinedStructure
        In the order given.
    jacobian : FieldJacobian
        Over all nodes.
    round_trip : DistanceStatistics
        Inverse consistency: from points spread over the fixed volume to where the inverse, integrated on its own,
        takes them.
    warnings : tuple of str
        What the user should know.
    """

    transform: sitk.DisplacementFieldTransform
    nodes: VolumeGrid
    common_fixed_to_moving_lps: NDArray[np.float64]
    time_steps: int
    structures: tuple[CombinedStructure, ...]
    jacobian: FieldJacobian
    round_trip: DistanceStatistics
    warnings: tuple[str, ...]


class _Field(NamedTuple):
    """Displacements at nodes, shape (K, J, I, 3), from fixed to moving, and what is known of them.

    ``flow`` is what was integrated, without ``common_fixed_to_moving_lps``, which the structures have in common.
    """

    displacements_mm: NDArray[np.float64]
    common_fixed_to_moving_lps: NDArray[np.float64]
    time_steps: int
    jacobian: FieldJacobian
    flow: Flow


def combine_rigid(
    grid: VolumeGrid,
    structures: Sequence[Structure],
    fixed_to_moving_lps: Sequence[ArrayLike],
    *,
    max_nodes: int = MAX_NODES,
    on_fraction: Callable[[float], None] = lambda fraction: None,
) -> CombinedTransform:
    """Combine the rigid transforms of structures.

    Parameters
    ----------
    grid : VolumeGrid
        Of the fixed volume.
    structures : sequence of Structure
        One or more.
    fixed_to_moving_lps : sequence of array, shape (4, 4)
        Rigid transform of each, LPS, mm.
    max_nodes : int, optional
        The displacements are stored at the voxels of the fixed volume if these are not more, else more coarsely.
    on_fraction : callable, optional
        Called with the share that is done. What it raises ends the work.

    Returns
    -------
    CombinedTransform
        With what was measured on it.

    Raises
    ------
    InputError
        No structure; a transform that is not rigid; a structure outside of the fixed volume; structures that overlap
        before, after or on the way.
    """
    if not structures:
        raise InputError("The structures", "there is none", "Give at least one.")
    matrices = [np.asarray(matrix, dtype=np.float64) for matrix in fixed_to_moving_lps]
    points = []
    for one, matrix in zip(structures, matrices, strict=True):
        if not is_rigid(matrix, _RIGID_TOLERANCE):
            raise InputError(
                f"The transform of '{one.name}'", "it is not rigid", "Use a rigid preset: bones keep their size."
            )
        places = one.points_lps
        points.append(places[grid.contains(places)])
        if len(points[-1]) == 0:
            raise InputError(
                one.mask.name,
                "it lies outside of the fixed volume",
                "Give a segmentation that was drawn on the fixed volume.",
            )
    nodes = field_grid(grid, max_nodes)
    names = [one.name for one in structures]
    field = _smooth_field(names, points, matrices, nodes, lambda share: on_fraction(0.9 * share))
    image = sitk.GetImageFromArray(field.displacements_mm, isVector=True)
    nodes.place(image)
    transform = sitk.DisplacementFieldTransform(image)
    on_fraction(0.9)
    spatial = SpatialTransform("combined", transform)
    moved = zip(structures, points, matrices, strict=True)
    found = tuple(_combined(spatial, one.name, places, matrix) for one, places, matrix in moved)
    # There by the field, and back by the flow backward in time.
    starts = grid.sample_points_lps(_ROUND_TRIPS_PER_AXIS)
    ends = apply_matrix(np.linalg.inv(field.common_fixed_to_moving_lps), spatial.to_moving(starts))
    round_trip_mm = np.linalg.norm(field.flow.begin(ends, field.time_steps) - starts, axis=1)
    return CombinedTransform(
        transform=transform,
        nodes=nodes,
        common_fixed_to_moving_lps=field.common_fixed_to_moving_lps,
        time_steps=field.time_steps,
        structures=found,
        jacobian=field.jacobian,
        round_trip=DistanceStatistics.of(round_trip_mm),
        warnings=_warnings(found, field.jacobian),
    )


def _smooth_field(
    names: Sequence[str],
    points_lps: Sequence[NDArray[np.float64]],
    matrices: Sequence[NDArray[np.float64]],
    nodes: VolumeGrid,
    on_fraction: Callable[[float], None],
) -> _Field:
    """Find displacements that are rigid at points of structures and do not fold; where they would, nodes yield."""
    common = common_motion(matrices)
    paths = [RigidPath.to(np.linalg.inv(common) @ matrix) for matrix in matrices]
    distances = [DistanceMap.to(structure_nodes(nodes, points), nodes) for points in points_lps]
    closeness = closest_approaches(names, paths, distances)
    _yield(names, distances, [one.gap_mm < _CLOSEST_CELLS * min(nodes.spacing_mm) for one in closeness])
    on_fraction(0.1)
    field = _integrated(paths, distances, common, matrices, lambda share: on_fraction(0.1 + 0.7 * share))
    for multiple in _MULTIPLES:
        if not field.jacobian.folded.any():
            break
        near = ndimage.binary_dilation(field.jacobian.folded, np.ones((3, 3, 3), dtype=bool), iterations=_NEAR_CELLS)
        if _yield(names, distances, [near & (one.room < 1 / multiple) for one in closeness]):
            field = _integrated(paths, distances, common, matrices, lambda share: on_fraction(0.8))
    return field


def _yield(names: Sequence[str], distances: list[DistanceMap], yielding: Sequence[NDArray[np.bool_]]) -> bool:
    """Take nodes from the structures, in place; whether there were any."""
    changed = False
    for number, gone in enumerate(yielding):
        inside = distances[number].inside
        if not (inside & gone).any():
            continue
        changed = True
        if not (inside & ~gone).any():
            raise InputError(
                f"The structure '{names[number]}'",
                "nothing of it stays free of its neighbours",
                "Make them one segment, or crop the fixed volume to the structures for a finer grid.",
                code="collision",
            )
        distances[number] = DistanceMap.to(inside & ~gone, distances[number].nodes)
    return changed


def _integrated(
    paths: Sequence[RigidPath],
    distances: Sequence[DistanceMap],
    common: NDArray[np.float64],
    matrices: Sequence[NDArray[np.float64]],
    on_fraction: Callable[[float], None],
) -> _Field:
    nodes = distances[0].nodes
    flow = Flow(paths, distances)
    near = np.minimum.reduce([distance.distances_mm for distance in distances])
    probes = some_marked((near > 0) & (near < _PROBED_CELLS * max(nodes.spacing_mm)), _PROBES)
    steps = flow.steps_for(apply_matrix(nodes.ijk_to_lps, probes), _TIME_ERROR_MM)

    def displace(points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        return apply_matrix(common, flow.end(points_lps, steps)) - points_lps

    displacements = sample_displacements(displace, nodes, _INTERPOLATION_MM, on_fraction=on_fraction)
    # To the last digit, whatever was interpolated.
    for distance, matrix in zip(distances, matrices, strict=True):
        places = apply_matrix(nodes.ijk_to_lps, np.argwhere(distance.inside)[:, ::-1])
        displacements[distance.inside] = apply_matrix(matrix, places) - places
    return _Field(displacements, common, steps, field_jacobian(displacements, nodes), flow)


def _combined(
    transform: SpatialTransform, name: str, points_lps: NDArray[np.float64], matrix: NDArray[np.float64]
) -> CombinedStructure:
    off = np.linalg.norm(transform.to_moving(points_lps) - apply_matrix(matrix, points_lps), axis=1)
    return CombinedStructure(name, len(points_lps), float(off.mean()), float(off.max()), float(np.mean(off > RIGID_MM)))


def _warnings(structures: Sequence[CombinedStructure], jacobian: FieldJacobian) -> tuple[str, ...]:
    found = [
        f"{round(one.yielding_share * one.voxels)} of the {one.voxels} voxels of '{one.name}' are too close to a "
        f"neighbour that moves differently; in the combined transform they are up to {one.deviation_max_mm:.1f} mm "
        "off. Leave a gap in the segmentation, or use the transform of the structure itself."
        for one in structures
        if one.yielding_share > 0
    ]
    folded = int(np.count_nonzero(jacobian.folded))
    if folded:
        found.append(
            f"The combined transform folds at {folded} of its {jacobian.folded.size} nodes "
            f"({share_text(jacobian.folded_share)}): structures move far past each other through a narrow gap. Check "
            "their transforms; crop the fixed volume to the structures for a finer grid."
        )
    return tuple(found)
