"""The numbers that a user gives for a run."""

from __future__ import annotations

import math

from ..core.errors import InputError

__all__ = ["DEFAULT_SEED", "check_numbers"]

DEFAULT_SEED = 20_250_101
_LARGEST_SEED = 2**31 - 1


def check_numbers(
    *, seed: int, threads: int | None, max_translation_mm: float | None, max_rotation_deg: float | None
) -> None:
    """Refuse numbers out of range.

    Parameters
    ----------
    seed : int
        From 1 to 2^31 - 1.
    threads : int or None
        From 1.
    max_translation_mm, max_rotation_deg : float or None
        From 0; a rotation up to 180.

    Raises
    ------
    InputError
        Names the option, in the form of the command line.
    """
    if not 0 < seed <= _LARGEST_SEED:
        raise InputError("--seed", f"{seed} was given", f"Give a whole number from 1 to {_LARGEST_SEED}.")
    if threads is not None and threads < 1:
        raise InputError("--threads", f"{threads} was given", "Give a whole number from 1.")
    if max_translation_mm is not None and not 0 <= max_translation_mm < math.inf:
        raise InputError("--max-translation", f"{max_translation_mm:g} was given", "Give zero or a positive number.")
    if max_rotation_deg is not None and not 0 <= max_rotation_deg <= 180:
        raise InputError("--max-rotation", f"{max_rotation_deg:g} was given", "Give a number from 0 to 180.")
