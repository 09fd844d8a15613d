"""Landmark files of any format, read as LPS and mm, and written so that Slicer reads them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path

from ..core.errors import InputError
from ..core.frames import Space, flip_points_lps_ras
from ..core.points import Landmark, LandmarkList
from .input_files import read_text
from .landmark_text import (
    FCSV_COLUMNS,
    STATUS_DEFINED,
    STATUS_UNDEFINED,
    PointFile,
    PointRecord,
    parse_fcsv,
    parse_plain_text,
    parse_table,
)
from .markups import MARKUPS_SCHEMA, parse_json

LANDMARK_SUFFIXES = (".mrk.json", ".json", ".fcsv", ".csv", ".tsv", ".txt")
_TABLES = {".fcsv": parse_fcsv, ".csv": parse_table, ".tsv": parse_table, ".txt": parse_plain_text}
_LARGEST_MM = 10_000.0
OUTPUT_LANDMARK_SUFFIXES = (".mrk.json", ".fcsv", ".csv")
# Line ends, zero bytes, and surrogates, which UTF-8 cannot encode.
_NOT_IN_A_LINE = re.compile("[\n\r\0\ud800-\udfff]")
_NOWHERE = (0.0, 0.0, 0.0)


def read_landmarks(path: str | Path, *, space: Space | None = None, node_name: str | None = None) -> LandmarkList:
    """Read a list of landmarks.

    Parameters
    ----------
    path : str or Path
        File with one of :data:`LANDMARK_SUFFIXES`: Slicer's markups of any type (their control points), ``.fcsv``,
        tables with a header row, plain text, or points in JSON.
    space : {"LPS", "RAS"}, optional
        The coordinate convention, for files that do not state theirs. It is never guessed.
    node_name : str, optional
        Which of several markups in one file.

    Returns
    -------
    LandmarkList
        All points of the list in the order of the file, LPS, mm, also those that are not placed or not selected.

    Raises
    ------
    InputError
        The file cannot be read, holds no points or several lists, a value is not a usable coordinate, or the
        convention is unknown or contradicts ``space``.
    """
    path = Path(path)
    if space not in (None, "LPS", "RAS"):
        raise InputError(path, f"the coordinate convention '{space}' is unknown", "Use LPS or RAS.")
    suffix = path.suffix.lower()
    if suffix != ".json" and suffix not in _TABLES:
        raise InputError(path, "not a type of landmark file", f"Give one of {', '.join(LANDMARK_SUFFIXES)}.")
    text = read_text(path, kind="file of landmarks")
    if suffix == ".json":
        content = parse_json(path, text, node_name=node_name)
    elif node_name is not None:
        raise InputError(path, f"a {suffix} file holds one list without a name", f"Leave the name '{node_name}' out.")
    else:
        content = _TABLES[suffix](path, text)
    if not content.points:
        raise InputError(
            path, "holds no points", "Check that this is the right file; lines that begin with # are comments."
        )
    known = _space(path, content, space)
    name = str(path) if node_name is None else f"{path} ({node_name})"
    return LandmarkList(name, tuple(_landmark(path, point, known) for point in content.points))


def _space(path: Path, content: PointFile, stated: Space | None) -> Space:
    if stated and content.space and stated != content.space:
        raise InputError(
            path,
            f"the file says that its points are {content.space}, not {stated}",
            "Leave that option out, or correct the file.",
        )
    known = stated or content.space
    if known is None:
        raise InputError(
            path,
            "does not say whether its coordinates are LPS or RAS",
            "State it: --fixed-space LPS|RAS or --moving-space LPS|RAS on the command line, `space` in Python.",
        )
    return known


def _landmark(path: Path, point: PointRecord, space: Space) -> Landmark:
    if point.position is None:
        return Landmark(point.label, None, point.selected)
    for value in point.position:
        if not math.isfinite(value):
            raise InputError(path, f"{point.place}: the coordinate {value} is not finite", "Correct this point.")
        if abs(value) > _LARGEST_MM:
            raise InputError(
                path,
                f"{point.place}: the coordinate {value:g} mm is beyond 10 m",
                "Coordinates must be millimetres; convert those in micrometres or metres.",
            )
    x, y, z = flip_points_lps_ras(point.position).tolist() if space == "RAS" else point.position
    return Landmark(point.label, (x, y, z), point.selected)


def write_landmarks(path: str | Path, landmarks: LandmarkList) -> None:
    """Write a list of landmarks; points that are not placed or not selected stay so.

    Parameters
    ----------
    path : str or Path
        File with one of :data:`OUTPUT_LANDMARK_SUFFIXES`. Slicer reads all of them; its import of ``.csv`` tables alone
        does not understand labels that hold double quotes.
    landmarks : LandmarkList
        At least one point, LPS, mm.

    Raises
    ------
    InputError
        Wrong file type, no points, or a label that the format cannot hold.
    """
    path = Path(path)
    writers = {".mrk.json": _markups, ".fcsv": _fcsv, ".csv": _table}
    suffix = next((suffix for suffix in writers if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise InputError(
            path, "landmarks cannot be written as this type", f"Use one of {', '.join(OUTPUT_LANDMARK_SUFFIXES)}."
        )
    if not landmarks.landmarks:
        raise InputError(path, "no points to write", "Give at least one.")
    for number, landmark in enumerate(landmarks.landmarks, start=1):
        if suffix != ".mrk.json" and _NOT_IN_A_LINE.search(landmark.label):
            raise InputError(
                path,
                f"the label of point {number}, {landmark.label!r}, holds a line break or half a character",
                "Write .mrk.json, or rename the point.",
            )
    path.write_text(writers[suffix](landmarks), encoding="utf-8", newline="\n")


def _markups(landmarks: LandmarkList) -> str:
    points = []
    for number, landmark in enumerate(landmarks.landmarks, start=1):
        position = {} if landmark.position_lps is None else {"position": list(landmark.position_lps)}
        points.append(
            {
                "id": str(number),
                "label": landmark.label,
                "description": "",
                "associatedNodeID": "",
                **position,
                "selected": landmark.selected,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined" if landmark.placed else "undefined",
            }
        )
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": points,
    }
    return json.dumps({"@schema": MARKUPS_SCHEMA, "markups": [markup]}, indent=4, allow_nan=False) + "\n"


def _fcsv(landmarks: LandmarkList) -> str:
    # 4.11 is the first version of Slicer that names the convention instead of numbering it.
    text = io.StringIO(
        f"# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n# columns = {','.join(FCSV_COLUMNS)}\n"
    )
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, lineterminator="\n")
    for number, landmark in enumerate(landmarks.landmarks, start=1):
        # Orientation, visible, selected, locked, label, description, node, status, not created automatically.
        writer.writerow(
            [
                *(number, *(landmark.position_lps or _NOWHERE), 0, 0, 0, 1, 1, int(landmark.selected), 0),
                *(landmark.label, "", "", STATUS_DEFINED if landmark.placed else STATUS_UNDEFINED, 0),
            ]
        )
    return text.getvalue()


def _table(landmarks: LandmarkList) -> str:
    text = io.StringIO()
    # Texts are quoted even where they need not be: a label may begin like a comment.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["label", "l", "p", "s", "defined", "selected", "visible", "locked", "description"])
    for landmark in landmarks.landmarks:
        position = landmark.position_lps or _NOWHERE
        writer.writerow([landmark.label, *position, int(landmark.placed), int(landmark.selected), 1, 0, ""])
    return text.getvalue()
