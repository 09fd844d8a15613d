"""The one place where the quality of registrations is measured, step by step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.points import Pairs
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..io.run_records import RunRecord
from ..io.segmentations import Segmentation
from ..transforms.health.health import displacement_difference, transform_health
from .comparison import Comparison, compare_methods
from .direction import inverse_fits_better
from .fiducials import UsedFiducials, find_used_fiducials
from .images.evidence import pair_evidence
from .images.pair import prepare_pair
from .method import MethodQuality
from .rank import rank
from .scene import check_targets_lie_in_volumes
from .structures.compare import compare_structures
from .targets import target_errors
from .tolerance import TG_132, Tolerance
from .verdict import QualityVerdict, judge_quality

__all__ = ["Assessment", "Structures", "assess"]


@dataclass(frozen=True)
class Structures:
    """The same structures, segmented in both volumes."""

    fixed: Segmentation
    moving: Segmentation

    def fixed_labels(self) -> Volume:
        """Those of the fixed volume as one label map, numbered from 1; where several overlap, the first one counts."""
        labels = np.zeros(self.fixed.grid.size[::-1], dtype=np.uint16)
        for number, segment in reversed(list(enumerate(self.fixed.segments, start=1))):
            labels[segment.mask] = number
        image = sitk.GetImageFromArray(labels)
        self.fixed.grid.place(image)
        return Volume(image, self.fixed.name)


@dataclass(frozen=True)
class Assessment:
    """How good one or more transforms of the same two volumes are.

    Parameters
    ----------
    before : MethodQuality
        Without any transform.
    methods : tuple of MethodQuality
        In the order given, the reference last where there is one.
    comparisons : tuple of Comparison
        Of each pair of transforms.
    verdict : QualityVerdict
        About the best transform.
    verdicts : tuple of QualityVerdict
        About each transform but the reference, in order.
    tolerance : Tolerance
        Acceptable mean error.
    voxel_mm : float
        Largest edge of a voxel of either volume: a registration is seldom better than that.
    rigid_parts : tuple of str
        Names of the structures that are examined for bending, in the order of their labels.
    warnings : tuple of str
        What the user should know.
    seed : int
        Of all resampling.
    """

    before: MethodQuality
    methods: tuple[MethodQuality, ...]
    comparisons: tuple[Comparison, ...]
    verdict: QualityVerdict
    verdicts: tuple[QualityVerdict, ...]
    tolerance: Tolerance
    voxel_mm: float
    rigid_parts: tuple[str, ...]
    warnings: tuple[str, ...]
    seed: int


def assess(
    fixed: Volume,
    moving: Volume,
    transforms: Sequence[SpatialTransform],
    *,
    targets: Pairs | None = None,
    structures: Structures | None = None,
    reference: SpatialTransform | None = None,
    region: Volume | None = None,
    records: Mapping[str, RunRecord] | None = None,
    tolerance: Tolerance = TG_132,
    seed: int = 0,
    on_progress: Callable[[str, float], None] = lambda stage, share: None,
) -> Assessment:
    """Measure how good transforms are.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates. Not changed.
    transforms : sequence of SpatialTransform
        One or more, from fixed to moving, with different names.
    targets : Pairs, optional
        Independent points.
    structures : Structures, optional
        Segmentations of the same structures.
    reference : SpatialTransform, optional
        A transform that is known to be right.
    region : Volume, optional
        Mask on the fixed volume of the part that counts.
    records : mapping of str to RunRecord, optional
        How the transforms were made, by name.
    tolerance : Tolerance, optional
        Acceptable mean error.
    seed : int, optional
        Of all resampling.
    on_progress : callable, optional
        Gets a stage in words and the share done.

    Returns
    -------
    Assessment
        Measurements, comparisons and verdicts.

    Raises
    ------
    InputError
        No transform, two of one name, or targets that belong to other volumes.
    """
    _check_names(transforms)
    if targets is not None:
        check_targets_lie_in_volumes(targets, fixed.grid, moving.grid)
    records = records or {}
    every = [*transforms, *([] if reference is None else [reference])]
    used = [_used(targets, one, records.get(one.name)) for one in every]
    left_out = _left_out(targets, used)
    on_progress("preparing the volumes", 0.0)
    pair = prepare_pair(fixed, moving, region=region)
    labels = None if structures is None else structures.fixed_labels()
    measured = []
    identity = SpatialTransform.of_matrix("before", np.eye(4))
    for number, one in enumerate([identity, *every]):
        on_progress(f"measuring {one.name}", number / (len(every) + 1))
        is_reference = reference is not None and one is reference
        wrong_way = None if targets is None else inverse_fits_better(targets, one)
        alarms = [] if wrong_way is None or number == 0 else [_wrong_way_words(*wrong_way)]
        record = records.get(one.name)
        if record is not None and record.has_exchanged(fixed.name, moving.name):
            alarms.append(
                f"Fixed and moving are exchanged: {record.source} says that this transform puts "
                f"{Path(fixed.name).name} onto {Path(moving.name).name}."
            )
            # What it says of the result holds for the other direction.
            record = None
        measured.append(
            MethodQuality(
                transform=one,
                targets=None if targets is None else target_errors(targets, one, used=left_out[number], seed=seed),
                structures=()
                if structures is None
                else compare_structures(
                    structures.fixed, structures.moving, one, tolerance_mm=tolerance.mm, fixed_volume=fixed.grid
                ),
                images=pair_evidence(pair, one),
                health=None
                if number == 0
                else transform_health(
                    one, fixed.grid, region=region, structures=None if one.matrix is not None else labels
                ),
                from_reference=None
                if reference is None
                else displacement_difference(one, reference, region=fixed.grid if region is None else region),
                reference="It was given as the reference." if is_reference else None,
                record=record,
                alarms=tuple(alarms),
                notes=() if targets is None or number == 0 else _notes(used[number - 1], targets, left_out[number]),
                rank=None,
            )
        )
    before, *methods = measured
    candidates = [one for one in methods if one.reference is None]
    ranks = rank(
        [one.targets for one in candidates],
        [one.structures for one in candidates],
        [one.from_reference for one in candidates],
    )
    candidates = [dataclasses.replace(one, rank=place) for one, place in zip(candidates, ranks, strict=True)]
    methods = [*candidates, *(one for one in methods if one.reference is not None)]
    verdicts = tuple(judge_quality(one, before, tolerance) for one in candidates)
    best = min(range(len(candidates)), key=lambda i: (candidates[i].rank is None, candidates[i].rank or 0, i))
    on_progress("comparing the transforms", len(every) / (len(every) + 1))
    return Assessment(
        before=before,
        methods=tuple(methods),
        comparisons=compare_methods(methods, fixed.grid, region, seed=seed),
        verdict=verdicts[best],
        verdicts=verdicts,
        tolerance=tolerance,
        voxel_mm=max(*fixed.grid.spacing_mm, *moving.grid.spacing_mm),
        rigid_parts=() if structures is None else tuple(one.name for one in structures.fixed.segments),
        warnings=() if targets is None else targets.notes,
        seed=seed,
    )


def _check_names(transforms: Sequence[SpatialTransform]) -> None:
    names = [one.name for one in transforms]
    if not names:
        raise InputError("The transforms", "none was given", "Give one or more.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(twice, "two transforms have this name", "Rename one, so that the results can be told apart.")


def _used(targets: Pairs | None, transform: SpatialTransform, record: RunRecord | None) -> UsedFiducials:
    if targets is None:
        return UsedFiducials(frozenset(), "")
    return find_used_fiducials(targets, transform, None if record is None else record.fiducials_fixed_lps)


def _left_out(targets: Pairs | None, used: Sequence[UsedFiducials]) -> list[frozenset[int]]:
    """What is no target, for no transform at all and for each: the same for all where that leaves any."""
    count = 0 if targets is None else len(targets)
    everywhere = frozenset[int]().union(*(one.index for one in used if len(one.index) < count))
    if len(everywhere) == count:
        return [frozenset(), *(one.index for one in used)]
    return [everywhere, *(one.index | everywhere for one in used)]


def _notes(own: UsedFiducials, targets: Pairs, left_out: frozenset[int]) -> tuple[str, ...]:
    if len(own.index) == len(targets):
        return (f"None of the points given is a target for it: {own.why}",)
    notes = []
    if own.index:
        notes.append(f"{len(own.index)} of the points given are no targets for it: {own.why}")
    others = len(left_out) - len(own.index)
    if others:
        notes.append(f"{others} points are left out, because another transform was computed from them.")
    return tuple(notes)


def _wrong_way_words(as_given_mm: float, inverse_mm: float) -> str:
    return (
        f"The transform is the wrong way round, or the two lists of targets are exchanged: its inverse fits them far "
        f"better (RMS {inverse_mm:.1f} mm instead of {as_given_mm:.1f} mm). Invert it, or exchange the lists."
    )
