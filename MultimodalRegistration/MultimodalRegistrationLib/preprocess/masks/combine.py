"""Several masks as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ...core.errors import InputError
from ...core.volume import Volume
from .make import mask_like

__all__ = ["combine"]


def combine(masks: Sequence[Volume], *, how: Literal["union", "intersection"]) -> Volume:
    """Join masks of one grid.

    Parameters
    ----------
    masks : sequence of Volume
        One or more; voxels above zero are marked. Not changed.
    how : str
        ``union`` marks what any mask marks, ``intersection`` what all of them mark.

    Returns
    -------
    Volume
        Unsigned 8-bit mask on the grid of the first.

    Raises
    ------
    InputError
        The grids differ, or the masks have no voxel in common.
    """
    first = masks[0]
    marked = first.voxels > 0
    for other in masks[1:]:
        if not other.grid.coincides_with(first.grid):
            raise InputError(
                other.name,
                f"its grid differs from that of {first.name}",
                "Resample the mask to that volume first, with nearest neighbours.",
            )
        marked = marked | (other.voxels > 0) if how == "union" else marked & (other.voxels > 0)
    if not marked.any():
        raise InputError(
            " and ".join(mask.name for mask in masks),
            "nothing is marked" if how == "union" else "the masks have no voxel in common",
            "Check that they belong to the same volume, or leave one out.",
        )
    return mask_like(first, marked, f"{how} of {len(masks)} masks")
