"""Stages of a preset from parameter files of elastix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...io.text_files import read_text
from .elastix_files import ElastixParameter, looks_like_elastix, parse_elastix
from .imported import Imported, imported_preset
from .label import find_label
from .specification import ENGINE_CHECKS, elastix_reserved, elastix_unknown

__all__ = ["ELASTIX_FILE", "import_elastix", "in_usual_order"]

ELASTIX_FILE = "parameter file of elastix"
_DIMENSIONS = ("FixedImageDimension", "MovingImageDimension")
# Of elastix, where a file does not set them.
_DEFAULTS = {"NumberOfResolutions": 3, "MaximumNumberOfIterations": 500}
# From few degrees of freedom to many; others come last.
_TRANSFORMS = ("TranslationTransform", "EulerTransform", "SimilarityTransform", "AffineTransform")
# What a run without the parameter does here anyway.
_USUAL = {"ErodeMask": False}


def import_elastix(
    paths: Sequence[Path], *, name: str | None = None, label: Mapping[str, Any] | None = None
) -> Imported:
    """Make a preset of parameter files, one for each stage.

    Parameters
    ----------
    paths : sequence of Path
        In the order in which the stages run.
    name : str, optional
        Name of the preset; by default what the first file was exported from, or its name.
    label : mapping, optional
        Title and description, where a list of presets tells them.

    Returns
    -------
    Imported
        One preset. Parameters that elastix does not know, and would ignore, are left out and noted.

    Raises
    ------
    InputError
        A file that cannot be read, or a stage that presets do not have; the message names the stage.
    """
    stages: list[dict[str, Any]] = []
    notes: list[str] = []
    unknown: list[str] = []
    found = dict(label or {})
    for number, path in enumerate(paths, start=1):
        text = read_text(path, kind=ELASTIX_FILE)
        parameters = parse_elastix(text, path)
        found = found or find_label(text)
        stage, left_out, misspelled = _stage(parameters, path)
        problems = ENGINE_CHECKS["elastix"](stage)
        if problems:
            raise InputError(
                path,
                f"stage {number} ({stage.get('Transform', 'no transform')}): {'; '.join(problems)}",
                "Correct the file, or leave it out.",
                code="stage",
            )
        stages.append(stage)
        notes += left_out
        unknown += misspelled
    preset = imported_preset(found, "elastix", stages, paths[0], name=name)
    return Imported((preset,), tuple(notes), tuple(unknown))


def in_usual_order(paths: Sequence[str | Path]) -> list[Path]:
    """Parameter files in the order in which their stages run, where someone chose them in no order.

    Parameters
    ----------
    paths : sequence of str or Path
        Any files.

    Returns
    -------
    list of Path
        Files of elastix from rigid to deformable, otherwise as given.

    Raises
    ------
    InputError
        One of several files cannot be read.
    """
    files = [Path(path) for path in paths]
    if len(files) == 1:
        return files
    ranks = dict.fromkeys(files, len(_TRANSFORMS))
    for path in files:
        text = read_text(path, kind=ELASTIX_FILE)
        transform = parse_elastix(text, path).get("Transform") if looks_like_elastix(text) else None
        if transform is not None and transform.value in _TRANSFORMS:
            ranks[path] = _TRANSFORMS.index(transform.value)
    return sorted(files, key=ranks.__getitem__)


def _stage(parameters: dict[str, ElastixParameter], path: Path) -> tuple[dict[str, Any], list[str], list[str]]:
    """Settings, what was left out or added, and what elastix does not know."""
    for key in _DIMENSIONS:
        if key in parameters and parameters[key].value != 3:
            raise InputError(
                path,
                f"line {parameters[key].line}: {key} is {parameters[key].value}",
                "Give parameters for 3D volumes.",
                code="stage",
            )
    stage: dict[str, Any] = {}
    reserved: list[str] = []
    unknown: list[str] = []
    for key, (value, line) in parameters.items():
        problem = elastix_unknown(key)
        if key in _USUAL and value == _USUAL[key]:
            continue
        if elastix_reserved(key) is not None:
            reserved.append(key)
        elif problem is not None:
            unknown.append(f"{path}: line {line}: {problem} elastix ignores it, so it was left out.")
        else:
            stage[key] = value
    notes = []
    if reserved:
        notes.append(f"{path}: left out, since every run sets them by itself: {', '.join(reserved)}.")
    missing = {key: value for key, value in _DEFAULTS.items() if key not in stage}
    if missing:
        words = ", ".join(f"{key} {value}" for key, value in missing.items())
        notes.append(f"{path}: not set there, so elastix's default was added: {words}.")
    return {**stage, **missing}, notes, unknown
