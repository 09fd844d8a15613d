"""The masks of the two volumes of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.grid import OrientedBox
from ..core.volume import Volume
from ..preprocess.masks import mask_of_box
from ..preprocess.steps import Role
from . import prepare

__all__ = ["Masks"]


# Compared and hashed by identity: voxels are not compared.
@dataclass(frozen=True, eq=False)
class Masks:
    """Which voxels of each volume are used; zeros and ones.

    Parameters
    ----------
    fixed, moving : Volume or None
        None for all voxels.
    fixed_box, moving_box : OrientedBox or None
        Only what lies inside is used, in world coordinates.
    """

    fixed: Volume | None = None
    moving: Volume | None = None
    fixed_box: OrientedBox | None = None
    moving_box: OrientedBox | None = None

    @property
    def roles(self) -> list[Role]:
        """Volumes that have one."""
        given: list[tuple[Role, Volume | None]] = [("fixed", self.fixed), ("moving", self.moving)]
        return [role for role, mask in given if mask is not None]

    @property
    def names(self) -> list[str]:
        """What messages call them."""
        return [mask.name for mask in (self.fixed, self.moving) if mask is not None]

    def placed(self, fixed: Volume, moving: Volume, warn: Callable[[str], None]) -> Masks:
        """The same on the grids of their volumes; ``warn`` is told of those that had another one.

        Boxes stay boxes, which :meth:`within_boxes` turns into masks.

        Raises
        ------
        InputError
            A mask marks nothing inside its volume.
        """
        placed = _placed(self.fixed, fixed, warn), _placed(self.moving, moving, warn)
        return Masks(*placed, self.fixed_box, self.moving_box)

    def within_boxes(self, fixed: Volume, moving: Volume) -> Masks:
        """Placed masks without what lies outside of the boxes.

        Raises
        ------
        InputError
            Nothing is left of a volume.
        """
        if self.fixed_box is None and self.moving_box is None:
            return self
        return Masks(_within(self.fixed, self.fixed_box, fixed), _within(self.moving, self.moving_box, moving))

    def or_those_of(self, other: Masks) -> Masks:
        """Those of another where this has none; the other itself where this has none at all."""
        if all(one is None for one in (self.fixed, self.moving, self.fixed_box, self.moving_box)):
            return other
        return Masks(
            other.fixed if self.fixed is None else self.fixed,
            other.moving if self.moving is None else self.moving,
            self.fixed_box,
            self.moving_box,
        )


def _placed(mask: Volume | None, volume: Volume, warn: Callable[[str], None]) -> Volume | None:
    if mask is None:
        return None
    placed, resampled = prepare.mask_on_grid(mask, volume)
    if resampled:
        warn(prepare.resampled_words(mask, volume))
    return placed


def _within(mask: Volume | None, box: OrientedBox | None, volume: Volume) -> Volume | None:
    if box is None:
        return mask
    inside = mask_of_box(box, f"the ROI of {volume.name}", volume)
    if mask is None:
        return inside
    both = sitk.And(sitk.Cast(mask.image > 0, sitk.sitkUInt8), inside.image)
    if not np.any(sitk.GetArrayViewFromImage(both)):
        raise InputError(mask.name, f"the mask marks nothing within {inside.name}", "Leave one of them out.")
    return Volume(both, mask.name)
