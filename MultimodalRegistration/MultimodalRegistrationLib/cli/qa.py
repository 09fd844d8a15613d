"""``qa``: how good one or more transforms are, as numbers, tables, maps and a report."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..assess.assess import Assessment, Structures, assess
from ..assess.content import quality_content
from ..assess.csv_tables import csv_tables
from ..assess.maps import quality_maps
from ..assess.report.write import write_report
from ..assess.tolerance import TG_132, own_tolerance
from ..core.errors import InputError
from ..core.progress import Progress
from ..core.spatial import SpatialTransform
from ..core.volume import Volume
from ..io.outputs import OutputFiles, output_folder, write_json, writing
from ..io.run_records import RunRecord, find_record
from ..io.segmentations import read_segmentation
from ..io.transforms import approximation, read_transform
from ..io.volumes import read_mask, read_volume
from ..register.prepare import mask_on_grid
from .handover import Handover, add_handover_option, read_handover
from .landmark_options import add_space_options, add_target_options, read_target_pairs
from .progress import Printer, make_printer

__all__ = ["add_parser"]

REPORT = "report.html"
_INPUTS = (
    *("fixed", "moving", "transform", "reference", "targets_fixed", "targets_moving"),
    *("fixed_segmentation", "moving_segmentation", "region"),
)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "qa",
        help="how good one or more transforms are",
        description="Measure how good transforms of two volumes are, compare them, and write a report.",
        allow_abbrev=False,
    )
    parser.add_argument("--fixed", required=True, metavar="F", help="volume that stays")
    parser.add_argument("--moving", required=True, metavar="M", help="volume that is moved onto it")
    parser.add_argument(
        "--transform",
        required=True,
        action="append",
        metavar="T",
        help="transform or displacement field of ITK (as Slicer saves it for the moving volume), elastix, ANTs and "
        "others; repeat to compare several",
    )
    parser.add_argument("--reference", metavar="T", help="a transform that is known to be right")
    add_target_options(parser)
    add_space_options(parser)
    for role in ("fixed", "moving"):
        parser.add_argument(f"--{role}-segmentation", metavar="S", help=f"structures in the {role} volume")
    parser.add_argument("--region", metavar="FILE", help="mask on the fixed volume: the part that counts")
    parser.add_argument(
        "--tolerance", type=float, metavar="MM", help=f"acceptable mean error ({TG_132.mm:g} mm, {TG_132.name})"
    )
    parser.add_argument("--output-dir", required=True, metavar="D", help="new or empty folder for the results")
    parser.add_argument("--json", metavar="R.json", help="every number, also here")
    parser.add_argument("--no-maps", action="store_true", help="leave out the maps, which take most of the disk")
    add_handover_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    printer = make_printer(options)
    inputs = {name: getattr(options, name) for name in _INPUTS}
    given = [path for value in inputs.values() for path in (value if isinstance(value, list) else [value]) if path]
    tolerance = TG_132 if options.tolerance is None else own_tolerance(options.tolerance)
    folder = output_folder(options.output_dir)
    with OutputFiles(given) as outputs:
        report = outputs.add(folder / REPORT, (".html",))
        json_files = [outputs.add(folder / "quality.json", (".json",))]
        if options.json:
            json_files.append(outputs.add(options.json, (".json",)))
        printer.progress(Progress("reading", 0.0))
        handover = read_handover(options)
        fixed, moving = (_volume(path, handover) for path in (options.fixed, options.moving))
        transforms = _transforms(options.transform, handover)
        inexact = [warning for one in transforms if (warning := approximation(one)) is not None]
        reference = None if options.reference is None else _reference(options.reference, handover)
        named = [*zip(transforms, options.transform, strict=True)]
        records = _records([*named, (reference, options.reference)] if reference is not None else named, handover)
        region = _region(options.region, fixed, printer, handover)
        result = assess(
            fixed,
            moving,
            transforms,
            targets=read_target_pairs(options),
            structures=_structures(options, handover),
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
            command=handover.command or shlex.join(["multimodal-registration", *options.command_line]),
            region=words,
        )
        printer.progress(Progress("writing the report", 0.75))
        _write_tables(outputs, folder, content)
        if not options.no_maps:
            _write_maps(outputs, folder, result)
        for file in json_files:
            write_json(file, content)
        write_report(report, content, fixed, moving, [one.transform for one in result.methods])
        outputs.commit()
    printer.finish()
    if not options.quiet:
        print("\n".join(_words(result, folder)))
    return 0


def _volume(path: str, handover: Handover) -> Volume:
    volume = read_volume(path)
    return Volume(volume.image, handover.name(path, volume.name))


def _transforms(paths: list[str], handover: Handover) -> list[SpatialTransform]:
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


def _structures(options: argparse.Namespace, handover: Handover) -> Structures | None:
    given = options.fixed_segmentation, options.moving_segmentation
    if given == (None, None):
        return None
    if None in given:
        raise InputError("The segmentations", "only one of the two was given", "Give both, or none.")
    read = (read_segmentation(path) for path in given)
    return Structures(
        *(dataclasses.replace(one, name=handover.name(path, one.name)) for one, path in zip(read, given, strict=True))
    )


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
