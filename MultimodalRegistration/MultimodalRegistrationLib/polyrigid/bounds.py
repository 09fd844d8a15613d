"""How far a structure may be from the common start: what structures move on their own, and what that start is off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.linear import displacement_mm
from ..core.volume import Volume
from ..preprocess.steps import AUTOMATIC
from ..register.apply_steps import apply_steps
from ..register.masks import Masks
from ..register.pair import make_pair
from ..register.run import Run
from ..register.search.lattices import Lattices
from ..register.verdict.polish import Polisher, fine_lattices

__all__ = ["OWN_MOTION_DEG", "OWN_MOTION_MM", "MotionBounds", "bounds_of_start", "start_error_mm"]

# Bones of a leg that is laid down anew are up to 20 mm and 15 degrees beside the muscle; a pose at a bound is no find.
OWN_MOTION_MM, OWN_MOTION_DEG = 25.0, 20.0
_MOST_MM, _MOST_DEG = 50.0, 45.0
# An error that is estimated is often twice as large; one that could not be estimated is taken to be this.
_ERRORS, _UNKNOWN_MM = 2.0, 5.0
# Half the length of a part of the body over which an error of the common start is also a rotation.
_ARM_MM = 100.0
_RESTARTS = 3


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
    translation_mm = min(OWN_MOTION_MM + off_mm, _MOST_MM)
    rotation_deg = min(OWN_MOTION_DEG + float(np.degrees(off_mm / _ARM_MM)), _MOST_DEG)
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
    pair = make_pair(
        prepared.fixed,
        prepared.moving,
        fixed_to_moving_lps,
        fixed_mask=prepared.masks.fixed,
        moving_mask=prepared.masks.moving,
        winsorize_percentiles=winsorize_percentiles,
    )
    fine = fine_lattices(Lattices(pair.sampled, pair.other))
    ends_mm = []
    for number in range(_RESTARTS):
        polisher = Polisher(*fine, np.eye(4), seed + number)
        if not polisher.can_tell:
            return None
        ends_mm.append(displacement_mm(polisher.climb(np.zeros(6)), np.eye(4), polisher.points_lps).mean())
    return float(np.sqrt(np.mean(np.square(ends_mm))))
