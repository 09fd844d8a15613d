"""Tables with a header row (``.csv``, ``.tsv``): of Slicer, spreadsheets and scripts.

References
----------
``vtkSlicerMarkupsLogic::ExportControlPointsToCSV`` in the source of 3D Slicer.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from ...core.errors import InputError
from ...core.frames import Space
from .records import PointFile, PointRecord, parse_flag, parse_number, place_in_lines, space_in_comments

__all__ = ["parse_table"]

# Column names that state a convention by themselves, and those that leave it open.
_AXES: dict[tuple[str, str, str], Space | None] = {
    ("l", "p", "s"): "LPS",
    ("r", "a", "s"): "RAS",
    ("x_lps", "y_lps", "z_lps"): "LPS",
    ("x_ras", "y_ras", "z_ras"): "RAS",
    ("x", "y", "z"): None,
}
_LABELS = ("label", "name")
_EXPECTED = "Name the columns in the first row: label,l,p,s for LPS, label,r,a,s for RAS, or label,x,y,z."
_UNIT = re.compile(r"\s*(\[mm\]|\(mm\)|_mm)$")


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
    names = [_UNIT.sub("", name.strip().lower()) for name in _cells(path, rows[0], separator)]
    axes, space = _axes(path, rows[0][0], names)
    table = [(number, _row(path, number, _cells(path, (number, line), separator), names)) for number, line in rows[1:]]
    if separator != ",":
        table = _with_decimal_points(path, table, axes)
    stated = space_in_comments(comments, path=path)
    if stated and space and stated != space:
        raise InputError(path, f"its comments say {stated}, its columns {space}", "Keep the one that holds.")
    return PointFile(tuple(_point(path, number, row, axes) for number, row in table), space or stated)


def _cells(path: Path, row: tuple[int, str], separator: str) -> list[str]:
    try:
        # Strict, because Slicer's own export does not double the quotes inside labels.
        return next(csv.reader([row[1]], delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(
            path,
            f"line {row[0]}: {error}",
            "Double each quote inside a quoted text and keep texts on one line, or save the points as .mrk.json.",
        ) from error


def _axes(path: Path, number: int, names: list[str]) -> tuple[tuple[str, str, str], Space | None]:
    found = [axes for axes in _AXES if set(axes) <= set(names)]
    if not found:
        raise InputError(path, f"line {number} names no coordinate columns: {', '.join(names)[:80]}", _EXPECTED)
    if len(found) > 1:
        listed = " and ".join("".join(axes) for axes in found)
        raise InputError(path, f"has columns of several conventions: {listed}", "Keep the columns of one of them.")
    double = [name for name in (*found[0], *_LABELS, "selected", "defined") if names.count(name) > 1]
    if double:
        raise InputError(path, f"line {number} names the column '{double[0]}' twice", "Keep one of them.")
    return found[0], _AXES[found[0]]


def _row(path: Path, number: int, cells: list[str], names: list[str]) -> dict[str, str]:
    while len(cells) > len(names) and not cells[-1].strip():
        cells.pop()
    if len(cells) != len(names):
        place = place_in_lines(number, _label(dict(zip(names, cells, strict=False))))
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


def _label(row: dict[str, str]) -> str:
    return next((row[name] for name in _LABELS if name in row), "")


def _point(path: Path, number: int, row: dict[str, str], axes: tuple[str, str, str]) -> PointRecord:
    place = place_in_lines(number, _label(row))
    defined = parse_flag(row.get("defined", ""), path=path, place=place, column="defined")
    position = None
    if defined and any(row[axis].strip() for axis in axes):
        x, y, z = (parse_number(row[axis], path=path, place=place) for axis in axes)
        position = (x, y, z)
    selected = parse_flag(row.get("selected", ""), path=path, place=place, column="selected")
    return PointRecord(_label(row), position, selected, place)
