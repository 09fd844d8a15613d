"""Reading of landmark files: any format, always LPS and mm."""

from __future__ import annotations

import math
from pathlib import Path

from ...core.errors import InputError
from ...core.frames import Space, flip_points_lps_ras
from ...core.points import Landmark, LandmarkList
from ..text_files import read_text
from .fcsv import parse_fcsv
from .json_files import parse_json
from .plain_text import parse_plain_text
from .records import PointFile, PointRecord
from .tables import parse_table

__all__ = ["LANDMARK_SUFFIXES", "read_landmarks"]

LANDMARK_SUFFIXES = (".mrk.json", ".json", ".fcsv", ".csv", ".tsv", ".txt")
_TABLES = {".fcsv": parse_fcsv, ".csv": parse_table, ".tsv": parse_table, ".txt": parse_plain_text}
_LARGEST_MM = 10_000.0


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
