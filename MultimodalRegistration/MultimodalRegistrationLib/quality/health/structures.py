"""Structures that should move as rigid bodies, and how much a transform bends and swells them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.linear import apply_matrix, rotation_angle_deg
from MultimodalRegistrationLib.geometry.spatial import SpatialTransform
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.landmarks._rigid import superpose
from MultimodalRegistrationLib.quality.health.derivatives import determinants

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
    voxels = structures.voxels
    flat = np.flatnonzero(voxels)
    if len(flat) == 0:
        raise InputError(structures.name, "the label map is empty", "Give one in which structures are marked.")
    values = voxels.ravel()[flat]
    order = np.argsort(values, kind="stable")
    labels, first = np.unique(values[order], return_index=True)
    most = int(np.clip(_MOST_POINTS // len(labels), _FEWEST_OF_ONE, _MOST_OF_ONE))
    motions = []
    for label, members in zip(labels.tolist(), np.split(flat[order], first[1:]), strict=True):
        # Spread over the run of voxels by a step that need not be whole, or slices of even length would show a pattern.
        chosen = members[np.unique(np.linspace(0, len(members) - 1, min(most, len(members))).astype(int))]
        index = np.stack(np.unravel_index(chosen, voxels.shape)[::-1], axis=-1)
        points_lps = apply_matrix(structures.grid.ijk_to_lps, index)
        motions.append(_motion(transform, points_lps, int(label), len(members), min(structures.grid.spacing_mm)))
    return tuple(motions)


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
