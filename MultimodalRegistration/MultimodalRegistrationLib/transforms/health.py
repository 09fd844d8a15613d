r"""Whether a transform is one that a body could undergo: folds, volume changes, smoothness, and the way back.

None of this says whether a registration is right, but what a body cannot do is wrong. The energies are

.. math:: E_h = \mathrm{mean} \left\| \partial u / \partial x \right\|_F^2, \qquad
   E_b = \mathrm{mean} \sum_{a, b, c} \left( \partial^2 u_c / \partial x_a \partial x_b \right)^2

of the displacement :math:`u`; the second, in 1/mm^2, is the bending energy of Rueckert et al. 1999
(doi:10.1109/42.796284) and leaves affine parts alone, while rotation and scaling count in the first. All derivatives
are central differences between nodes, so that a fold finer than the spacing of the nodes goes unseen. Where a
displacement field ends inside the region, its displacement jumps to zero, as ITK has it, and that shows as folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, rotation_angle_deg, superpose
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from .derivatives import bending_density, determinants, displacement_gradients
from .working_grid import DistanceStatistics, mask_on, node_grid, volume_of

_MOST_NODES = 1_000_000
_MOST_RETURNING = 125_000
_SOLVED_MM = 1e-3
# Voxels that are mapped, of all structures together and of one; each takes seven evaluations of the transform.
_MOST_POINTS = 40_000
_MOST_OF_ONE = 5_000
_FEWEST_OF_ONE = 200


@dataclass(frozen=True)
class JacobianStatistics:
    """Jacobian determinants of the mapping from fixed to moving: volume after over volume before.

    Parameters
    ----------
    minimum, maximum, mean : float
        Over the nodes.
    folded_share : float
        Share of the nodes at which it is not above zero.
    log_sd : float or None
        Standard deviation of the natural logarithm where it is above zero; None where it never is.
    """

    minimum: float
    maximum: float
    mean: float
    folded_share: float
    log_sd: float | None


@dataclass(frozen=True)
class TransformHealth:
    """Numbers and maps of one transform.

    Parameters
    ----------
    transform : str
        Its name.
    linear : bool
        Whether it is; then everything is analytic.
    spacing_mm, return_spacing_mm : tuple of 3 float
        Of the nodes, along I, J, K; of the coarser ones of ``return_error``.
    nodes : int
        Number of nodes in the region.
    jacobian : JacobianStatistics
        Over the nodes.
    displacement : DistanceStatistics
        How far the transform moves the nodes, rotation and translation included.
    harmonic_energy, bending_energy_per_mm2 : float
        See above.
    backward : str or None
        Name of the transform that led back; None for the numerical inverse.
    return_error : DistanceStatistics
        From a point to where it comes back.
    structures : tuple of StructureMotion
        One for each label; empty without structures.
    jacobian_map, return_error_map : Volume
        Determinants, and distances in mm, over the whole box of the nodes.
    """

    transform: str
    linear: bool
    spacing_mm: tuple[float, float, float]
    return_spacing_mm: tuple[float, float, float]
    nodes: int
    jacobian: JacobianStatistics
    displacement: DistanceStatistics
    harmonic_energy: float
    bending_energy_per_mm2: float
    backward: str | None
    return_error: DistanceStatistics
    structures: tuple[StructureMotion, ...]
    jacobian_map: Volume
    return_error_map: Volume


def transform_health(
    transform: SpatialTransform,
    grid: VolumeGrid,
    *,
    region: Volume | None = None,
    structures: Volume | None = None,
    backward: SpatialTransform | None = None,
) -> TransformHealth:
    """Examine a transform.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    grid : VolumeGrid
        Of the fixed volume; at most about a million nodes are spread over it, or over the box of the region.
    region : Volume, optional
        Voxels above zero count, in the frame of the fixed volume; all of the grid by default.
    structures : Volume, optional
        Label map of structures, in the frame of the fixed volume, that should move as rigid bodies.
    backward : SpatialTransform, optional
        ``moving_to_fixed_lps``, from a registration the other way; the numerical inverse by default.

    Raises
    ------
    InputError
        The region or the label map marks nothing.
    """
    nodes = node_grid(grid, _MOST_NODES, region=region)
    displacements = transform.displacements_mm(nodes)
    marked = _marked(nodes, region)
    if transform.matrix is not None:
        gradient = transform.matrix[:3, :3] - np.eye(3)
        jacobian = np.full(marked.shape, float(np.linalg.det(transform.matrix[:3, :3])))
        harmonic, bending = float(np.sum(gradient**2)), 0.0
    else:
        gradients = displacement_gradients(displacements, nodes)
        jacobian = determinants(gradients)
        harmonic = float(np.einsum("kjiab,kjiab->kji", gradients, gradients)[marked].mean())
        del gradients
        bending = float(bending_density(displacements, nodes)[marked].mean())
    coarse = node_grid(grid, _MOST_RETURNING, region=region)
    returned = return_errors_mm(transform, coarse, backward=backward)
    return TransformHealth(
        transform=transform.name,
        linear=transform.matrix is not None,
        spacing_mm=nodes.spacing_mm,
        return_spacing_mm=coarse.spacing_mm,
        nodes=int(np.count_nonzero(marked)),
        jacobian=_jacobian_statistics(jacobian[marked]),
        displacement=DistanceStatistics.of(np.linalg.norm(displacements[marked], axis=-1)),
        harmonic_energy=harmonic,
        bending_energy_per_mm2=bending,
        backward=None if backward is None else backward.name,
        return_error=DistanceStatistics.of(returned[_marked(coarse, region)]),
        structures=() if structures is None else structure_motions(transform, structures),
        jacobian_map=volume_of(jacobian, nodes, f"Jacobian determinant of {transform.name}"),
        return_error_map=volume_of(returned, coarse, f"return error of {transform.name}"),
    )


def displacement_difference(
    a: SpatialTransform, b: SpatialTransform, *, region: Volume | VolumeGrid
) -> DistanceStatistics:
    """Distances between where two transforms put the same points.

    Parameters
    ----------
    a, b : SpatialTransform
        ``fixed_to_moving_lps``, with the same fixed and moving volumes.
    region : Volume or VolumeGrid
        Voxels above zero, or a whole grid, in the frame of the fixed volume; about a million nodes at most.

    Raises
    ------
    InputError
        The region marks nothing.
    """
    mask = region if isinstance(region, Volume) else None
    nodes = node_grid(region.grid if isinstance(region, Volume) else region, _MOST_NODES, region=mask)
    apart = a.displacements_mm(nodes) - b.displacements_mm(nodes)
    return DistanceStatistics.of(np.linalg.norm(apart[_marked(nodes, mask)], axis=-1))


def jacobian_statistics(transform: SpatialTransform, grid: VolumeGrid, *, region: Volume) -> JacobianStatistics:
    """Jacobian determinants alone, at up to about a million nodes of a grid, where a region is above zero.

    Parameters
    ----------
    transform, grid, region
        As for :func:`transform_health`.

    Raises
    ------
    InputError
        The region marks nothing.
    """
    nodes = node_grid(grid, _MOST_NODES, region=region)
    jacobian = determinants(displacement_gradients(transform.displacements_mm(nodes), nodes))
    return _jacobian_statistics(jacobian[_marked(nodes, region)])


def _marked(nodes: VolumeGrid, region: Volume | None) -> NDArray[np.bool_]:
    return np.ones(nodes.size[::-1], dtype=bool) if region is None else mask_on(nodes, region)


def _jacobian_statistics(determinants: NDArray[np.float64]) -> JacobianStatistics:
    above = determinants[determinants > 0]
    return JacobianStatistics(
        minimum=float(determinants.min()),
        maximum=float(determinants.max()),
        mean=float(determinants.mean()),
        folded_share=1 - above.size / determinants.size,
        log_sd=float(np.log(above).std()) if above.size else None,
    )


def return_errors_mm(
    transform: SpatialTransform, grid: VolumeGrid, *, backward: SpatialTransform | None = None
) -> NDArray[np.float64]:
    """Distance from each node to where it comes back.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    grid : VolumeGrid
        The nodes, in the fixed volume.
    backward : SpatialTransform, optional
        ``moving_to_fixed_lps``; the numerical inverse of ``transform`` by default.

    Returns
    -------
    array, shape (K, J, I)
        In mm; zero for a linear transform and its own inverse.
    """
    shape = grid.size[::-1]
    if backward is not None:
        both = SpatialTransform("there and back", sitk.CompositeTransform([backward.transform, transform.transform]))
        return np.asarray(np.linalg.norm(both.displacements_mm(grid), axis=-1))
    if transform.matrix is not None:
        return np.zeros(shape)
    nodes = grid.points_lps
    found = transform.preimages(transform.to_moving(nodes), solved_mm=_SOLVED_MM).points_lps
    return np.asarray(np.linalg.norm(found - nodes, axis=1)).reshape(shape)


@dataclass(frozen=True)
class StructureMotion:
    """What a transform does to one structure.

    Parameters
    ----------
    label : int
        Its value in the label map.
    voxels : int
        Of the label map.
    points : int
        Voxels that were mapped, evenly spread, for the numbers below.
    bending_rms_mm, bending_max_mm : float
        Distance of the mapped voxels from the rigid motion that fits them best: zero for a rigid body.
    rotation_deg : float
        Of that motion.
    shift_mm : float
        Length of the displacement of the centre.
    volume_change : float
        Volume after mapping over that before, minus one.
    """

    label: int
    voxels: int
    points: int
    bending_rms_mm: float
    bending_max_mm: float
    rotation_deg: float
    shift_mm: float
    volume_change: float


def structure_motions(transform: SpatialTransform, structures: Volume) -> tuple[StructureMotion, ...]:
    """Look at each label of a label map.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    structures : Volume
        Label map, or a mask, in the frame of the fixed volume; zero is background.

    Returns
    -------
    tuple of StructureMotion
        In ascending order of the labels.

    Raises
    ------
    InputError
        The label map is empty.
    """
    counts = _counts(structures.voxels)
    if not counts:
        raise InputError(structures.name, "the label map is empty", "Give one in which structures are marked.")
    most = int(np.clip(_MOST_POINTS // len(counts), _FEWEST_OF_ONE, _MOST_OF_ONE))
    chosen = _spread(structures.voxels, counts, most)
    spacing_mm = min(structures.grid.spacing_mm)
    return tuple(
        _motion(transform, apply_matrix(structures.grid.ijk_to_lps, chosen[label]), label, count, spacing_mm)
        for label, count in sorted(counts.items())
    )


def _counts(voxels: NDArray[Any]) -> dict[int, int]:
    """Number of voxels of each label, slice by slice: the indices of all of a body would fill gigabytes."""
    counts: dict[int, int] = {}
    for plane in voxels:
        labels, found = np.unique(plane[plane != 0], return_counts=True)
        for label, count in zip(labels.tolist(), found.tolist(), strict=True):
            counts[int(label)] = counts.get(int(label), 0) + count
    return counts


def _spread(voxels: NDArray[Any], counts: dict[int, int], most: int) -> dict[int, NDArray[np.intp]]:
    """At most so many voxels of each label, evenly spread, shape (N, 3) in I, J, K."""
    chosen: dict[int, list[NDArray[np.intp]]] = {label: [] for label in counts}
    passed = dict.fromkeys(counts, 0)
    for k, plane in enumerate(voxels):
        members = np.flatnonzero(plane)
        if len(members) == 0:
            continue
        values = plane.ravel()[members]
        order = np.argsort(values, kind="stable")
        labels, first = np.unique(values[order], return_index=True)
        for value, run in zip(labels.tolist(), np.split(members[order], first[1:]), strict=True):
            label = int(value)
            # The step need not be whole, or slices of even length would show a pattern.
            step = min(1.0, most / counts[label])
            rank = passed[label] + np.arange(len(run) + 1)
            j, i = np.divmod(run[np.diff(np.floor(rank * step)) > 0], plane.shape[1])
            chosen[label].append(np.stack([i, j, np.full(len(i), k)], axis=-1))
            passed[label] += len(run)
    return {label: np.concatenate(parts) for label, parts in chosen.items()}


def _motion(
    transform: SpatialTransform, points_lps: NDArray[np.float64], label: int, voxels: int, spacing_mm: float
) -> StructureMotion:
    mapped = transform.to_moving(points_lps)
    rotation, translation, _ = superpose(points_lps, mapped)
    left = np.linalg.norm(mapped - points_lps @ rotation.T - translation, axis=1)
    motion = np.eye(4)
    motion[:3, :3] = rotation
    return StructureMotion(
        label=label,
        voxels=voxels,
        points=len(points_lps),
        bending_rms_mm=float(np.sqrt(np.mean(left**2))),
        bending_max_mm=float(left.max()),
        rotation_deg=rotation_angle_deg(motion),
        shift_mm=float(np.linalg.norm((mapped - points_lps).mean(axis=0))),
        volume_change=_volume_ratio(transform, points_lps, spacing_mm) - 1,
    )


def _volume_ratio(transform: SpatialTransform, points_lps: NDArray[np.float64], spacing_mm: float) -> float:
    """Mean Jacobian determinant, by differences over one voxel."""
    if transform.matrix is not None:
        return float(np.linalg.det(transform.matrix[:3, :3]))
    half = spacing_mm / 2
    probes = np.concatenate([points_lps + half * axis for axis in (*np.eye(3), *-np.eye(3))])
    mapped = transform.to_moving(probes).reshape(2, 3, len(points_lps), 3)
    slopes = np.moveaxis((mapped[0] - mapped[1]) / spacing_mm, 0, -1)
    return float(determinants(slopes - np.eye(3)).mean())
