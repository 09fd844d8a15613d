"""What every landmark format is parsed into, and the cells that all of them share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...core.frames import Space

__all__ = [
    "NUMBER",
    "PointFile",
    "PointRecord",
    "parse_flag",
    "parse_number",
    "parse_space",
    "place_in_lines",
    "space_in_comments",
]

# Not float(): that also takes underscores and digits of other scripts.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII)

# Slicer wrote its numeric codes until 4.10 and words since.
_SPACES: dict[str, Space] = {"RAS": "RAS", "LPS": "LPS", "0": "RAS", "1": "LPS"}
_STATEMENT = re.compile(r"coordinate[ _]?system\s*[=:]\s*([\w-]+)", re.IGNORECASE)
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class PointRecord:
    """One point as its file has it.

    Parameters
    ----------
    label : str
        May be empty.
    position : tuple of 3 float, or None
        In the convention of the file, mm, not yet checked; None where the point was not placed.
    selected : bool
        Whether it is to be used.
    place : str
        Where it is in the file, for messages: ``line 7, point 'A'``.
    """

    label: str
    position: tuple[float, float, float] | None
    selected: bool
    place: str


@dataclass(frozen=True)
class PointFile:
    """The points of a file, and the coordinate convention if the file states one."""

    points: tuple[PointRecord, ...]
    space: Space | None


def place_in_lines(number: int, label: str) -> str:
    """How messages call the point with this label in line ``number``."""
    return f"line {number}, point '{label}'" if label else f"line {number}"


def parse_number(text: str, *, path: Path, place: str) -> float:
    """Read a coordinate with a decimal point; NaN and infinity pass, for a later check to name.

    Raises
    ------
    InputError
        Not a number.
    """
    word = text.strip()
    if not NUMBER.fullmatch(word):
        raise InputError(path, f"{place}: the coordinate '{word}' is not a number", "Correct or remove this point.")
    return float(word)


def parse_flag(text: str, *, path: Path, place: str, column: str) -> bool:
    """Read a yes or no; an empty cell is a yes, as in Slicer.

    Raises
    ------
    InputError
        Anything else than 0, 1, true, false, yes or no.
    """
    word = text.strip().lower()
    if word and word not in _FLAGS:
        raise InputError(path, f"{place}: '{text.strip()}' in column '{column}'", "Write 1 or 0 there.")
    return _FLAGS.get(word, True)


def parse_space(value: Any, *, path: Path) -> Space:
    """Read the name or Slicer's old number of a coordinate convention.

    Raises
    ------
    InputError
        Neither LPS nor RAS.
    """
    word = str(value).strip().upper()
    if word not in _SPACES:
        raise InputError(
            path,
            f"the coordinate system '{value}' is neither LPS nor RAS",
            "Save the points in LPS or RAS, in mm, or correct this statement.",
        )
    return _SPACES[word]


def space_in_comments(lines: list[str], *, path: Path) -> Space | None:
    """Find a statement such as ``CoordinateSystem = LPS`` in comments and header lines.

    Raises
    ------
    InputError
        Neither LPS nor RAS, or both.
    """
    found = {parse_space(match[1], path=path) for line in lines if (match := _STATEMENT.search(line))}
    if len(found) > 1:
        raise InputError(path, "its comments state both LPS and RAS", "Keep the one that holds.")
    return next(iter(found), None)
