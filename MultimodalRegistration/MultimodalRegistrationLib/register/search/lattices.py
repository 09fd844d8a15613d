"""The two volumes of a pair on lattices, which the search and the verdict share."""

from __future__ import annotations

from ...engines.jobs import EngineVolume
from .lattice import Lattice, lattice_of

__all__ = ["Lattices"]


class Lattices:
    """Two volumes, each brought to a lattice of some spacing once: smoothing is a good part of a run's time.

    Parameters
    ----------
    sampled, other : EngineVolume
        The start is the identity; ``sampled`` is the one that metrics are sampled in, mostly the smaller one.
    """

    def __init__(self, sampled: EngineVolume, other: EngineVolume) -> None:
        self.sampled, self.other = sampled, other
        self._made: dict[float, tuple[Lattice, Lattice]] = {}

    def at(self, spacing_mm: float) -> tuple[Lattice, Lattice]:
        """Both volumes, ``sampled`` first, as of :func:`lattice_of`."""
        if spacing_mm not in self._made:
            self._made[spacing_mm] = lattice_of(self.sampled, spacing_mm), lattice_of(self.other, spacing_mm)
        return self._made[spacing_mm]
