"""Poses of a structure near the common start: restarts from everywhere within the bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.stats import qmc

from ..register.search.agreement import Agreement, Poses
from ..register.search.bounds import Bounds
from ..register.search.candidates import Candidate, best_candidates, distinct, improved_candidates, search_step_mm
from ..register.search.lattices import Lattices

__all__ = ["near_start_candidates"]

# A power of two, as the sequence wants it.
_DRAWS = 2**14
_POINTS = 600
_KEPT = 60
_PROBES = 4


def near_start_candidates(lattices: Lattices, bounds: Bounds, *, seed: int) -> list[Candidate]:
    """Search near the start, which is the identity.

    Unlike the search of whole volumes this one draws poses more densely the closer to the start they are, and knows no
    others: a bone that leaves its leg is wrong however well it agrees there.

    Parameters
    ----------
    lattices : Lattices
        Of the structure and its surroundings, and of the other volume.
    bounds : Bounds
        Limits of both the translation and the rotation.
    seed : int
        Of the random draws.

    Returns
    -------
    list of Candidate
        Poses in different basins, best first; at least one.
    """
    step_mm = search_step_mm(lattices.sampled, lattices.other)
    agreement = Agreement(*lattices.at(step_mm / 2), points=_POINTS, seed=seed)
    found = best_candidates(agreement, _drawn(bounds, agreement.center_lps, seed), 8 * _KEPT)
    probe = lattices.sampled.grid.sample_points_lps(_PROBES)
    # The start has been chosen well: it goes on, however it scores at this resolution.
    coarse = [Candidate(np.eye(4), -1.0), *distinct(found, probe, step_mm / 2, _KEPT)]
    return improved_candidates(lattices, bounds, coarse, seed=seed)


def _drawn(bounds: Bounds, center_lps: NDArray[np.float64], seed: int) -> Poses:
    """Poses within the bounds, those near the identity more densely."""
    uniform = qmc.Sobol(6, rng=np.random.default_rng(seed)).random(_DRAWS)
    shifts = _in_ball(uniform[:, :3]) * bounds.translation_mm
    turns = Rotation.from_rotvec(_in_ball(uniform[:, 3:]) * np.radians(bounds.rotation_deg)).as_matrix()
    return Poses(turns, bounds.center_lps + shifts + turns @ (center_lps - bounds.center_lps))


def _in_ball(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of the unit ball from those of the unit cube, shape (N, 3), denser in the middle."""
    height, turn = 2 * uniform[:, 0] - 1, 2 * np.pi * uniform[:, 1]
    around = np.sqrt(1 - height**2)
    directions = np.stack([around * np.cos(turn), around * np.sin(turn), height], axis=1)
    return np.asarray(directions * np.sqrt(uniform[:, 2:]))
