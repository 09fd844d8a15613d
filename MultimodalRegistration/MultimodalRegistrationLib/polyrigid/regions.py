"""What of two volumes is compared to register one structure: its region without its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.box import OrientedBox
from ..core.errors import FieldName, InputError
from ..core.volume import Volume
from ..preprocess.masks import distance_to, mask_like
from ..preprocess.region import crop_to_box
from .structure import Structure

__all__ = ["DEFAULT_MARGIN_MM", "StructureRegion", "structure_region"]

DEFAULT_MARGIN_MM = 8.0


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
    marked = _around(own, [_marked(one, wide) for one in neighbours if not one.is_same_as(structure)], wide, margin_mm)
    mask = mask_like(wide, marked, f"around {structure.name}")
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


def _around(
    own: NDArray[np.bool_], others: Sequence[NDArray[np.bool_]], reference: Volume, margin_mm: float
) -> NDArray[np.bool_]:
    """The structure and what is near to it, and nearer than to its neighbours."""
    k, j, i = reference.grid.spacing_mm[::-1]
    sampling = (k, j, i)
    near = distance_to(own, sampling)
    marked = near <= margin_mm
    other = np.logical_or.reduce(others) if others else np.zeros_like(own)
    if other.any():
        marked &= near < distance_to(other, sampling)
    return np.asarray(marked | own)
