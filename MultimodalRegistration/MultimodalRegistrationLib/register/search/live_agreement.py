"""The agreement of two volumes while one of them is moved by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...engines.jobs import EngineVolume
from .agreement import Agreement
from .lattice import lattice_of

__all__ = ["LiveAgreement"]

# A score takes some milliseconds.
_SAMPLES = 20_000


class LiveAgreement:
    """Mutual information of two volumes, weighted with their overlap, under any rigid movement of the moving one.

    Parameters
    ----------
    fixed, moving : EngineVolume
        World coordinates.
    spacing_mm : float
        Of the lattices on which they are compared.
    """

    def __init__(self, fixed: EngineVolume, moving: EngineVolume, *, spacing_mm: float = 4.0) -> None:
        lattices = lattice_of(moving, spacing_mm), lattice_of(fixed, spacing_mm)
        self._agreement = Agreement(*lattices, points=_SAMPLES)

    def at(self, moving_to_fixed_lps: NDArray[np.float64]) -> float | None:
        """The agreement, nats, after a movement, shape (4, 4); None where less than a quarter overlaps."""
        score = float(self._agreement.score(self._agreement.poses_of(moving_to_fixed_lps[None]))[0])
        return None if score < 0 else score
