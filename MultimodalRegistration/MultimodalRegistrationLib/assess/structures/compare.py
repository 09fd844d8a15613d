"""Agreement of the structures of two volumes after a registration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...core.errors import InputError
from ...core.grid import VolumeGrid
from ...core.linear import apply_matrix
from ...core.points import plain_label
from ...core.spatial import SpatialTransform
from ...io.segmentations import Segment, Segmentation
from .masks import MovedSegment, Patch, counted_from, move_segments, voxel_mm3
from .surfaces import Measures, measure

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
        What else there is to know: why nothing was compared, or what is cut off.
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


@dataclass(frozen=True)
class MatchedSegments:
    """The segments of one name or number.

    Parameters
    ----------
    name : str
        As the fixed segmentation has it, or the one that has names.
    fixed, moving : tuple of Segment
        Usually one each; none where it is missing, several where names are not unique.
    """

    name: str
    fixed: tuple[Segment, ...]
    moving: tuple[Segment, ...]


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
    matches = [(match, _refusal(match, fixed, moving)) for match in match_segments(fixed, moving, structures)]
    grid, shift_kji = _continued(fixed.grid, fixed_volume)
    compared = [match.moving[0] for match, refusal in matches if refusal is None]
    moved = iter(move_segments(compared, moving.grid, transform, grid))
    results = []
    for match, refusal in matches:
        volumes = _volume_mm3(match.fixed, fixed.grid), _volume_mm3(match.moving, moving.grid)
        if refusal is not None:
            status, message = refusal
            results.append(StructureAgreement(match.name, status, *volumes, notes=(message,)))
            continue
        here, there = _patch(match.fixed[0], shift_kji), next(moved)
        if there.patch.voxel_count == 0:
            message = (
                f"{match.name}: the transform leaves none of it in the voxels of the fixed volume: it is moved out, "
                "or smaller than they are."
            )
            results.append(StructureAgreement(match.name, "outside", *volumes, there.volume_mm3, notes=(message,)))
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
            return (
                "ambiguous",
                f"{match.name}: {segmentation.name} has {len(segments)} segments that go by it, {found}; rename them.",
            )
    if not match.moving:
        return "only-fixed", f"{match.name}: only in {fixed.name}, not in {moving.name}."
    if not match.fixed:
        return "only-moving", f"{match.name}: only in {moving.name}, not in {fixed.name}."
    empty = [segmentation.name for segments, segmentation in sides if segments[0].box is None]
    return ("empty", f"{match.name}: has no voxel in {' and '.join(empty)}.") if empty else None


def _continued(grid: VolumeGrid, volume: VolumeGrid | None) -> tuple[VolumeGrid, tuple[int, ...]]:
    """The grid continued over a volume, and the index along K, J, I of its first voxel there."""
    if volume is None:
        return grid, (0, 0, 0)
    # Corners of both are voxel borders, half a voxel outside the outermost centres.
    corners = apply_matrix(np.linalg.inv(grid.ijk_to_lps), volume.corners_lps)
    before = np.maximum(0, np.ceil(-0.5 - corners.min(axis=0) - 1e-3)).astype(int)
    after = np.maximum(0, np.ceil(corners.max(axis=0) + 0.5 - np.asarray(grid.size) - 1e-3)).astype(int)
    i, j, k = (before + grid.size + after).tolist()
    shift_kji = tuple(before[::-1].tolist())
    return VolumeGrid.of_matrix((i, j, k), counted_from(grid.ijk_to_lps, [-n for n in shift_kji])), shift_kji


def _patch(segment: Segment, shift_kji: tuple[int, ...]) -> Patch:
    assert segment.box is not None
    corner = tuple(side.start + shift for side, shift in zip(segment.box, shift_kji, strict=True))
    return Patch(corner, segment.cropped_mask)


def _volume_mm3(segments: tuple[Segment, ...], grid: VolumeGrid) -> float | None:
    return int(np.count_nonzero(segments[0].cropped_mask)) * voxel_mm3(grid) if len(segments) == 1 else None


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


def match_segments(
    fixed: Segmentation, moving: Segmentation, structures: tuple[str | int, ...] | None = None
) -> tuple[MatchedSegments, ...]:
    """Match the structures of two segmentations.

    By name where both have names, case and blanks ignored; otherwise, when one is a plain label map, by label number.
    Between two files with names equal numbers say nothing, because each file counts its own segments.

    Parameters
    ----------
    fixed, moving : Segmentation
        Of the two volumes.
    structures : tuple of str or int, optional
        Names or label numbers of those that are wanted, all by default.

    Returns
    -------
    tuple of MatchedSegments
        In the order of the fixed segmentation, then those that only the moving one has.

    Raises
    ------
    InputError
        A structure that is wanted is in neither of the two.
    """
    by_name = fixed.named and moving.named

    def key(segment: Segment) -> str:
        return plain_label(segment.name) if by_name else str(segment.label)

    groups: dict[str, tuple[list[Segment], list[Segment]]] = {}
    for side, segmentation in enumerate((fixed, moving)):
        for segment in segmentation.segments:
            groups.setdefault(key(segment), ([], []))[side].append(segment)
    wanted = list(groups)
    if structures is not None:
        wanted = list(dict.fromkeys(key(_named_by(one, fixed, moving)) for one in structures))
    matches = []
    for one in wanted:
        ours, theirs = groups[one]
        named = theirs if moving.named and not fixed.named else ours
        matches.append(MatchedSegments((named or ours or theirs)[0].name, tuple(ours), tuple(theirs)))
    return tuple(matches)


def _named_by(structure: str | int, fixed: Segmentation, moving: Segmentation) -> Segment:
    found = fixed.find(structure) or moving.find(structure)
    if found is None:
        names = list(dict.fromkeys(one.name for one in (*fixed.segments, *moving.segments)))
        raise InputError(
            structure if isinstance(structure, str) else f"label {structure}",
            f"neither {fixed.name} nor {moving.name} has this structure",
            f"They have: {', '.join(names[:30])}{' and others' if len(names) > 30 else ''}.",
        )
    return found
