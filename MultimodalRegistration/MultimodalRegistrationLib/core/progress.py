"""How far a run is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Parameters
    ----------
    stage : str
        In words.
    fraction : float
        Of the whole run, 0 to 1.
    """

    stage: str
    fraction: float
