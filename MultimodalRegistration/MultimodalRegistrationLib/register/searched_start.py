"""The best pose of the global search alone, without an engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.volume import Volume
from ..engines.presets.preset import DEFAULT_PRESET, find_preset
from .pair import make_pair
from .request import DEFAULT_SEED
from .search.bounds import Bounds
from .search.candidates import find_candidates
from .search.lattices import Lattices

__all__ = ["searched_start"]


def searched_start(fixed: Volume, moving: Volume, *, seed: int = DEFAULT_SEED) -> NDArray[np.float64]:
    """Search all rotations and translations.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates.
    seed : int, optional
        Of the random draws.

    Returns
    -------
    array, shape (4, 4)
        ``fixed_to_moving_lps``, good to a few mm: enough to cut to what both volumes show.

    Raises
    ------
    InputError
        No pose with enough overlap, or a volume without contrast.
    """
    percentiles = find_preset(DEFAULT_PRESET).winsorize_percentiles
    pair = make_pair(fixed, moving, np.eye(4), fixed_mask=None, moving_mask=None, winsorize_percentiles=percentiles)
    found = find_candidates(Lattices(pair.sampled, pair.other), Bounds(pair.sampled.grid.center_lps), seed=seed)
    return pair.fixed_to_moving_lps(found[0].sampled_to_other_lps)
