"""How well a structure and the shell around it agree with the moving volume under different poses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..engines.jobs import EngineVolume
from ..register.search.agreement import Agreement
from ..register.search.lattice import lattice_of

__all__ = ["Surroundings"]

_POINTS = 15_000
_FINEST_MM, _COARSEST_MM = 1.0, 3.0


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
        spacing_mm = float(np.clip((marked_mm3 / _POINTS) ** (1 / 3), _FINEST_MM, _COARSEST_MM))
        self._agreement = Agreement(
            lattice_of(fixed, spacing_mm), lattice_of(moving, spacing_mm), points=_POINTS, seed=seed
        )

    def agreements(self, fixed_to_moving_lps: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Mutual information in nats under rigid transforms, weighted with the share in view; zero where that is small.

        Parameters
        ----------
        fixed_to_moving_lps : sequence of array, shape (4, 4)
            One or more.
        """
        return self._agreement.score(self._agreement.poses_of(np.stack(fixed_to_moving_lps))).clip(0)
