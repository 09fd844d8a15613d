"""What one case may take."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import InputError

__all__ = ["DEFAULT_RETRIES", "DEFAULT_TIMEOUT_MIN", "PROCESS_BYTES", "Limits", "limits_of"]

DEFAULT_TIMEOUT_MIN = 120.0
DEFAULT_RETRIES = 1
# Python, NumPy and SimpleITK in a case's process and its supervisors. Measured on tiny volumes: 0.72 GB with the
# engine, which is counted by itself.
PROCESS_BYTES = 550_000_000


@dataclass(frozen=True)
class Limits:
    """What one case may take.

    Parameters
    ----------
    timeout_s : float
        For each attempt.
    retries : int
        How often it is run again where that may help.
    threads : int
        In each of its processes. One: cases side by side use all cores better than threads within a case, and results
        do not depend on how many run at a time.
    """

    timeout_s: float
    retries: int
    threads: int = 1


def limits_of(timeout_min: float, retries: int) -> Limits:
    """Limits as the user gives them.

    Raises
    ------
    InputError
        No time, or a negative number of retries.
    """
    if not timeout_min > 0:
        raise InputError("--timeout", f"{timeout_min:g} min was given", "Give a number above zero.")
    if retries < 0:
        raise InputError("--retry", f"{retries} was given", "Give a whole number from 0.")
    return Limits(60 * timeout_min, retries)
