"""The one place where the quality of registrations is measured, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.points import Pairs
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..io.run_records import RunRecord
from ..io.segmentations import Segmentation
from ..transforms.health import displacement_difference, transform_health
from .comparison import Comparison, compare_methods
from .images.evidence import pair_evidence, prepare_pair
from .structures.compare import compare_structures
from .target_checks import UsedFiducials, check_targets_lie_in_volumes, find_used_fiducials, inverse_fits_better
from .targets import TG_132, Tolerance, target_errors
from .verdict import MethodQuality, QualityVerdict, judge_quality, ranked

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
        Names of the structures whose deformation is measured, in the order of their labels.
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
        Gets the name of a stage and the share done.

    Returns
    -------
    Assessment
        Measurements, comparisons and verdicts.

    Raises
    ------
    InputError
        No transform, two of one name, or targets that belong to other volumes.
    """
    names = [one.name for one in transforms]
    if not names:
        raise InputError("The transforms", "none was given", "Give one or more.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(twice, "two transforms have this name", "Rename one, so that the results can be told apart.")
    every = [*transforms, *([] if reference is None else [reference])]
    records = records or {}
    used: list[UsedFiducials] = []
    left_out = [frozenset[int]()] * (1 + len(every))
    if targets is not None:
        check_targets_lie_in_volumes(targets, fixed.grid, moving.grid)
        known = [None if (record := records.get(one.name)) is None else record.fiducials_fixed_lps for one in every]
        used = [find_used_fiducials(targets, one, points) for one, points in zip(every, known, strict=True)]
        left_out = _left_out(len(targets), used)
    on_progress("preparing the volumes", 0.0)
    pair = prepare_pair(fixed, moving, region=region)
    counted = fixed.grid if region is None else region
    labels = None if structures is None else structures.fixed_labels()
    on_progress("measuring before", 0.0)
    identity = SpatialTransform.of_matrix("before", np.eye(4))

    def measure(one: SpatialTransform, not_targets: frozenset[int], **known: Any) -> MethodQuality:
        return MethodQuality(
            transform=one,
            targets=None if targets is None else target_errors(targets, one, used=not_targets, seed=seed),
            structures=()
            if structures is None
            else compare_structures(
                structures.fixed, structures.moving, one, tolerance_mm=tolerance.mm, fixed_volume=fixed.grid
            ),
            images=pair_evidence(pair, one),
            from_reference=None if reference is None else displacement_difference(one, reference, region=counted),
            **known,
        )

    before = measure(identity, left_out[0])
    methods = []
    for number, one in enumerate(every, start=1):
        on_progress(f"measuring {one.name}", number / (len(every) + 1))
        record, alarms, notes = records.get(one.name), [], []
        if targets is not None:
            notes = _notes(used[number - 1], len(targets), len(left_out[number]))
            wrong_way = inverse_fits_better(targets, one)
            if wrong_way is not None:
                alarms.append(
                    "The transform is the wrong way round, or the two lists of targets are exchanged: its inverse fits "
                    f"them far better (RMS {wrong_way[1]:.1f} mm instead of {wrong_way[0]:.1f} mm). Invert it, or "
                    "exchange the lists."
                )
        if record is not None and record.has_exchanged(fixed.name, moving.name):
            alarms.append(
                f"Fixed and moving are exchanged: {record.source} says that this transform puts "
                f"{Path(fixed.name).name} onto {Path(moving.name).name}."
            )
            # What it says of the result holds for the other direction.
            record = None
        methods.append(
            measure(
                one,
                left_out[number],
                health=transform_health(
                    one, fixed.grid, region=region, structures=None if one.matrix is not None else labels
                ),
                reference="It was given as the reference." if one is reference else None,
                record=record,
                alarms=tuple(alarms),
                notes=tuple(notes),
            )
        )
    candidates = ranked(methods[: len(transforms)])
    methods[: len(transforms)] = candidates
    verdicts = tuple(judge_quality(one, before, tolerance) for one in candidates)
    best = min(range(len(candidates)), key=lambda i: (candidates[i].rank is None, candidates[i].rank or 0, i))
    on_progress("comparing the transforms", len(every) / (len(every) + 1))
    return Assessment(
        before=before,
        methods=tuple(methods),
        comparisons=compare_methods(methods, counted, seed=seed),
        verdict=verdicts[best],
        verdicts=verdicts,
        tolerance=tolerance,
        voxel_mm=max(*fixed.grid.spacing_mm, *moving.grid.spacing_mm),
        rigid_parts=() if structures is None else tuple(one.name for one in structures.fixed.segments),
        warnings=() if targets is None else targets.notes,
        seed=seed,
    )


def _left_out(count: int, used: Sequence[UsedFiducials]) -> list[frozenset[int]]:
    """What is no target, for no transform at all and for each: the same for all where that leaves any."""
    everywhere = frozenset[int]().union(*(one.index for one in used if len(one.index) < count))
    if len(everywhere) == count:
        everywhere = frozenset()
    return [everywhere, *(one.index | everywhere for one in used)]


def _notes(own: UsedFiducials, given: int, left_out: int) -> list[str]:
    count = len(own.index)
    if count == given:
        return [f"None of the points given is a target for it: {own.why}"]
    notes = [f"{count} of the points given are no targets for it: {own.why}"] if count else []
    if left_out > count:
        notes.append(f"{left_out - count} points are left out, because another transform was computed from them.")
    return notes
