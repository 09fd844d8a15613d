"""Structures of a segmentation of the fixed volume, which of them are in view, and the region of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import FieldName, InputError
from ..core.grid import OrientedBox, VolumeGrid
from ..core.linear import apply_matrix, translation_matrix
from ..core.volume import Volume
from ..io.segmentations import Segment, Segmentation
from ..preprocess.intensities import padded_voxels
from ..preprocess.masks import distance_to, mask_like
from ..preprocess.region import crop_to_box

DEFAULT_MARGIN_MM = 8.0
# Less in view is too little for any verdict but failed.
MIN_SHARE = 0.25
_MAX_NAMES_SHOWN = 12


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
            more = f" and {len(there) - _MAX_NAMES_SHOWN} more" if len(there) > _MAX_NAMES_SHOWN else ""
            raise InputError(
                segmentation.name,
                f"there is no segment '{name}'",
                f"It has {', '.join(there[:_MAX_NAMES_SHOWN])}{more}.",
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


@dataclass(frozen=True, eq=False)
class SkippedStructure:
    """A structure that the moving volume does not show.

    Parameters
    ----------
    structure : Structure
        Which one.
    share : float
        Of its voxels that lie in the moving volume, but not in its padding, under the common start.
    moving_name : str
        Of the volume.
    """

    structure: Structure
    share: float
    moving_name: str

    @property
    def message(self) -> str:
        """A sentence for the user."""
        inside = "nothing" if self.share == 0 else f"only {max(self.share, 0.01):.0%}"
        return (
            f"'{self.structure.name}' was skipped: at the common start {inside} of it lies in {self.moving_name}. Give "
            "a better start, or a moving volume that shows it."
        )


def in_view(
    structures: Sequence[Structure], moving: Volume, fixed_to_moving_lps: NDArray[np.float64]
) -> tuple[tuple[Structure, ...], tuple[SkippedStructure, ...]]:
    """Tell structures that the moving volume shows from those of which it shows too little.

    Parameters
    ----------
    structures : sequence of Structure
        In the frame of the fixed volume.
    moving : Volume
        World coordinates.
    fixed_to_moving_lps : array, shape (4, 4)
        The common start.

    Returns
    -------
    shown : tuple of Structure
        To be registered.
    skipped : tuple of SkippedStructure
        The others; less than :data:`MIN_SHARE` of each is in view.
    """
    shown, skipped = [], []
    data = ~padded_voxels(moving.voxels)[0]
    to_index = np.linalg.inv(moving.grid.ijk_to_lps) @ fixed_to_moving_lps
    for one in structures:
        index = np.rint(apply_matrix(to_index, one.points_lps)).astype(int)
        i, j, k = index[np.all((index >= 0) & (index < moving.grid.size), axis=1)].T
        share = np.count_nonzero(data[k, j, i]) / len(index)
        if share < MIN_SHARE:
            skipped.append(SkippedStructure(one, share, moving.name))
        else:
            shown.append(one)
    return tuple(shown), tuple(skipped)


@dataclass(frozen=True, eq=False)
class StructureRegion:
    """Both volumes around one structure.

    Parameters
    ----------
    structure : Structure
        Which one.
    fixed : Volume
        Cut to the structure and its margin.
    fixed_mask : Volume
        The structure and its margin without its neighbours, on the grid of ``fixed``.
    moving : Volume
        Cut to where the structure can be.
    """

    structure: Structure
    fixed: Volume
    fixed_mask: Volume
    moving: Volume


def structure_region(
    fixed: Volume,
    moving: Volume,
    structure: Structure,
    neighbours: Sequence[Structure],
    *,
    fixed_to_moving_lps: NDArray[np.float64],
    margin_mm: float = DEFAULT_MARGIN_MM,
    max_translation_mm: float,
    max_rotation_deg: float,
) -> StructureRegion:
    """Cut both volumes and mask the neighbours.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; not changed.
    structure : Structure
        In the frame of the fixed volume.
    neighbours : sequence of Structure
        Likewise; the structure itself among them is passed over.
    fixed_to_moving_lps : array, shape (4, 4)
        The prealignment.
    margin_mm : float, optional
        How far around the structure voxels count that are closer to it than to any neighbour: its outline is seen
        against what lies beside it.
    max_translation_mm, max_rotation_deg : float
        How far from the prealignment the structure may be.

    Returns
    -------
    StructureRegion
        The same voxels at the same places, so that a transform found there holds for the full volumes.

    Raises
    ------
    InputError
        A negative margin, or a structure that is not in one of the volumes.
    """
    if not 0 <= margin_mm < np.inf:
        raise InputError(FieldName("margin_mm"), f"{margin_mm:g} was given", "Give zero or a positive number of mm.")
    points = structure.points_lps
    if not fixed.grid.contains(points).any():
        raise InputError(
            structure.mask.name, f"it lies outside of {fixed.name}", "Give a segmentation drawn on the fixed volume."
        )
    box = OrientedBox.around(points, _axes(fixed), margin_mm)
    # Twice the margin shows every neighbour that can be closer to a voxel of the margin than the structure is.
    wide = crop_to_box(fixed, OrientedBox.around(points, _axes(fixed), 2 * margin_mm))
    own = _marked(structure, wide)
    if not own.any():
        raise InputError(
            structure.mask.name,
            f"it is too thin for the voxels of {fixed.name}",
            "Segment more of it, or leave it out.",
        )
    k, j, i = wide.grid.spacing_mm[::-1]
    near = distance_to(own, (k, j, i))
    marked = near <= margin_mm
    other = np.zeros_like(own)
    for one in neighbours:
        if not one.is_same_as(structure):
            other |= _marked(one, wide)
    if other.any():
        marked &= near < distance_to(other, (k, j, i))
    mask = mask_like(wide, marked | own, f"around {structure.name}")
    turned_mm = 2 * np.sin(np.radians(min(max_rotation_deg, 180.0)) / 2) * float(np.linalg.norm(box.size_mm)) / 2
    seen = box.seen_from(fixed_to_moving_lps, _axes(moving))
    reach = OrientedBox(seen.center_lps, seen.axes, seen.size_mm + 2 * (max_translation_mm + turned_mm))
    try:
        found = crop_to_box(moving, reach)
    except InputError as error:
        raise InputError(
            structure.mask.name,
            f"under the prealignment it lies outside of {moving.name}",
            "Give a better prealignment, or leave the structure out.",
        ) from error
    return StructureRegion(structure, crop_to_box(fixed, box), crop_to_box(wide, box, kept=mask), found)


def _axes(volume: Volume) -> NDArray[np.float64]:
    return np.asarray(volume.grid.direction).reshape(3, 3)


def _marked(structure: Structure, reference: Volume) -> NDArray[np.bool_]:
    """Voxels of a volume that lie in a structure, shape (K, J, I)."""
    image = sitk.Resample(structure.mask.image, reference.image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return np.asarray(sitk.GetArrayViewFromImage(image) > 0)
