"""Parameter files of elastix, read by the rules of elastix's own parser and written so that it reads the same.

A line is ``(Name value value ...)``, blank, or a comment from ``//`` on. Values are separated by blanks or stand in
quotes, which change nothing but keep blanks together. Other than elastix, this reader also takes a byte order mark.

References
----------
Klein, S., Staring, M., Murphy, K., Viergever, M. A., Pluim, J. P. W.: elastix: a toolbox for intensity-based medical
image registration. IEEE Trans. Med. Imaging 29, 196-205 (2010). doi:10.1109/TMI.2009.2035616
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...core.errors import InputError
from .label import label_line

__all__ = ["ElastixParameter", "elastix_text", "looks_like_elastix", "parse_elastix"]

_NAME_AND_VALUES = re.compile(r'\s*(\w+)(?=[\s"])(.*)', re.ASCII)
_VALUE = re.compile(r'"([^"]*)"|([^\s"]+)')
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDS: Mapping[str, bool] = {"true": True, "false": False}
# What ends a comment, a value or a line for elastix, in quotes or not.
_UNWRITABLE = ("//", '"', "\n", "\r", "\t")

# What this library sets for every run and elastix alone needs.
_FOR_ELASTIX = {
    "FixedImageDimension": 3,
    "MovingImageDimension": 3,
    "UseDirectionCosines": True,
    "AutomaticTransformInitialization": False,
    "ErodeMask": False,
    "WriteResultImage": False,
}


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
    found: dict[str, ElastixParameter] = {}
    for number, whole in enumerate(text.split("\n"), start=1):
        line = whole.partition("//")[0].strip()
        if not line:
            continue
        if not (line.startswith("(") and line.endswith(")")):
            raise _unreadable(path, number, f"'{line}' is not between parentheses", "Write (Name value).")
        inner = line[1:-1]
        if inner.count('"') % 2:
            raise _unreadable(path, number, f"'{line}' has an odd number of quotes", "Close the quotes.")
        parts = _NAME_AND_VALUES.fullmatch(inner)
        if parts is None:
            raise _unreadable(path, number, f"'{line}' is not a name and a value", "Write (Name value).")
        name, rest = parts.groups()
        values = [_value(quoted or bare) for quoted, bare in _VALUE.findall(rest) if quoted or bare]
        if not values:
            raise _unreadable(path, number, f"'{name}' has no value", "Give one, or delete the line.")
        if name in found:
            raise _unreadable(
                path, number, f"'{name}' stands in line {found[name].line} already", "Delete one of the two."
            )
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


def elastix_text(stage: Mapping[str, Any], label: Mapping[str, Any]) -> str:
    """The parameter file of one stage.

    Parameters
    ----------
    stage : mapping
        Parameters by name.
    label : mapping
        What the preset is called, by :func:`~MultimodalRegistrationLib.engines.presets.label.label_of`; in a comment,
        which elastix skips.

    Returns
    -------
    str
        With what elastix needs beside them to run on 3D volumes as this library runs it.

    Raises
    ------
    InputError
        A text that elastix cannot read, such as one with a quote or a double slash.
    """
    parameters = {**_FOR_ELASTIX, **stage}
    return "".join(
        [
            label_line("//", label),
            *(
                f"({name} {' '.join(_written(name, each) for each in _list(value))})\n"
                for name, value in parameters.items()
            ),
        ]
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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


def _unreadable(path: Path, number: int, found: str, remedy: str) -> InputError:
    return InputError(path, f"line {number}: {found}", remedy)
