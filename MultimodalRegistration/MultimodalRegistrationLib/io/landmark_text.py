"""Points in text: ``.fcsv`` of Slicer 3, 4 and 5, tables with a header row, and plain text.

References
----------
``vtkMRMLMarkupsFiducialStorageNode`` and ``vtkSlicerMarkupsLogic::ExportControlPointsToCSV`` in the source of Slicer.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.frames import Space

# Not float(): that also takes underscores and digits of other scripts.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII)
# Slicer wrote its numeric codes until 4.10 and words since.
_SPACES: dict[str, Space] = {"RAS": "RAS", "LPS": "LPS", "0": "RAS", "1": "LPS"}
_STATEMENT = re.compile(r"coordinate[ _]?system\s*[=:]\s*([\w-]+)", re.IGNORECASE)
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
# The header names these; Slicer 5 writes two more fields without naming them.
FCSV_COLUMNS = ["id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc", "associatedNodeID"]
_UNNAMED_COLUMNS = ["positionStatus", "autoCreated"]
_SLICER_3_COLUMNS = ["label", "x", "y", "z", "sel", "vis"]
STATUS_UNDEFINED, STATUS_DEFINED = 0, 2
_STATUSES = {"0": False, "1": False, "2": True, "3": False, "": True}
# Column names that state a convention by themselves, and those that leave it open.
_TABLE_AXES: dict[tuple[str, str, str], Space | None] = {
    ("l", "p", "s"): "LPS",
    ("r", "a", "s"): "RAS",
    ("x_lps", "y_lps", "z_lps"): "LPS",
    ("x_ras", "y_ras", "z_ras"): "RAS",
    ("x", "y", "z"): None,
}
_LABELS = ("label", "name")
_EXPECTED = "Name the columns in the first row: label,l,p,s for LPS, label,r,a,s for RAS, or label,x,y,z."
_UNIT = re.compile(r"\s*(\[mm\]|\(mm\)|_mm)$")
_COMMENT = re.compile(r"\s*(#|%|//|!)")
_NAMED_AXES = re.compile(r"(?<![a-z])(?:(l[\s,;]+p[\s,;]+s)|(r[\s,;]+a[\s,;]+s))(?![a-z])", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"^([+-]?\d+),(\d+)$")
_REMEDY = "Write one point a line: x y z, with a label before or after the numbers. Begin other lines with #."


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


def parse_fcsv(path: Path, text: str) -> PointFile:
    """Read the points of a ``.fcsv`` file.

    Files of Slicer 3 and files without the ``CoordinateSystem`` comment state no convention.

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
        A row that is not a point.
    """
    lines = text.split("\n")
    comments = [line[1:] for line in lines if line.startswith("#")]
    columns = _fcsv_columns(path, comments)
    points = [
        _fcsv_point(path, number, line, columns)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]
    return PointFile(tuple(points), space_in_comments(comments, path=path))


def _fcsv_columns(path: Path, comments: list[str]) -> list[str]:
    settings = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in comments)}
    if "columns" in settings:
        columns = [name.strip() for name in settings["columns"].split(",")]
        if not {"x", "y", "z"} <= set(columns):
            raise InputError(path, f"no columns x, y, z in '{settings['columns']}'", "Save the points in Slicer again.")
    else:
        columns = FCSV_COLUMNS if "Markups fiducial file version" in settings else _SLICER_3_COLUMNS
    return columns + _UNNAMED_COLUMNS if columns == FCSV_COLUMNS else columns


def _fcsv_point(path: Path, number: int, line: str, columns: list[str]) -> PointRecord:
    try:
        # Not strict: like Slicer, a quote inside an unquoted field is a character.
        fields = next(csv.reader([line]))
    except csv.Error as error:
        raise InputError(path, f"line {number}: {error}", "Correct or remove this point.") from error
    cells = dict(zip(columns, fields, strict=False))
    label = cells.get("label", "")
    place = place_in_lines(number, label)
    if len(fields) > len(columns) or not {"x", "y", "z"} <= set(cells):
        raise InputError(
            path,
            f"{place}: {len(fields)} values where {','.join(columns)} are expected",
            "Write a decimal point, not a comma, and put labels that hold a comma in double quotes.",
        )
    status = cells.get("positionStatus", "").strip()
    if status not in _STATUSES:
        raise InputError(path, f"{place}: unknown position status '{status}'", "Save the points in Slicer again.")
    x, y, z = (parse_number(cells[axis], path=path, place=place) for axis in "xyz")
    return PointRecord(
        label,
        (x, y, z) if _STATUSES[status] else None,
        parse_flag(cells.get("sel", ""), path=path, place=place, column="sel"),
        place,
    )


def parse_table(path: Path, text: str) -> PointFile:
    """Read the points of a table with a header row.

    Values are separated by commas, semicolons or tabs; between the latter two, numbers may have decimal commas. Lines
    that are empty or begin with ``#`` are skipped. Columns: label or name, the three coordinates, and optionally
    ``selected`` and ``defined``; others are ignored.

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
        No header row, or a row that is not a point.
    """
    lines = text.split("\n")
    comments = [line for line in lines if line.lstrip().startswith("#")]
    rows = [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if line.strip(" \t,;")
        and not line.lstrip().startswith("#")
        # Written for Excel.
        and not (number == 1 and re.fullmatch("sep=[,;\t]", line))
    ]
    if not rows:
        return PointFile((), None)
    separator = max(",;\t", key=rows[0][1].count)
    names = [_UNIT.sub("", name.strip().lower()) for name in _table_cells(path, rows[0], separator)]
    axes, space = _table_axes(path, rows[0][0], names)
    table = [
        (number, _table_row(path, number, _table_cells(path, (number, line), separator), names))
        for number, line in rows[1:]
    ]
    if separator != ",":
        table = _with_decimal_points(path, table, axes)
    stated = space_in_comments(comments, path=path)
    if stated and space and stated != space:
        raise InputError(path, f"its comments say {stated}, its columns {space}", "Keep the one that holds.")
    return PointFile(tuple(_table_point(path, number, row, axes) for number, row in table), space or stated)


def _table_cells(path: Path, row: tuple[int, str], separator: str) -> list[str]:
    try:
        # Strict, because Slicer's own export does not double the quotes inside labels.
        return next(csv.reader([row[1]], delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(
            path,
            f"line {row[0]}: {error}",
            "Double each quote inside a quoted text and keep texts on one line, or save the points as .mrk.json.",
        ) from error


def _table_axes(path: Path, number: int, names: list[str]) -> tuple[tuple[str, str, str], Space | None]:
    found = [axes for axes in _TABLE_AXES if set(axes) <= set(names)]
    if not found:
        raise InputError(path, f"line {number} names no coordinate columns: {', '.join(names)[:80]}", _EXPECTED)
    if len(found) > 1:
        listed = " and ".join("".join(axes) for axes in found)
        raise InputError(path, f"has columns of several conventions: {listed}", "Keep the columns of one of them.")
    double = [name for name in (*found[0], *_LABELS, "selected", "defined") if names.count(name) > 1]
    if double:
        raise InputError(path, f"line {number} names the column '{double[0]}' twice", "Keep one of them.")
    return found[0], _TABLE_AXES[found[0]]


def _table_row(path: Path, number: int, cells: list[str], names: list[str]) -> dict[str, str]:
    while len(cells) > len(names) and not cells[-1].strip():
        cells.pop()
    if len(cells) != len(names):
        place = place_in_lines(number, _table_label(dict(zip(names, cells, strict=False))))
        raise InputError(
            path,
            f"{place}: {len(cells)} values under {len(names)} columns",
            "Put texts that hold the separator in double quotes; for decimal commas, separate by semicolons.",
        )
    return dict(zip(names, cells, strict=True))


def _with_decimal_points(
    path: Path, table: list[tuple[int, dict[str, str]]], axes: tuple[str, str, str]
) -> list[tuple[int, dict[str, str]]]:
    coordinates = [row[axis] for _, row in table for axis in axes]
    if not any("," in cell for cell in coordinates):
        return table
    if any("." in cell for cell in coordinates):
        raise InputError(
            path, "coordinates with decimal points and with commas", "Use one of them, and no thousands separators."
        )
    return [(number, row | {axis: row[axis].replace(",", ".") for axis in axes}) for number, row in table]


def _table_label(row: dict[str, str]) -> str:
    return next((row[name] for name in _LABELS if name in row), "")


def _table_point(path: Path, number: int, row: dict[str, str], axes: tuple[str, str, str]) -> PointRecord:
    place = place_in_lines(number, _table_label(row))
    defined = parse_flag(row.get("defined", ""), path=path, place=place, column="defined")
    position = None
    if defined and any(row[axis].strip() for axis in axes):
        x, y, z = (parse_number(row[axis], path=path, place=place) for axis in axes)
        position = (x, y, z)
    selected = parse_flag(row.get("selected", ""), path=path, place=place, column="selected")
    return PointRecord(_table_label(row), position, selected, place)


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
        values = _plain_values(line)
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
    return PointFile(tuple(points), _stated_space(path, header))


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


def _plain_values(line: str) -> list[str]:
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


def _stated_space(path: Path, header: list[str]) -> Space | None:
    named: set[Space] = {"LPS" if match[1] else "RAS" for line in header if (match := _NAMED_AXES.search(line))}
    stated = space_in_comments(header, path=path)
    if stated:
        named.add(stated)
    if len(named) > 1:
        raise InputError(path, "its header says both LPS and RAS", "Keep the one that holds.")
    return next(iter(named), None)
