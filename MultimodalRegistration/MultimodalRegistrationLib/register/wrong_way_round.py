"""Whether an initial transform was given in the wrong direction, the commonest mistake with one."""

from __future__ import annotations

import numpy as np

from ..core.volume import Volume
from .overlap import overlap_fraction
from .pair import Pair
from .similarity import mutual_information

__all__ = ["inverse_warning"]

# What unrelated volumes share by chance, twice; in a smaller overlap they share more.
_CLEARLY_MORE_NATS = 0.12
_COMPARABLE_OVERLAP = 0.3


def inverse_warning(fixed: Volume, moving: Volume, pair: Pair, at_start: float | None, name: str) -> str | None:
    """A sentence where the inverse of the start puts the volumes clearly better onto each other, otherwise None.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates.
    pair : Pair
        The same two, with the start.
    at_start : float or None
        Mutual information under the start, nats; None when the overlap is too small.
    name : str
        What messages call the start.
    """
    inverse_lps = np.asarray(np.linalg.inv(pair.start_fixed_to_moving_lps))
    if overlap_fraction(fixed, moving, inverse_lps) < _COMPARABLE_OVERLAP:
        return None
    at_inverse = mutual_information(pair.sampled, pair.other, pair.pose_lps(inverse_lps))
    if at_inverse is None or at_inverse < (at_start or 0.0) + _CLEARLY_MORE_NATS:
        return None
    return (
        f"The inverse of the initial transform {name} fits better (mutual information {at_inverse:.2f}, against "
        f"{at_start or 0.0:.2f}): it may be the wrong way round. Give its inverse."
    )
