"""Agreement of the structures of two volumes after a registration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...core.errors import InputError
from ...core.grid import VolumeGrid
from ...core.linear import apply_matrix
from ...core.spatial import SpatialTransform
from ...io.segmentations import Segment, Segmentation
from .matching import MatchedSegments, match_segments
from .measures import Measures, measure
from .moved import MovedSegment, move_segments
from .patch import Patch

__all__ = ["StructureAgreement", "StructureStatus", "compare_structures"]

StructureStatus = Literal["compared", "only-fixed", "only-moving", "empty", "ambiguous", "outside"]

# Below this share outside, the steps of the voxels cannot be told from a cut.
_SHARE_OUTSIDE = 0.02


@dataclass(frozen=True)
class StructureAgreement:
    """Agreement of one structure.

    Parameters
    ----------
    name : str
        What it is called.
    status : str
        Whether it was compared, and if not, why, for scripts: it is in one segmentation only, has no voxel in one of
        them, has a name that is not unique, or is moved out of the fixed volume.
    fixed_volume_mm3, moving_volume_mm3 : float or None
        Each in its own volume; None where it is missing or not unique.
    moved_volume_mm3 : float or None
        Of the moving structure on the fixed grid, as far as that reaches; None where nothing was moved.
    centroid_offset_lps : tuple of 3 float, or None
        From the centroid of the fixed structure to that of the moved one, LPS, mm; None unless it was compared.
    measures : Measures or None
        None unless it was compared.
    notes : tuple of str
        In words, what else there is to know: why nothing was compared, or what is cut off.
    """

    name: str
    status: StructureStatus
    fixed_volume_mm3: float | None = None
    moving_volume_mm3: float | None = None
    moved_volume_mm3: float | None = None
    centroid_offset_lps: tuple[float, float, float] | None = None
    measures: Measures | None = None
    notes: tuple[str, ...] = ()

    @property
    def volume_ratio(self) -> float | None:
        """Volume of the moved structure over that of the fixed one."""
        if self.moved_volume_mm3 is None or not self.fixed_volume_mm3:
            return None
        return self.moved_volume_mm3 / self.fixed_volume_mm3

    @property
    def centroid_distance_mm(self) -> float | None:
        """Distance between the centroids."""
        return None if self.centroid_offset_lps is None else float(np.linalg.norm(self.centroid_offset_lps))


def compare_structures(
    fixed: Segmentation,
    moving: Segmentation,
    transform: SpatialTransform,
    *,
    tolerance_mm: float,
    fixed_volume: VolumeGrid | None = None,
    structures: tuple[str | int, ...] | None = None,
) -> tuple[StructureAgreement, ...]:
    """Move the structures of the moving volume to the fixed one and compare them there.

    Parameters
    ----------
    fixed, moving : Segmentation
        Of the two volumes. All is measured on the voxels of the fixed one.
    transform : SpatialTransform
        ``fixed_to_moving_lps``, of any kind. The moving structures are resampled once, through it.
    tolerance_mm : float
        For the surface Dice: how far surfaces may be apart where two observers would draw them alike.
    fixed_volume : VolumeGrid, optional
        Grid of the volume that was segmented. The voxels are continued over it where the segmentation was saved
        cropped; without it, what is moved out of a cropped segmentation is cut off.
    structures : tuple of str or int, optional
        Names or label numbers of those to compare; all by default.

    Returns
    -------
    tuple of StructureAgreement
        One for each structure of either segmentation, in the order of the fixed one.

    Raises
    ------
    InputError
        The tolerance is no length, or a structure that is wanted is in neither segmentation.
    """
    if not (np.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise InputError("Tolerance", f"{tolerance_mm} mm", "Give a length of zero or more, in mm.")
    matches = match_segments(fixed, moving, structures)
    grid, shift_kji = _continued(fixed.grid, fixed_volume)
    pairs = [(match.fixed[0], match.moving[0]) for match in matches if _refusal(match, fixed, moving) is None]
    moved = iter(move_segments([pair[1] for pair in pairs], moving.grid, transform, grid))
    results = []
    for match in matches:
        refusal = _refusal(match, fixed, moving)
        volumes = _volume_mm3(match.fixed, fixed.grid), _volume_mm3(match.moving, moving.grid)
        if refusal is not None:
            status, words = refusal
            results.append(StructureAgreement(match.name, status, *volumes, notes=(words,)))
            continue
        here, there = _patch(match.fixed[0], shift_kji), next(moved)
        if there.patch.voxel_count == 0:
            words = (
                f"{match.name}: the transform leaves none of it in the voxels of the fixed volume: it is moved out, "
                "or smaller than they are."
            )
            results.append(StructureAgreement(match.name, "outside", *volumes, there.volume_mm3, notes=(words,)))
            continue
        offset = there.centroid_lps - here.centroid_lps(grid.ijk_to_lps)
        results.append(
            StructureAgreement(
                match.name,
                "compared",
                *volumes,
                moved_volume_mm3=there.volume_mm3,
                centroid_offset_lps=(float(offset[0]), float(offset[1]), float(offset[2])),
                measures=measure(here, there.patch, ijk_to_lps=grid.ijk_to_lps, tolerance_mm=tolerance_mm),
                notes=_cut_off(match.name, there, grid, transform, volumes[1]),
            )
        )
    return tuple(results)


def _refusal(match: MatchedSegments, fixed: Segmentation, moving: Segmentation) -> tuple[StructureStatus, str] | None:
    sides = ((match.fixed, fixed), (match.moving, moving))
    for segments, segmentation in sides:
        if len(segments) > 1:
            found = ", ".join(f"'{one.name}' (label {one.label})" for one in segments)
            words = (
                f"{match.name}: {segmentation.name} has {len(segments)} segments that go by it, {found}; rename them."
            )
            return "ambiguous", words
    if not match.moving:
        return "only-fixed", f"{match.name}: only in {fixed.name}, not in {moving.name}."
    if not match.fixed:
        return "only-moving", f"{match.name}: only in {moving.name}, not in {fixed.name}."
    empty = [segmentation.name for segments, segmentation in sides if segments[0].box is None]
    return ("empty", f"{match.name}: has no voxel in {' and '.join(empty)}.") if empty else None


def _continued(grid: VolumeGrid, volume: VolumeGrid | None) -> tuple[VolumeGrid, tuple[int, int, int]]:
    """The grid continued over a volume, and the index along K, J, I of its first voxel there."""
    if volume is None:
        return grid, (0, 0, 0)
    # Corners of both are voxel borders, half a voxel outside the outermost centres.
    corners = apply_matrix(np.linalg.inv(grid.ijk_to_lps), volume.corners_lps)
    before = np.maximum(0, np.ceil(-0.5 - corners.min(axis=0) - 1e-3)).astype(int)
    after = np.maximum(0, np.ceil(corners.max(axis=0) + 0.5 - np.asarray(grid.size) - 1e-3)).astype(int)
    matrix = grid.ijk_to_lps
    matrix[:3, 3] = apply_matrix(matrix, -before)
    i, j, k = (before + grid.size + after).tolist()
    return VolumeGrid.of_matrix((i, j, k), matrix), (int(before[2]), int(before[1]), int(before[0]))


def _patch(segment: Segment, shift_kji: tuple[int, int, int]) -> Patch:
    assert segment.box is not None
    corner = [side.start + shift for side, shift in zip(segment.box, shift_kji, strict=True)]
    return Patch((corner[0], corner[1], corner[2]), segment.cropped_mask)


def _voxel_mm3(grid: VolumeGrid) -> float:
    return abs(float(np.linalg.det(grid.ijk_to_lps[:3, :3])))


def _volume_mm3(segments: tuple[Segment, ...], grid: VolumeGrid) -> float | None:
    return int(np.count_nonzero(segments[0].cropped_mask)) * _voxel_mm3(grid) if len(segments) == 1 else None


def _cut_off(
    name: str, moved: MovedSegment, grid: VolumeGrid, transform: SpatialTransform, moving_volume_mm3: float | None
) -> tuple[str, ...]:
    ends = zip(moved.patch.end_kji, grid.size[::-1], strict=True)
    if min(moved.patch.corner_kji) > 0 and all(end < n for end, n in ends):
        return ()
    if transform.matrix is None or moving_volume_mm3 is None:
        return (f"{name}: it reaches the border of the fixed volume; what lies beyond was not compared.",)
    whole = moving_volume_mm3 / abs(float(np.linalg.det(transform.matrix[:3, :3])))
    outside = 1 - moved.volume_mm3 / whole
    if outside < _SHARE_OUTSIDE:
        return ()
    return (f"{name}: about {outside:.0%} of it is moved out of the fixed volume and was not compared.",)
