"""Slicer's ``.fcsv`` files, of Slicer 3, 4 and 5.

References
----------
``vtkMRMLMarkupsFiducialStorageNode`` in the source of 3D Slicer.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ...core.errors import InputError
from .records import PointFile, PointRecord, parse_flag, parse_number, place_in_lines, space_in_comments

__all__ = ["FCSV_COLUMNS", "STATUS_DEFINED", "STATUS_UNDEFINED", "parse_fcsv"]

# The header names these; Slicer 5 writes two more fields without naming them.
FCSV_COLUMNS = ["id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc", "associatedNodeID"]
_UNNAMED_COLUMNS = ["positionStatus", "autoCreated"]
_SLICER_3_COLUMNS = ["label", "x", "y", "z", "sel", "vis"]
STATUS_UNDEFINED, STATUS_DEFINED = 0, 2
_STATUSES = {"0": False, "1": False, "2": True, "3": False, "": True}


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
    columns = _columns(path, comments)
    points = [
        _point(path, number, line, columns)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]
    return PointFile(tuple(points), space_in_comments(comments, path=path))


def _columns(path: Path, comments: list[str]) -> list[str]:
    settings = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in comments)}
    if "columns" in settings:
        columns = [name.strip() for name in settings["columns"].split(",")]
        if not {"x", "y", "z"} <= set(columns):
            raise InputError(path, f"no columns x, y, z in '{settings['columns']}'", "Save the points in Slicer again.")
    else:
        columns = FCSV_COLUMNS if "Markups fiducial file version" in settings else _SLICER_3_COLUMNS
    return columns + _UNNAMED_COLUMNS if columns == FCSV_COLUMNS else columns


def _point(path: Path, number: int, line: str, columns: list[str]) -> PointRecord:
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
