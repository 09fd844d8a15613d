"""``qa``: how good one or more transforms are, as numbers, tables, maps and a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..assess.assess import Assessment, Structures, assess
from ..assess.content import csv_tables, quality_content, quality_maps
from ..assess.report.write import write_report
from ..assess.request import AssessOutputs, AssessRequest
from ..assess.targets import TG_132, own_tolerance
from ..core.errors import FieldName, InputError
from ..core.progress import Progress
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..io.outputs import OutputFiles, output_folder, write_json, writing
from ..io.run_records import RunRecord, find_record
from ..io.segmentations import read_segmentation
from ..io.transforms import approximation, read_transform
from ..io.volumes import read_mask, read_volume
from ..register.prepare import mask_on_grid
from .handover import Handover, read_handover
from .jobs import Context, add_job_parser
from .progress import Printer

REPORT = "report.html"
_INPUTS = (
    *("fixed", "moving", "transform", "reference", "targets_fixed", "targets_moving"),
    *("fixed_segmentation", "moving_segmentation", "region"),
)

REQUESTS = (AssessRequest, AssessOutputs)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    add_job_parser(
        commands,
        "qa",
        help="how good one or more transforms are",
        description="Measure how good transforms of two volumes are, compare them, and write a report.",
    )


def run_job(request: AssessRequest, outputs: AssessOutputs, context: Context) -> int:
    """Measure transforms, write tables, maps and the report, and print the verdict; returns the exit code."""
    printer = context.printer
    if not request.transform:
        raise InputError(FieldName("transform"), "was not given", "Give at least one transform.")
    inputs = {name: getattr(request, name) for name in _INPUTS}
    given = [path for value in inputs.values() for path in (value if isinstance(value, tuple) else [value]) if path]
    tolerance = TG_132 if request.tolerance_mm is None else own_tolerance(request.tolerance_mm)
    folder = output_folder(outputs.output_dir)
    with OutputFiles(given) as files:
        report = files.add(folder / REPORT, (".html",))
        json_files = [files.add(folder / "quality.json", (".json",))]
        if outputs.json:
            json_files.append(files.add(outputs.json, (".json",)))
        printer.progress(Progress("reading", 0.0))
        handover = read_handover(outputs.handover)
        fixed, moving = (_volume(path, handover) for path in (request.fixed, request.moving))
        transforms = _transforms(request.transform, handover)
        inexact = [warning for one in transforms if (warning := approximation(one)) is not None]
        reference = None if request.reference is None else _reference(request.reference, handover)
        named = [*zip(transforms, request.transform, strict=True)]
        if reference is not None and request.reference is not None:
            named.append((reference, request.reference))
        records = _records(named, handover)
        region = _region(request.region, fixed, printer, handover)
        result = assess(
            fixed,
            moving,
            transforms,
            targets=request.read_targets(),
            structures=_structures(request, handover),
            reference=reference,
            region=region,
            records=records,
            tolerance=tolerance,
            on_progress=lambda stage, share: printer.progress(Progress(stage, 0.1 + 0.6 * share)),
        )
        result = dataclasses.replace(result, warnings=(*inexact, *result.warnings, *handover.warnings))
        for warning in result.warnings:
            printer.warning(warning)
        words = "the whole fixed volume" if region is None else f"the mask {region.name}"
        content = quality_content(
            result,
            fixed,
            moving,
            inputs={name: handover.named(value) for name, value in inputs.items()},
            command=handover.command or context.command,
            region=words,
        )
        printer.progress(Progress("writing the report", 0.75))
        _write_tables(files, folder, content)
        if not outputs.no_maps:
            _write_maps(files, folder, result)
        for file in json_files:
            write_json(file, content)
        write_report(report, content, fixed, moving, [one.transform for one in result.methods])
        files.commit()
    printer.finish()
    if not context.quiet:
        print("\n".join(_words(result, folder)))
    return 0


def _volume(path: str, handover: Handover) -> Volume:
    volume = read_volume(path)
    return Volume(volume.image, handover.name(path, volume.name))


def _transforms(paths: Sequence[str], handover: Handover) -> list[SpatialTransform]:
    """Files of the same name in different folders are told apart by their folders."""
    read = [read_transform(path) for path in paths]
    names = [one.name for one in read]
    return [
        dataclasses.replace(one, name=handover.name(path, str(Path(path)) if names.count(one.name) > 1 else one.name))
        for one, path in zip(read, paths, strict=True)
    ]


def _reference(path: str, handover: Handover) -> SpatialTransform:
    name = handover.name(path, Path(path).name)
    return SpatialTransform(f"reference ({name})", read_transform(path).transform)


def _records(transforms: Sequence[tuple[SpatialTransform, str]], handover: Handover) -> dict[str, RunRecord]:
    found = {one.name: handover.records.get(path) or find_record(path, one) for one, path in transforms}
    return {name: record for name, record in found.items() if record is not None}


def _region(path: str | None, fixed: Volume, printer: Printer, handover: Handover) -> Volume | None:
    if path is None:
        return None
    name = handover.name(path, Path(path).name)
    placed, resampled = mask_on_grid(read_mask(path), fixed)
    if resampled:
        printer.warning(f"The region {name} is on another grid than {fixed.name}; it was resampled.")
    return Volume(placed.image, handover.name(path, placed.name))


def _structures(request: AssessRequest, handover: Handover) -> Structures | None:
    fixed, moving = request.fixed_segmentation, request.moving_segmentation
    if fixed is None and moving is None:
        return None
    if fixed is None or moving is None:
        raise InputError("The segmentations", "only one of the two was given", "Give both, or none.")
    read = [(path, read_segmentation(path)) for path in (fixed, moving)]
    return Structures(*(dataclasses.replace(one, name=handover.name(path, one.name)) for path, one in read))


def _write_tables(outputs: OutputFiles, folder: Path, content: dict[str, Any]) -> None:
    for name, text in csv_tables(content).items():
        file = outputs.add(folder / f"{name}.csv", (".csv",))
        # The mark tells spreadsheets that this is UTF-8.
        file.write_text(text, encoding="utf-8-sig", errors="backslashreplace")


def _write_maps(outputs: OutputFiles, folder: Path, result: Assessment) -> None:
    for name, volume in quality_maps(result).items():
        file = outputs.add(folder / f"{name}.nrrd", (".nrrd",))
        with writing(folder / f"{name}.nrrd"):
            sitk.WriteImage(volume.image, str(file), True)


def _words(result: Assessment, folder: Path) -> list[str]:
    verdict = result.verdict
    return [
        f"Quality: {verdict.word}. {verdict.sentence}",
        *(f"  Against it: {reason}" for reason in verdict.reasons),
        *(f"  {fact}" for fact in verdict.facts),
        *(f"{one.transform.name}: {note}" for one in result.methods for note in one.notes),
        *(one.sentence for one in result.comparisons if one.sentence is not None),
        f"Report: {folder / REPORT}",
    ]
