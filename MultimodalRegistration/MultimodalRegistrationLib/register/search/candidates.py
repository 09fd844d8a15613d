"""The poses worth a closer look, found over all rotations and translations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.linear import apply_matrix, even_rotations
from ...core.machine import usable_cores
from ...engines.jobs import EngineVolume
from .agreement import Agreement, Poses
from .bounds import Bounds
from .lattice import content_extent_mm
from .lattices import Lattices
from .translations import best_translations

__all__ = [
    "Candidate",
    "best_candidates",
    "candidates_of",
    "coarse_candidates",
    "coarsest_mm",
    "distinct",
    "find_candidates",
    "improved_candidates",
    "nearby_candidates",
    "search_step_mm",
]

_SMALLEST_OVERLAP = 0.3
_OVERLAP_POWER = 0.5
_LATTICE_STEPS = 16
_COARSEST = 16 / 13
_FEWEST_STEPS = 11.5
# Keeps the memory of a thread below 100 MB.
_MOST_CELLS = 400_000
_COARSE_KEPT = 200
# Share of the time.
_COARSE_SHARE = 0.85
_PROBES = 4
# Rotations and steps in each direction of a search near a pose.
_NEARBY_DEG, _NEARBY_STEPS = 45.0, 5
_NEARBY_ROTATIONS, _NEARBY_POINTS, _NEARBY_KEPT = 1200, 500, 60
# Of the finer resolutions: lattice step and steps of the climb in units of the search, points, and how many go on.
_LEVELS = (
    (1 / 2, 1000, (2, 1, 1 / 2), 60),
    (1 / 2, 4000, (1 / 2, 1 / 4, 1 / 8), 8),
    (1 / 4, 10_000, (1 / 4, 1 / 8, 1 / 16), 8),
)


@dataclass(frozen=True)
class Candidate:
    """A pose with its agreement.

    Parameters
    ----------
    sampled_to_other_lps : array, shape (4, 4)
        Rigid, LPS, mm.
    score : float
        Agreement, in nats; only comparable within one search.
    """

    sampled_to_other_lps: NDArray[np.float64]
    score: float


def candidates_of(matrices: NDArray[np.float64], scores: NDArray[np.float64]) -> list[Candidate]:
    """Candidates from poses ``sampled_to_other_lps``, shape (N, 4, 4), and their agreement, shape (N,)."""
    return [Candidate(matrix, float(score)) for matrix, score in zip(matrices, scores, strict=True)]


def best_candidates(agreement: Agreement, poses: Poses, most: int) -> list[Candidate]:
    """The poses that agree best of many, best first."""
    scores = agreement.score(poses)
    best = np.argsort(-scores, kind="stable")[:most]
    return candidates_of(agreement.matrices_of(poses[best]), scores[best])


def search_step_mm(sampled: EngineVolume, other: EngineVolume) -> float:
    """The unit of the search and the verdict: a sixteenth of the extent of the volumes, the mean of the two."""
    return float(np.sqrt(_extent_mm(sampled) * _extent_mm(other)) / _LATTICE_STEPS)


def coarsest_mm(sampled: EngineVolume, other: EngineVolume) -> float:
    """Lattice step of the search over all translations, in mm.

    A little more than the unit of the search, but fine enough for the smaller volume, and coarse enough for the memory.
    """
    smaller_mm = min(_extent_mm(sampled), _extent_mm(other))
    spacing_mm = min(_COARSEST * search_step_mm(sampled, other), smaller_mm / _FEWEST_STEPS)
    while _transform_cells(sampled, other, spacing_mm) > _MOST_CELLS:
        spacing_mm *= 1.1
    return spacing_mm


def _extent_mm(volume: EngineVolume) -> float:
    return float(np.prod(content_extent_mm(volume))) ** (1 / 3)


def _transform_cells(sampled: EngineVolume, other: EngineVolume, spacing_mm: float) -> float:
    """Size of the Fourier transforms at a spacing: the other volume, and the sampled one's radius around it."""
    radius = np.linalg.norm(content_extent_mm(sampled)) / 2 / spacing_mm
    return float(np.prod(content_extent_mm(other) / spacing_mm + 1.5 * radius + 1))


def find_candidates(
    lattices: Lattices,
    bounds: Bounds,
    *,
    seed: int,
    threads: int | None = None,
    on_fraction: Callable[[float], None] | None = None,
) -> list[Candidate]:
    """Search all poses within the bounds.

    Mutual information is computed for every translation at each of an even set of rotations, at a coarse resolution.
    The best poses, which lie in different basins, are then improved together at finer ones; fewer go on each time.

    Parameters
    ----------
    lattices : Lattices
        Of the pair; the start is the identity.
    bounds : Bounds
        Limits of the movement.
    seed : int
        Of the random points.
    threads : int, optional
        By default as many as there are usable cores; the result does not depend on it.
    on_fraction : callable, optional
        Called with the share done, 0 to 1; what it raises ends the search.

    Returns
    -------
    list of Candidate
        Poses further apart than one step of the coarse lattice, best first; at least one.
    """
    tell = on_fraction or (lambda fraction: None)
    coarse = coarse_candidates(
        lattices, bounds, threads=threads, on_fraction=lambda fraction: tell(_COARSE_SHARE * fraction)
    )
    return improved_candidates(
        lattices,
        bounds,
        coarse,
        seed=seed,
        on_fraction=lambda fraction: tell(_COARSE_SHARE + (1 - _COARSE_SHARE) * fraction),
    )


def coarse_candidates(
    lattices: Lattices,
    bounds: Bounds,
    *,
    threads: int | None = None,
    on_fraction: Callable[[float], None] | None = None,
) -> list[Candidate]:
    """The best poses of the coarse search over all rotations and translations within the bounds, the start among them.

    Parameters are those of :func:`find_candidates`; what :func:`improved_candidates` begins with.
    """
    threads = threads or usable_cores()
    sampled, other = lattices.sampled, lattices.other
    # The start itself may have been chosen well.
    found = [Candidate(np.eye(4), -1.0)]
    if bounds.translation_mm > 0 or bounds.rotation_deg > 0:
        coarse_mm = coarsest_mm(sampled, other)
        peaks = best_translations(
            *lattices.at(coarse_mm),
            even_rotations(bounds.rotation_deg),
            smallest_overlap=_SMALLEST_OVERLAP,
            overlap_power=_OVERLAP_POWER,
            threads=threads,
            bounds=bounds,
            on_fraction=on_fraction or (lambda fraction: None),
        )
        ranked = [Candidate(bounds.clamp(peak.sampled_to_other_lps), peak.score) for peak in peaks]
        found += distinct(ranked, sampled.grid.sample_points_lps(_PROBES), coarse_mm, _COARSE_KEPT)
    return found


def nearby_candidates(
    lattices: Lattices, bounds: Bounds, around_lps: NDArray[np.float64], *, reach_mm: float, seed: int
) -> list[Candidate]:
    """The best poses of a coarse search in the neighbourhood of one: some mm and 45 degrees about it.

    Parameters
    ----------
    lattices, bounds, seed
        As for :func:`find_candidates`.
    around_lps : array, shape (4, 4)
        Rigid, ``sampled_to_other_lps``; within the bounds.
    reach_mm : float
        How far the centre of what is sampled may be moved.

    Returns
    -------
    list of Candidate
        Within the bounds, best first, for :func:`improved_candidates`; none where the bounds are zero.
    """
    step_mm = search_step_mm(lattices.sampled, lattices.other)
    agreement = Agreement(*lattices.at(step_mm / 2), points=_NEARBY_POINTS, seed=seed)
    middle = agreement.poses_of(around_lps[None])
    turns = even_rotations(_NEARBY_DEG, _NEARBY_ROTATIONS)
    reach = np.arange(-_NEARBY_STEPS, _NEARBY_STEPS + 1)
    shifts = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = shifts[(shifts**2).sum(axis=1) <= _NEARBY_STEPS**2] * (reach_mm / _NEARBY_STEPS)
    poses = Poses(
        np.repeat(middle.rotations @ turns, len(shifts), axis=0), np.tile(middle.centers_lps + shifts, (len(turns), 1))
    )
    allowed = poses.centers_lps + poses.rotations @ (bounds.center_lps - agreement.center_lps)
    poses = poses[np.flatnonzero(bounds.allow(poses.rotations, allowed))]
    if not len(poses):
        return []
    return best_candidates(agreement, poses, _NEARBY_KEPT)


def improved_candidates(
    lattices: Lattices,
    bounds: Bounds,
    found: list[Candidate],
    *,
    seed: int,
    on_fraction: Callable[[float], None] | None = None,
) -> list[Candidate]:
    """Improve coarse candidates together at finer resolutions, fewer each time.

    Parameters
    ----------
    lattices, bounds, seed, on_fraction
        As for :func:`find_candidates`.
    found : list of Candidate
        Within the bounds; at least one.
    """
    spacing_mm = search_step_mm(lattices.sampled, lattices.other)
    probe = lattices.sampled.grid.sample_points_lps(_PROBES)
    for number, (share, points, steps, kept) in enumerate(_LEVELS):
        if on_fraction is not None:
            on_fraction(number / len(_LEVELS))
        agreement = Agreement(*lattices.at(share * spacing_mm), points=points, seed=seed)
        starts = agreement.poses_of(np.stack([candidate.sampled_to_other_lps for candidate in found]))
        poses, scores = agreement.climb(starts, tuple(step * spacing_mm for step in steps), bounds)
        found = distinct(candidates_of(agreement.matrices_of(poses), scores), probe, spacing_mm, kept)
    return found


def distinct(
    candidates: list[Candidate], probe_lps: NDArray[np.float64], apart_mm: float, most: int
) -> list[Candidate]:
    """The best candidates that are apart from each other by some mm, mean over the probe points, best first."""
    kept: list[Candidate] = []
    images = np.empty((most, *np.shape(probe_lps)))
    for candidate in sorted(candidates, key=lambda c: -c.score):
        image = apply_matrix(candidate.sampled_to_other_lps, probe_lps)
        if not kept or np.linalg.norm(image - images[: len(kept)], axis=2).mean(axis=1).min() > apart_mm:
            images[len(kept)] = image
            kept.append(candidate)
        if len(kept) == most:
            break
    return kept
