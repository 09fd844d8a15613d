"""Points in plain text (``.txt``), as planning stations and trackers export them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ...core.errors import InputError
from ...core.frames import Space
from .records import NUMBER, PointFile, PointRecord, parse_number, place_in_lines, space_in_comments

__all__ = ["parse_plain_text"]

_COMMENT = re.compile(r"\s*(#|%|//|!)")
_AXES = re.compile(r"(?<![a-z])(?:(l[\s,;]+p[\s,;]+s)|(r[\s,;]+a[\s,;]+s))(?![a-z])", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"^([+-]?\d+),(\d+)$")
_REMEDY = "Write one point a line: x y z, with a label before or after the numbers. Begin other lines with #."


def parse_plain_text(path: Path, text: str) -> PointFile:
    """Read points, one a line: three numbers in mm, with a label before or after them.

    Values are separated by blanks, semicolons or commas; with blanks or semicolons, numbers may have decimal commas.
    Empty lines and comments (``#``, ``%``, ``//``, ``!``) are skipped, and so are header lines, which come before the
    first point and hold at most one number. The convention is known if a comment or a header line says
    ``CoordinateSystem = LPS`` or names the columns ``l p s`` or ``r a s``.

    Parameters
    ----------
    path : Path
        For messages.
    text : str
        The whole file.

    Returns
    -------
    PointFile
        In the order of the file.

    Raises
    ------
    InputError
        A line that is not a point.
    """
    header: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        values = _values(line)
        if _COMMENT.match(line) or (not rows and sum(map(_is_number, values)) < 2):
            header.append(line)
        else:
            rows.append((number, values))
            lines.append(line)
    _check_one_decimal_sign(path, lines)
    label_of = _label_finder(path, rows)
    points = []
    for number, values in rows:
        label, coordinates = label_of(number, values)
        place = place_in_lines(number, label)
        x, y, z = (parse_number(value, path=path, place=place) for value in coordinates)
        points.append(PointRecord(label, (x, y, z), True, place))
    return PointFile(tuple(points), _space(path, header))


def _is_number(value: str) -> bool:
    return NUMBER.fullmatch(value) is not None


def _split_at_blanks(line: str) -> list[str]:
    return re.split(r"[\s;]+", line.strip(" \t;"))


def _check_one_decimal_sign(path: Path, lines: list[str]) -> None:
    """Refuse files with both: their commas may separate thousands."""
    values = [value for line in lines for value in _split_at_blanks(line)]
    if any(map(_DECIMAL_COMMA.match, values)) and any("." in value and _is_number(value) for value in values):
        raise InputError(
            path, "numbers with decimal points and with commas", "Use one of them, and no thousands separators."
        )


def _values(line: str) -> list[str]:
    """Split a line; decimal commas become points, other commas separate."""
    with_points = [_DECIMAL_COMMA.sub(r"\1.\2", value) for value in _split_at_blanks(line)]
    if sum(map(_is_number, with_points)) >= 3:
        return with_points
    return [value for value in re.split(r"[\s,;]+", line.strip(" \t,;")) if value]


def _label_finder(path: Path, rows: list[tuple[int, list[str]]]) -> Callable[[int, list[str]], tuple[str, list[str]]]:
    """Decide, over the whole file, which of four numbers is the label: the one that counts 1, 2, 3."""
    four = [values for _, values in rows if len(values) == 4 and all(map(_is_number, values))]
    counted = [_counts([values[end] for values in four]) for end in (0, -1)]
    number_first = counted[0] and not counted[1]

    def label_of(number: int, values: list[str]) -> tuple[str, list[str]]:
        numeric = [_is_number(value) for value in values]
        if len(values) == 4 and all(numeric):
            if counted[0] == counted[1]:
                raise InputError(
                    path,
                    f"line {number} has four numbers, {' '.join(values)}, and which one is the label is unclear",
                    _REMEDY,
                )
            return (values[0], values[1:]) if number_first else (values[3], values[:3])
        if sum(numeric) != 3 or not (all(numeric[:3]) or all(numeric[-3:])):
            raise InputError(path, f"line {number}: '{' '.join(values)[:80]}' is not one point", _REMEDY)
        words, coordinates = (values[3:], values[:3]) if all(numeric[:3]) else (values[:-3], values[-3:])
        return " ".join(words).strip("\"'"), coordinates

    return label_of


def _counts(values: list[str]) -> bool:
    """Whether texts are whole numbers, each by one above the last."""
    if not values or not all(value.isdecimal() for value in values):
        return False
    return [int(value) for value in values] == list(range(int(values[0]), int(values[0]) + len(values)))


def _space(path: Path, header: list[str]) -> Space | None:
    named: set[Space] = {"LPS" if match[1] else "RAS" for line in header if (match := _AXES.search(line))}
    stated = space_in_comments(header, path=path)
    if stated:
        named.add(stated)
    if len(named) > 1:
        raise InputError(path, "its header says both LPS and RAS", "Keep the one that holds.")
    return next(iter(named), None)
