"""Whether what was given belongs together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix
from ..core.points import Pairs

__all__ = ["check_targets_lie_in_volumes"]

# Targets may lie a little outside of a cropped volume.
_MARGIN_MM = 50.0
_MOST_OUTSIDE = 0.5


def check_targets_lie_in_volumes(targets: Pairs, fixed: VolumeGrid, moving: VolumeGrid) -> None:
    """Refuse targets that belong to other volumes.

    Parameters
    ----------
    targets : Pairs
        World coordinates.
    fixed, moving : VolumeGrid
        The volumes that they should lie in.

    Raises
    ------
    InputError
        More than half of the points of a list lie outside of their volume by more than 50 mm.
    """
    outside = {
        "fixed": _share_outside(fixed, targets.fixed_lps),
        "moving": _share_outside(moving, targets.moving_lps),
    }
    if max(outside.values()) <= _MOST_OUTSIDE:
        return
    swapped = max(_share_outside(moving, targets.fixed_lps), _share_outside(fixed, targets.moving_lps))
    role = "fixed" if outside["fixed"] >= outside["moving"] else "moving"
    name = (targets.fixed if role == "fixed" else targets.moving).name
    remedy = "Check that the list, its coordinate system (LPS or RAS) and the volume belong to the same scene."
    if swapped <= _MOST_OUTSIDE:
        remedy = "The two lists fit the volumes the other way round: exchange them."
    raise InputError(
        name,
        f"{outside[role]:.0%} of the points lie more than {_MARGIN_MM:g} mm outside of the {role} volume",
        remedy,
    )


def _share_outside(grid: VolumeGrid, points_lps: NDArray[np.float64]) -> float:
    index = apply_matrix(np.linalg.inv(grid.ijk_to_lps), points_lps)
    margin = _MARGIN_MM / np.asarray(grid.spacing_mm)
    inside = np.all((index >= -0.5 - margin) & (index <= np.asarray(grid.size) - 0.5 + margin), axis=1)
    return float(1.0 - inside.mean())
