"""Structures of a segmentation of the fixed volume, each with its voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, translation_matrix
from ..core.volume import Volume
from ..io.segmentations import Segment, Segmentation

__all__ = ["Structure", "structures_of"]

_MOST_NAMES_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Structure:
    """A part of the body that moves as a rigid one.

    Parameters
    ----------
    name : str
        Of the segment.
    mask : Volume
        Zeros and ones in world coordinates of the fixed volume, cut to the structure.
    """

    name: str
    mask: Volume

    @property
    def points_lps(self) -> NDArray[np.float64]:
        """Centres of its voxels, shape (N, 3), LPS, mm."""
        return apply_matrix(self.mask.grid.ijk_to_lps, np.argwhere(self.mask.voxels > 0)[:, ::-1])

    def is_same_as(self, other: Structure) -> bool:
        """Whether this is the same segment, also where it was read anew."""
        if self is other:
            return True
        alike = self.name == other.name and self.mask.grid.coincides_with(other.mask.grid)
        return alike and np.array_equal(self.mask.voxels, other.mask.voxels)


def structures_of(segmentation: Segmentation, names: Sequence[str] | None = None) -> tuple[Structure, ...]:
    """The structures that are to move.

    Parameters
    ----------
    segmentation : Segmentation
        In the frame of the fixed volume.
    names : sequence of str, optional
        Segments by name or by label; all that have voxels by default.

    Returns
    -------
    tuple of Structure
        In the order of the names, or of the segmentation.

    Raises
    ------
    InputError
        A name is not there or given twice, or a segment has no voxels.
    """
    if names is None:
        return tuple(_structure(segmentation, one) for one in segmentation.segments if one.box is not None)
    found: list[Segment] = []
    for name in names:
        segment = segmentation.find(name)
        if segment is None:
            there = [f"'{one.name}'" for one in segmentation.segments]
            more = f" and {len(there) - _MOST_NAMES_SHOWN} more" if len(there) > _MOST_NAMES_SHOWN else ""
            raise InputError(
                segmentation.name,
                f"there is no segment '{name}'",
                f"It has {', '.join(there[:_MOST_NAMES_SHOWN])}{more}.",
            )
        if segment.box is None:
            raise InputError(segmentation.name, f"the segment '{name}' has no voxels", "Leave it out, or segment it.")
        if segment in found:
            raise InputError(segmentation.name, f"the segment '{name}' was given twice", "Give it once.")
        found.append(segment)
    return tuple(_structure(segmentation, one) for one in found)


def _structure(segmentation: Segmentation, segment: Segment) -> Structure:
    assert segment.box is not None
    mask = segment.cropped_mask
    k, j, i = mask.shape
    first = [side.start for side in segment.box[::-1]]
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    VolumeGrid.of_matrix((i, j, k), segmentation.grid.ijk_to_lps @ translation_matrix(first)).place(image)
    return Structure(segment.name, Volume(image, f"{segmentation.name} ({segment.name})"))
