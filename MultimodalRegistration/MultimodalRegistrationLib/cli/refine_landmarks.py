"""``refine-landmarks``: landmarks of the moving volume put where the images say."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ..core.errors import FieldName, InputError
from ..core.points import LandmarkList, Pairs, plain_label
from ..io.landmarks import write_landmarks
from ..io.outputs import OutputFiles, write_json, writing
from ..io.volumes import read_volume
from ..landmarks.request import RefineOutputs, RefineRequest
from ..register.refine_landmarks import RefinedLandmark, refine_landmarks
from .jobs import Context, add_job_parser

_SUFFIXES = (".mrk.json", ".fcsv", ".csv")

REQUESTS = (RefineRequest, RefineOutputs)


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    add_job_parser(
        commands,
        "refine-landmarks",
        help="landmarks of the moving volume put where the images say",
        description="Move roughly placed landmarks of the moving volume to where it agrees best with the fixed one.",
    )


def run_job(request: RefineRequest, outputs: RefineOutputs, context: Context) -> int:
    """Refine the landmarks of files, and print what became of them; returns the exit code."""
    pairs = request.read_pairs()
    if pairs is None or request.fixed_landmarks is None or request.moving_landmarks is None:
        raise InputError("The landmarks", "a list is missing", "Give landmarks of both volumes.")
    inputs = [request.fixed, request.moving, request.fixed_landmarks, request.moving_landmarks]
    with OutputFiles(inputs) as files:
        list_file = files.add(outputs.output_landmarks, _SUFFIXES) if outputs.output_landmarks else None
        json_file = files.add(outputs.json, (".json",)) if outputs.json else None
        only = [_number(pairs, label) for label in request.only] or None
        found = refine_landmarks(read_volume(request.fixed), read_volume(request.moving), pairs, only=only)
        if list_file is not None and outputs.output_landmarks is not None:
            with writing(outputs.output_landmarks):
                write_landmarks(list_file, _moved(pairs, found))
        if json_file is not None:
            write_json(json_file, {"refined": [asdict(one) for one in found]})
        files.commit()
    if not context.quiet:
        print("\n".join(_lines(found)))
    return 0


def _number(pairs: Pairs, label: str) -> int:
    labels = [plain_label(pairs.fixed.landmarks[index].label) for index in pairs.fixed_index]
    if plain_label(label) not in labels:
        raise InputError(
            FieldName("only"), f"no pair has the fixed landmark '{label}'", "Give the label as the list has it."
        )
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
