"""Parameters of elastix: their names and meanings, and parameter files as stages of presets.

Files are read by the rules of elastix's own parser, and written so that it reads the same.

A line is ``(Name value value ...)``, blank, or a comment from ``//`` on. Values are separated by blanks or stand in
quotes, which change nothing but keep blanks together. Other than elastix, this reader also takes a byte order mark.

References
----------
Klein, S., Staring, M., Murphy, K., Viergever, M. A., Pluim, J. P. W.: elastix: a toolbox for intensity-based medical
image registration. IEEE Trans. Med. Imaging 29, 196-205 (2010). doi:10.1109/TMI.2009.2035616
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ...core.errors import InputError, suggest
from ...io.input_files import read_text

ELASTIX_FILE = "parameter file of elastix"
LINEAR_TRANSFORMS = ("EulerTransform", "SimilarityTransform", "AffineTransform")
_TRANSFORMS = (*LINEAR_TRANSFORMS, "BSplineTransform")
# Files of a preset run in this order, from few degrees of freedom to many; others come last.
_FILE_ORDER = ("TranslationTransform", *LINEAR_TRANSFORMS)
_DIMENSIONS = ("FixedImageDimension", "MovingImageDimension")
# Of elastix, where a file does not set them.
_DEFAULTS = {"NumberOfResolutions": 3, "MaximumNumberOfIterations": 500}
# What a run without the parameter does here anyway.
_USUAL = {"ErodeMask": False}
# Set by this library for every run; in a preset they would be ignored or break the run.
_RESERVED = {
    "AutomaticTransformInitialization": "the start is set by the initial transform",
    "CompressResultImage": "volumes are resampled outside the engine",
    "FixedImageDimension": "always 3",
    "InitialTransformParameterFileName": "the start is set by the initial transform",
    "InitialTransformParametersFileName": "the start is set by the initial transform",
    "MovingImageDimension": "always 3",
    "RandomSeed": "set by the seed of the run",
    "UseDirectionCosines": "always true",
    "WriteITKCompositeTransform": "transforms are written outside the engine",
    "WriteResultImage": "volumes are resampled outside the engine",
}

_NAME_AND_VALUES = re.compile(r'\s*(\w+)(?=[\s"])(.*)', re.ASCII)
_VALUE = re.compile(r'"([^"]*)"|([^\s"]+)')
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDS: Mapping[str, bool] = {"true": True, "false": False}
# What ends a comment, a value or a line for elastix, in quotes or not.
_UNWRITABLE = ("//", '"', "\n", "\r", "\t")

# For every run.
RUN_PARAMETERS = {
    "FixedImageDimension": 3,
    "MovingImageDimension": 3,
    "UseDirectionCosines": True,
    "AutomaticTransformInitialization": False,
    # By default elastix would shrink the masks at coarse levels, and thin ones to nothing.
    "ErodeMask": False,
    "WriteResultImage": False,
}


def elastix_meaning(parameter: str) -> str:
    """The meaning of a parameter, where it is documented."""
    return _json("elastix_meanings.json").get(parameter, "See the manual of elastix, https://elastix.dev.")


def elastix_problems(stage: Mapping[str, Any]) -> list[str]:
    """What is wrong with the parameters of a stage, a sentence each."""
    problems = []
    for key, values in stage.items():
        unknown = _unknown(key)
        if key in _RESERVED:
            problems.append(f"'{key}' cannot be set in a preset ({_RESERVED[key]})")
        elif unknown is not None:
            problems.append(unknown)
        entries = values if isinstance(values, list) else [values]
        if not entries or not all(isinstance(v, (str, int, float, bool)) for v in entries):
            problems.append(f"'{key}' must be a text, a number, true, false, or a list of them")
    transform = stage.get("Transform")
    if transform not in _TRANSFORMS:
        problems.append(f"'Transform' must be one of {', '.join(_TRANSFORMS)}")
    elif transform not in LINEAR_TRANSFORMS and stage.get("HowToCombineTransforms", "Compose") != "Compose":
        problems.append("'HowToCombineTransforms' must be Compose for a deformable transform")
    levels, iterations = stage.get("NumberOfResolutions"), stage.get("MaximumNumberOfIterations")
    per_level = iterations if isinstance(iterations, list) else [iterations]
    if not _is_count(levels):
        problems.append("'NumberOfResolutions' must be a positive whole number")
    elif not all(map(_is_count, per_level)) or (isinstance(iterations, list) and len(per_level) != levels):
        problems.append("'MaximumNumberOfIterations' must be a positive whole number, or one for each resolution")
    return problems


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000


@cache
def _json(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return content


def _unknown(key: str) -> str | None:
    """A sentence about a parameter that elastix does not know, with names spelled alike; None where it does."""
    known = _json("elastix_parameter_names.json")
    numbered = (re.escape(name).replace("<N>", r"\d+") for name in known["numbered"])
    if key in known["names"] or any(re.fullmatch(pattern, key) for pattern in numbered):
        return None
    return f"unknown elastix parameter '{key}'.{suggest(key, sorted(known['names']))}"


class ElastixParameter(NamedTuple):
    """A parameter and where it stands.

    Parameters
    ----------
    value : object
        Text, number, true or false; a list of them where there are several.
    line : int
        From 1.
    """

    value: Any
    line: int


def looks_like_elastix(text: str) -> bool:
    """Whether the first line that is neither blank nor a comment begins with a parenthesis."""
    lines = (line.partition("//")[0].strip() for line in text.split("\n"))
    return next((line for line in lines if line), "").startswith("(")


def parse_elastix(text: str, path: Path) -> dict[str, ElastixParameter]:
    r"""Read the text of a parameter file.

    Parameters
    ----------
    text : str
        Its lines end with ``\n``.
    path : Path
        Its name, for messages.

    Returns
    -------
    dict
        Parameters by name, in the order of the file.

    Raises
    ------
    InputError
        A line that elastix would refuse, or the parameters of a transform, which elastix writes and does not take.
    """

    def refused(number: int, found: str, remedy: str) -> InputError:
        return InputError(path, f"line {number}: {found}", remedy)

    found: dict[str, ElastixParameter] = {}
    for number, whole in enumerate(text.split("\n"), start=1):
        line = whole.partition("//")[0].strip()
        if not line:
            continue
        if not (line.startswith("(") and line.endswith(")")):
            raise refused(number, f"'{line}' is not between parentheses", "Write (Name value).")
        inner = line[1:-1]
        if inner.count('"') % 2:
            raise refused(number, f"'{line}' has an odd number of quotes", "Close the quotes.")
        parts = _NAME_AND_VALUES.fullmatch(inner)
        if parts is None:
            raise refused(number, f"'{line}' is not a name and a value", "Write (Name value).")
        name, rest = parts.groups()
        values = [_value(quoted or bare) for quoted, bare in _VALUE.findall(rest) if quoted or bare]
        if not values:
            raise refused(number, f"'{name}' has no value", "Give one, or delete the line.")
        if name in found:
            raise refused(number, f"'{name}' stands in line {found[name].line} already", "Delete one of the two.")
        found[name] = ElastixParameter(values[0] if len(values) == 1 else values, number)
    if "TransformParameters" in found:
        raise InputError(
            path,
            f"this is a transform that elastix wrote (line {found['TransformParameters'].line}: TransformParameters)",
            "Give the file of settings that it was computed with.",
        )
    if not found:
        raise InputError(path, "holds no parameters", "Give a parameter file of elastix.")
    return found


class ElastixStage(NamedTuple):
    """A stage of a preset from a parameter file.

    Parameters
    ----------
    settings : dict
        As in a preset, checked.
    notes : list of str
        What was left out or added.
    unknown : list of str
        The notes about parameters that elastix does not know, and would ignore.
    """

    settings: dict[str, Any]
    notes: list[str]
    unknown: list[str]


def elastix_stage(text: str, path: Path, number: int) -> ElastixStage:
    """Make a stage of a parameter file.

    Parameters
    ----------
    text : str
        Of the file.
    path : Path
        Its name, for messages.
    number : int
        Of the stage, from 1, for messages.

    Raises
    ------
    InputError
        A line that elastix would refuse, or a stage that presets do not have; the message names it.
    """
    settings: dict[str, Any] = {}
    reserved: list[str] = []
    unknown: list[str] = []
    for key, (value, line) in parse_elastix(text, path).items():
        problem = _unknown(key)
        if key in _DIMENSIONS and value != 3:
            raise InputError(path, f"line {line}: {key} is {value}", "Give parameters for 3D volumes.", code="stage")
        if key in _USUAL and value == _USUAL[key]:
            continue
        if key in _RESERVED:
            reserved.append(key)
        elif problem is not None:
            unknown.append(f"{path}: line {line}: {problem} elastix ignores it, so it was left out.")
        else:
            settings[key] = value
    notes = []
    if reserved:
        notes.append(f"{path}: left out, since every run sets them by itself: {', '.join(reserved)}.")
    missing = {key: value for key, value in _DEFAULTS.items() if key not in settings}
    if missing:
        added = ", ".join(f"{key} {value}" for key, value in missing.items())
        notes.append(f"{path}: not set there, so elastix's default was added: {added}.")
    settings |= missing
    if problems := elastix_problems(settings):
        raise InputError(
            path,
            f"stage {number} ({settings.get('Transform', 'no transform')}): {'; '.join(problems)}",
            "Correct the file, or leave it out.",
            code="stage",
        )
    return ElastixStage(settings, notes, unknown)


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
    ranks = dict.fromkeys(files, len(_FILE_ORDER))
    for path in files:
        text = read_text(path, kind=ELASTIX_FILE)
        transform = parse_elastix(text, path).get("Transform") if looks_like_elastix(text) else None
        if transform is not None and transform.value in _FILE_ORDER:
            ranks[path] = _FILE_ORDER.index(transform.value)
    return sorted(files, key=ranks.__getitem__)


def elastix_text(stage: Mapping[str, Any]) -> str:
    """The parameter file of one stage.

    Parameters
    ----------
    stage : mapping
        Parameters by name.

    Returns
    -------
    str
        With what elastix needs beside them to run on 3D volumes as this library runs it.

    Raises
    ------
    InputError
        A text that elastix cannot read, such as one with a quote or a double slash.
    """
    return "".join(
        f"({name} {' '.join(_written(name, each) for each in (value if isinstance(value, list) else [value]))})\n"
        for name, value in {**RUN_PARAMETERS, **stage}.items()
    )


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _written(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return '"true"' if value else '"false"'
    if isinstance(value, (int, float)):
        return repr(value)
    text = str(value)
    if not text or any(sign in text for sign in _UNWRITABLE):
        raise InputError(
            f"'{name}'",
            f"elastix cannot read the text {text!r} from a file",
            "Leave it out, or write it without quotes, tabs and double slashes.",
        )
    return f'"{text}"'
