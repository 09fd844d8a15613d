"""One transform of several rigid ones: rigid inside each structure, smooth between them, without folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, is_rigid
from ..core.spatial import SpatialTransform
from ..transforms.distance_statistics import DistanceStatistics
from .carrying import CarryingField, carrying_field
from .field_quality import FieldJacobian, share_words
from .nodes import field_grid
from .structure import Structure

__all__ = ["MOST_NODES", "RIGID_MM", "CarriedStructure", "CombinedTransform", "combine_rigid"]

MOST_NODES = 4_000_000
RIGID_MM = 0.1
_RIGID_TOLERANCE = 1e-4
_RETURNING_PER_AXIS = 32


@dataclass(frozen=True)
class CarriedStructure:
    """How well the combined transform carries one structure.

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
    structures : tuple of CarriedStructure
        In the order given.
    jacobian : FieldJacobian
        Over all nodes.
    round_trip : DistanceStatistics
        From points spread over the fixed volume to where the inverse, integrated on its own, brings them back.
    warnings : tuple of str
        What the user should know.
    """

    transform: sitk.DisplacementFieldTransform
    nodes: VolumeGrid
    common_fixed_to_moving_lps: NDArray[np.float64]
    time_steps: int
    structures: tuple[CarriedStructure, ...]
    jacobian: FieldJacobian
    round_trip: DistanceStatistics
    warnings: tuple[str, ...]


def combine_rigid(
    grid: VolumeGrid,
    structures: Sequence[Structure],
    fixed_to_moving_lps: Sequence[ArrayLike],
    *,
    most_nodes: int = MOST_NODES,
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
    most_nodes : int, optional
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
    matrices = [np.asarray(matrix, dtype=np.float64) for matrix in fixed_to_moving_lps]
    points = [_points_inside(grid, one) for one in structures]
    _check(structures, matrices)
    nodes = field_grid(grid, most_nodes)
    names = [one.name for one in structures]
    field = carrying_field(names, points, matrices, nodes, lambda share: on_fraction(0.9 * share))
    image = sitk.GetImageFromArray(field.displacements_mm, isVector=True)
    nodes.place(image)
    transform = sitk.DisplacementFieldTransform(image)
    on_fraction(0.9)
    spatial = SpatialTransform("combined", transform)
    found = tuple(
        _carried(spatial, one, some, matrix) for one, some, matrix in zip(structures, points, matrices, strict=True)
    )
    round_trip = _round_trip(spatial, field, grid)
    return CombinedTransform(
        transform=transform,
        nodes=nodes,
        common_fixed_to_moving_lps=field.common_fixed_to_moving_lps,
        time_steps=field.time_steps,
        structures=found,
        jacobian=field.jacobian,
        round_trip=round_trip,
        warnings=_warnings(found, field.jacobian),
    )


def _check(structures: Sequence[Structure], matrices: Sequence[NDArray[np.float64]]) -> None:
    if not structures:
        raise InputError("The structures", "there is none", "Give at least one.")
    for one, matrix in zip(structures, matrices, strict=True):
        if not is_rigid(matrix, _RIGID_TOLERANCE):
            raise InputError(
                f"The transform of '{one.name}'", "it is not rigid", "Use a rigid preset: bones keep their size."
            )


def _points_inside(grid: VolumeGrid, structure: Structure) -> NDArray[np.float64]:
    points = structure.points_lps
    points = points[grid.contains(points)]
    if len(points) == 0:
        raise InputError(
            structure.mask.name,
            "it lies outside of the fixed volume",
            "Give a segmentation that was drawn on the fixed volume.",
        )
    return points


def _carried(
    transform: SpatialTransform, structure: Structure, points_lps: NDArray[np.float64], matrix: NDArray[np.float64]
) -> CarriedStructure:
    off = np.linalg.norm(transform.to_moving(points_lps) - apply_matrix(matrix, points_lps), axis=1)
    return CarriedStructure(
        name=structure.name,
        voxels=len(points_lps),
        deviation_mean_mm=float(off.mean()),
        deviation_max_mm=float(off.max()),
        yielding_share=float(np.mean(off > RIGID_MM)),
    )


def _round_trip(transform: SpatialTransform, field: CarryingField, grid: VolumeGrid) -> DistanceStatistics:
    """From points to where they come back, there by the field and back by the flow backward in time."""
    points = grid.sample_points_lps(_RETURNING_PER_AXIS)
    gone = apply_matrix(np.linalg.inv(field.common_fixed_to_moving_lps), transform.to_moving(points))
    back = field.flow.begin(gone, field.time_steps)
    return DistanceStatistics.of(np.linalg.norm(back - points, axis=1))


def _warnings(structures: Sequence[CarriedStructure], jacobian: FieldJacobian) -> tuple[str, ...]:
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
            f"({share_words(jacobian.folded_share)}): structures move far past each other through a narrow gap. Check "
            "their transforms; crop the fixed volume to the structures for a finer grid."
        )
    return tuple(found)
