"""Points in JSON: Slicer's markups (``.mrk.json``) and plain lists.

References
----------
``markups-schema-v1.0.3.json`` and ``vtkMRMLMarkupsJsonStorageNode`` in the source of 3D Slicer.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...core.frames import Space
from ..text_files import read_text
from .records import PointFile, PointRecord, parse_space

__all__ = ["Markup", "parse_json", "read_markups"]

_MM_PER_UNIT = {"mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "cm": 10.0, "m": 1e3}
_PLACED = {"defined": True, "undefined": False, "preview": False, "missing": False}
_KNOWN_SCHEMA = re.compile(r"markups-schema-v1\.\d+\.\d+\.json#*$", re.IGNORECASE)


@dataclass(frozen=True)
class Markup:
    """One markup of a ``.mrk.json`` file, of any type, as its control points.

    Parameters
    ----------
    points : tuple of PointRecord
        In the order of the file, mm.
    space : {"LPS", "RAS"} or None
        The convention of the file.
    mm_per_unit : float
        What a unit of the positions in the file is.
    """

    points: tuple[PointRecord, ...]
    space: Space | None
    mm_per_unit: float

    @classmethod
    def of(cls, path: Path, markup: dict[str, Any]) -> Markup:
        """Read an entry of ``markups``; errors name the file ``path``."""
        # The schema says that a file without the statement is in LPS, mm.
        stated = markup.get("coordinateSystem", "LPS")
        mm_per_unit = _mm_per_unit(path, markup.get("coordinateUnits", "mm"))
        points = _points(path, markup.get("controlPoints", []), mm_per_unit, kind="controlPoints")
        return cls(points, None if stated == "" else parse_space(stated, path=path), mm_per_unit)


def read_markups(path: str | Path) -> dict[str, Any] | None:
    """Read a JSON file as it is; None where it holds no markups of Slicer.

    Raises
    ------
    InputError
        Not JSON, or an unknown schema.
    """
    path = Path(path)
    content = _loaded(path, read_text(path, kind="a list of points"))
    if not isinstance(content, dict) or not isinstance(content.get("markups"), list):
        return None
    _check_markups(path, content)
    return content


def parse_json(path: Path, text: str, *, node_name: str | None) -> PointFile:
    """Read the points of a JSON file, whichever kind its content is.

    Parameters
    ----------
    path : Path
        For messages.
    text : str
        The whole file.
    node_name : str, optional
        Which of several markups; one without a name is called by its number from 1.

    Returns
    -------
    PointFile
        In the order of the file, mm.

    Raises
    ------
    InputError
        Not JSON, not points, several markups and none or an unknown one chosen.
    """
    content = _loaded(path, text)
    if isinstance(content, dict) and isinstance(content.get("markups"), list):
        markup = Markup.of(path, _chosen_markup(path, content, node_name))
        return PointFile(markup.points, markup.space)
    if node_name is not None:
        raise InputError(path, f"holds no markups that could be called '{node_name}'", "Leave the name out.")
    return _plain_points(path, content)


def _loaded(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            path, f"line {error.lineno}, column {error.colno}: {error.msg}, not valid JSON", "Save the points again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"not usable JSON ({error})", "Save the points again.") from error


def _check_markups(path: Path, content: dict[str, Any]) -> None:
    schema = content.get("@schema")
    if schema is not None and not _KNOWN_SCHEMA.search(str(schema)):
        raise InputError(path, f"unknown schema '{schema}'", "Save the points with Slicer 5 as .mrk.json.")
    if not content["markups"] or not all(isinstance(markup, dict) for markup in content["markups"]):
        raise InputError(path, "holds no markups", "Save the points in Slicer again.")


def _chosen_markup(path: Path, content: dict[str, Any], node_name: str | None) -> dict[str, Any]:
    _check_markups(path, content)
    markups = content["markups"]
    names = [str(markup.get("name") or number) for number, markup in enumerate(markups, start=1)]
    listed = ", ".join(f"'{name}'" for name in names)
    chosen = [markup for name, markup in zip(names, markups, strict=True) if node_name in (None, name)]
    if len(chosen) == 1:
        return dict(chosen[0])
    if node_name is None:
        raise InputError(
            path,
            f"holds {len(names)} markups: {listed}",
            "Save the one to use in a file of its own, or choose it by its name (`node_name` in Python).",
        )
    raise InputError(path, f"{len(chosen) or 'no'} markups called '{node_name}' among {listed}", "Choose one of these.")


def _plain_points(path: Path, content: Any) -> PointFile:
    header = content if isinstance(content, dict) else {"points": content}
    if not isinstance(header.get("points"), list):
        raise InputError(
            path,
            "neither Slicer markups nor a list of points",
            'Write {"coordinate_system": "LPS", "points": [{"label": "A", "position": [1, 2, 3]}]}.',
        )
    stated = header.get("coordinate_system", header.get("coordinateSystem"))
    points = _points(path, header["points"], _mm_per_unit(path, header.get("units", "mm")), kind="points")
    return PointFile(points, None if stated is None else parse_space(stated, path=path))


def _mm_per_unit(path: Path, units: Any) -> float:
    # A coded entry is [value, scheme, meaning].
    unit = units[0] if isinstance(units, list) and units else units
    if not isinstance(unit, str) or unit not in _MM_PER_UNIT:
        raise InputError(
            path, f"coordinates in unknown units '{unit}'", f"Save them in mm ({', '.join(_MM_PER_UNIT)} are known)."
        )
    return _MM_PER_UNIT[unit]


def _points(path: Path, items: Any, mm_per_unit: float, *, kind: str) -> tuple[PointRecord, ...]:
    if not isinstance(items, list):
        raise InputError(path, f"'{kind}' is not a list", "Save the points again.")
    return tuple(_point(path, number, item, mm_per_unit) for number, item in enumerate(items, start=1))


def _point(path: Path, number: int, item: Any, mm_per_unit: float) -> PointRecord:
    point = {"position": item} if isinstance(item, list) else item
    if not isinstance(point, dict):
        raise InputError(path, f"point {number} is {json.dumps(item)[:40]}", "Give each point a label and a position.")
    label = str(point.get("label", point.get("name", "")))
    place = f"point {number}" + (f" '{label}'" if label else "")
    status = point.get("positionStatus", "defined")
    if not isinstance(status, str) or status not in _PLACED:
        raise InputError(path, f"{place}: unknown position status '{status}'", "Save the points in Slicer again.")
    selected = point.get("selected", True)
    if selected not in (True, False):
        raise InputError(path, f"{place}: 'selected' is '{selected}'", "Write true or false there.")
    position = point.get("position")
    # Slicer writes an empty text for points that are not placed.
    placed = _PLACED[status] and position not in (None, "")
    return PointRecord(label, _position(path, place, position, mm_per_unit) if placed else None, bool(selected), place)


def _position(path: Path, place: str, position: Any, mm_per_unit: float) -> tuple[float, float, float]:
    numbers = isinstance(position, list) and len(position) == 3
    if not numbers or any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in position):
        raise InputError(
            path, f"{place}: the position {json.dumps(position)[:80]} is not three numbers", "Correct this point."
        )
    try:
        x, y, z = (float(value) * mm_per_unit for value in position)
    except OverflowError as error:
        raise InputError(path, f"{place}: a coordinate is too large for a number", "Correct this point.") from error
    return x, y, z
