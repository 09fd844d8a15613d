"""Whether a transform was given the wrong way round."""

from __future__ import annotations

import numpy as np

from ..core.points import Pairs
from ..core.spatial import SpatialTransform

__all__ = ["inverse_fits_better"]

# The inverse has to leave less than this share of the error, and the error has to be more than what is debatable.
_SHARE = 0.5
_LEAST_MM = 5.0


def inverse_fits_better(targets: Pairs, transform: SpatialTransform) -> tuple[float, float] | None:
    """Compare a transform with its inverse at targets.

    Parameters
    ----------
    targets : Pairs
        World coordinates.
    transform : SpatialTransform
        Taken as from fixed to moving.

    Returns
    -------
    tuple of 2 float, or None
        RMS distance in mm as given and the other way round, where the inverse fits far better; else None.
    """
    given = transform.to_moving(targets.fixed_lps) - targets.moving_lps
    inverse = transform.to_moving(targets.moving_lps) - targets.fixed_lps
    rms_given, rms_inverse = (float(np.sqrt(np.mean(np.sum(d**2, axis=1)))) for d in (given, inverse))
    if rms_given > _LEAST_MM and rms_inverse < _SHARE * rms_given:
        return rms_given, rms_inverse
    return None
