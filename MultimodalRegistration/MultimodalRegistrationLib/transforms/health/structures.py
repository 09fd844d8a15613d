"""Structures that should move as rigid bodies, and how much a transform bends and swells them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.linear import apply_matrix, rotation_angle_deg
from ...core.spatial import SpatialTransform
from ...core.superpose import superpose
from ...core.volume import Volume
from .derivatives import determinants

__all__ = ["StructureMotion", "structure_motions"]

# Voxels that are mapped, of all structures together and of one; each takes seven evaluations of the transform.
_MOST_POINTS = 40_000
_MOST_OF_ONE = 5_000
_FEWEST_OF_ONE = 200


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
