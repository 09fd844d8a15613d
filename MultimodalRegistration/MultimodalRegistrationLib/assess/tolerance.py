"""What error is acceptable, by name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError

__all__ = ["TG_132", "Tolerance", "own_tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """An acceptable mean error.

    Parameters
    ----------
    name : str
        Where the number is from.
    mm : float
        In millimetres.
    """

    name: str
    mm: float


# Rigid registration of two modalities as practised after AAPM task group 132 (doi:10.1002/mp.12256).
TG_132 = Tolerance("TG-132", 1.3)


def own_tolerance(mm: float) -> Tolerance:
    """The user's own number, in mm.

    Raises
    ------
    InputError
        Not a positive number.
    """
    if not 0 < mm < np.inf:
        raise InputError("The tolerance", f"{mm} mm was given", "Give a number of mm above zero.")
    return Tolerance("your own", float(mm))
