"""``refine-landmarks``: landmarks of the moving volume put where the images say."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.points import LandmarkList, Pairs, plain_label
from ..io.landmarks import write_landmarks
from ..io.outputs import OutputFiles, write_json, writing
from ..io.volumes import read_volume
from ..register.refine_landmarks import RefinedLandmark, refine_landmarks
from .landmark_options import add_landmark_options, read_pairs

__all__ = ["add_parser"]

_SUFFIXES = (".mrk.json", ".fcsv", ".csv")


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser(
        "refine-landmarks",
        help="landmarks of the moving volume put where the images say",
        description="Move roughly placed landmarks of the moving volume to where it agrees best with the fixed one.",
        allow_abbrev=False,
    )
    parser.add_argument("--fixed", required=True, metavar="F", help="volume in which the landmarks are right")
    parser.add_argument("--moving", required=True, metavar="M", help="volume in which they were placed roughly")
    add_landmark_options(parser)
    parser.add_argument(
        "--only", action="append", metavar="LABEL", help="of a fixed landmark; may be repeated; default: all pairs"
    )
    parser.add_argument("--output-landmarks", metavar="B2", help="the moving landmarks: .mrk.json, .fcsv, .csv")
    parser.add_argument("--json", metavar="R.json", help="what became of each landmark, for scripts")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if None in (options.fixed_landmarks, options.moving_landmarks):
        raise InputError("The landmarks", "a list is missing", "Give --fixed-landmarks and --moving-landmarks.")
    inputs = [options.fixed, options.moving, options.fixed_landmarks, options.moving_landmarks]
    with OutputFiles(inputs) as outputs:
        list_file = outputs.add(options.output_landmarks, _SUFFIXES) if options.output_landmarks else None
        json_file = outputs.add(options.json, (".json",)) if options.json else None
        pairs = read_pairs(options)
        only = None if options.only is None else [_number(pairs, label) for label in options.only]
        found = refine_landmarks(read_volume(options.fixed), read_volume(options.moving), pairs, only=only)
        if list_file is not None:
            with writing(options.output_landmarks):
                write_landmarks(list_file, _moved(pairs, found))
        if json_file is not None:
            write_json(json_file, {"refined": [asdict(one) for one in found]})
        outputs.commit()
    if not options.quiet:
        print("\n".join(_lines(found)))
    return 0


def _number(pairs: Pairs, label: str) -> int:
    labels = [plain_label(pairs.fixed.landmarks[index].label) for index in pairs.fixed_index]
    if plain_label(label) not in labels:
        raise InputError("--only", f"no pair has the fixed landmark '{label}'", "Give the label as the list has it.")
    return labels.index(plain_label(label))


def _moved(pairs: Pairs, found: tuple[RefinedLandmark, ...]) -> LandmarkList:
    """The moving list with the refined positions."""
    landmarks = list(pairs.moving.landmarks)
    for one in found:
        index = pairs.moving_index[one.number]
        landmarks[index] = replace(landmarks[index], position_lps=one.after_lps)
    return replace(pairs.moving, landmarks=tuple(landmarks))


def _lines(found: tuple[RefinedLandmark, ...]) -> list[str]:
    moved = [one.distance_mm for one in found if not one.left_alone]
    lines = [f"Landmarks moved: {len(moved)} of {len(found)}"]
    if moved:
        lines[0] += f", by {min(moved):.1f} to {max(moved):.1f} mm (median {np.median(moved):.1f})"
    lines += [f"- {one.label} was left alone: {one.left_alone}." for one in found if one.left_alone]
    return [*lines, "They follow the images: they do not measure a registration of these volumes independently."]
