"""Near the common start: how far a structure may be from it, poses there, and how well they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.stats import qmc

from ..core.linear import displacement_mm
from ..core.volume import Volume
from ..engines.jobs import EngineVolume
from ..preprocess.steps import AUTOMATIC
from ..register.apply_steps import Prepared, apply_steps
from ..register.masks import Masks
from ..register.pair import Pair, make_pair
from ..register.run import Run
from ..register.search.agreement import Agreement, Poses
from ..register.search.bounds import Bounds
from ..register.search.candidates import Candidate, best_candidates, distinct, improved_candidates, search_step_mm
from ..register.search.lattice import lattice_of
from ..register.search.lattices import Lattices
from ..register.verdict.polish import Polisher, fine_lattices

# Bones of a leg that is laid down anew are up to 20 mm and 15 degrees beside the muscle; a pose at a bound is no find.
OWN_MOTION_MM, OWN_MOTION_DEG = 25.0, 20.0
_MAX_MM, _MAX_DEG = 50.0, 45.0
# An error that is estimated is often twice as large; one that could not be estimated is taken to be this.
_ERRORS, _UNKNOWN_MM = 2.0, 5.0
# Half the length of a part of the body over which an error of the common start is also a rotation.
_ARM_MM = 100.0
_RESTARTS = 3
# Of the search: the number of poses is a power of two, as the sequence wants it.
_DRAWS = 2**14
_SEARCH_POINTS = 600
_KEPT = 60
_PROBES = 4
# Of the comparison of poses.
_COMPARED_POINTS = 15_000
_FINEST_MM, _COARSEST_MM = 1.0, 3.0


@dataclass(frozen=True)
class MotionBounds:
    """Limits of the motion of each structure from the common start.

    Parameters
    ----------
    translation_mm : float
        Largest displacement of its centre.
    rotation_deg : float
        Largest rotation.
    """

    translation_mm: float
    rotation_deg: float


def bounds_of_start(
    error_mm: float | None, max_translation_mm: float | None = None, max_rotation_deg: float | None = None
) -> MotionBounds:
    """Bounds that follow from the error of the common start, unless the user gives them.

    Parameters
    ----------
    error_mm : float or None
        From :func:`start_error_mm`, or that to expect of the landmarks; None where it is not known.
    max_translation_mm, max_rotation_deg : float, optional
        The user's.
    """
    off_mm = _ERRORS * (_UNKNOWN_MM if error_mm is None else error_mm)
    translation_mm = min(OWN_MOTION_MM + off_mm, _MAX_MM)
    rotation_deg = min(OWN_MOTION_DEG + float(np.degrees(off_mm / _ARM_MM)), _MAX_DEG)
    return MotionBounds(
        translation_mm if max_translation_mm is None else max_translation_mm,
        rotation_deg if max_rotation_deg is None else max_rotation_deg,
    )


def start_error_mm(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving_lps: NDArray[np.float64],
    *,
    winsorize_percentiles: tuple[float, float],
    seed: int,
) -> float | None:
    """How far the whole volumes, registered from the common start, end from it.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; not changed.
    fixed_to_moving_lps : array, shape (4, 4)
        The common start, rigid.
    winsorize_percentiles : tuple of 2 float
        From the preset.
    seed : int
        Of the random draws.

    Returns
    -------
    float or None
        In mm, root mean square over restarts with different samples; None where the volumes share too little there.

    Raises
    ------
    InputError
        A volume without contrast.
    """
    prepared = apply_steps(AUTOMATIC, fixed, moving, Masks(), Run())
    pair = prepared_pair(prepared, fixed_to_moving_lps, winsorize_percentiles)
    fine = fine_lattices(Lattices(pair.sampled, pair.other))
    ends_mm = []
    for number in range(_RESTARTS):
        polisher = Polisher(*fine, np.eye(4), seed + number)
        if not polisher.can_tell:
            return None
        ends_mm.append(displacement_mm(polisher.climb(np.zeros(6)), np.eye(4), polisher.points_lps).mean())
    return float(np.sqrt(np.mean(np.square(ends_mm))))


def prepared_pair(
    prepared: Prepared, fixed_to_moving_lps: NDArray[np.float64], winsorize_percentiles: tuple[float, float]
) -> Pair:
    """Prepared volumes in the position of the common start."""
    return make_pair(
        prepared.fixed,
        prepared.moving,
        fixed_to_moving_lps,
        fixed_mask=prepared.masks.fixed,
        moving_mask=prepared.masks.moving,
        winsorize_percentiles=winsorize_percentiles,
    )


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
    agreement = Agreement(*lattices.at(step_mm / 2), points=_SEARCH_POINTS, seed=seed)
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


class Surroundings:
    """Compares poses over one set of points: those of the structure and of its shell, whichever volume engines sample.

    Parameters
    ----------
    fixed : EngineVolume
        Around the structure; the mask marks it and its shell.
    moving : EngineVolume
        Where it was; without a mask, or with that of metal.
    seed : int
        Of the draw.
    """

    def __init__(self, fixed: EngineVolume, moving: EngineVolume, *, seed: int) -> None:
        assert fixed.mask is not None
        marked_mm3 = float(np.count_nonzero(fixed.mask)) * float(np.prod(fixed.grid.spacing_mm))
        spacing_mm = float(np.clip((marked_mm3 / _COMPARED_POINTS) ** (1 / 3), _FINEST_MM, _COARSEST_MM))
        self._agreement = Agreement(
            lattice_of(fixed, spacing_mm), lattice_of(moving, spacing_mm), points=_COMPARED_POINTS, seed=seed
        )

    def agreements(self, fixed_to_moving_lps: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Mutual information in nats under rigid transforms, weighted with the share in view; zero where that is small.

        Parameters
        ----------
        fixed_to_moving_lps : sequence of array, shape (4, 4)
            One or more.
        """
        return self._agreement.score(self._agreement.poses_of(np.stack(fixed_to_moving_lps))).clip(0)
