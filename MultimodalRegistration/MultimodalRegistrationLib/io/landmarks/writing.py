"""Writing of landmark files: LPS, mm, readable by Slicer."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from ...core.errors import InputError
from ...core.points import LandmarkList
from .fcsv import FCSV_COLUMNS, STATUS_DEFINED, STATUS_UNDEFINED

__all__ = ["MARKUPS_SCHEMA", "OUTPUT_LANDMARK_SUFFIXES", "write_landmarks"]

OUTPUT_LANDMARK_SUFFIXES = (".mrk.json", ".fcsv", ".csv")
MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
# Line ends, zero bytes, and surrogates, which UTF-8 cannot encode.
_NOT_IN_A_LINE = re.compile("[\n\r\0\ud800-\udfff]")
_NOWHERE = (0.0, 0.0, 0.0)


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
