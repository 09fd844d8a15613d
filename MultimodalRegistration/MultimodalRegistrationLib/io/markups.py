"""Points in JSON: Slicer's markups (``.mrk.json``), also regions of interest, and plain lists.

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

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.frames import Space, flip_points_lps_ras
from ..core.grid import OrientedBox
from .input_files import read_text
from .landmark_text import PointFile, PointRecord, parse_space

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_MM_PER_UNIT = {"mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "cm": 10.0, "m": 1e3}
_PLACED = {"defined": True, "undefined": False, "preview": False, "missing": False}
_KNOWN_SCHEMA = re.compile(r"markups-schema-v1\.\d+\.\d+\.json#*$", re.IGNORECASE)
_REMEDY = "Save a ROI of Slicer's Markups module as .mrk.json and give that file."


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


def read_roi(path: str | Path) -> OrientedBox:
    """Read a box.

    Parameters
    ----------
    path : str or Path
        A markups file that holds one ROI.

    Returns
    -------
    OrientedBox
        World coordinates, LPS, mm.

    Raises
    ------
    InputError
        Missing, not such a file, without a ROI or with several, or with a box that is none.
    """
    path = Path(path)
    try:
        content = json.loads(read_text(path, kind="file of a ROI"))
    except json.JSONDecodeError as error:
        raise InputError(path, f"this is not a markups file ({error})", _REMEDY) from error
    markups = content.get("markups") if isinstance(content, dict) else None
    rois = [m for m in (markups if isinstance(markups, list) else []) if isinstance(m, dict) and m.get("type") == "ROI"]
    if len(rois) != 1:
        raise InputError(path, f"{len(rois)} ROIs in this file", _REMEDY)
    roi = rois[0]
    space = parse_space(roi.get("coordinateSystem", "LPS"), path=path)
    center = _numbers(path, roi, "center", 3)
    axes = _numbers(path, roi, "orientation", 9).reshape(3, 3)
    size = _numbers(path, roi, "size", 3)
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4:
        raise InputError(path, f"the axes of the ROI are not at right angles: {axes.round(4).tolist()}", _REMEDY)
    if np.any(size <= 0):
        raise InputError(path, f"the size of the ROI is {size.tolist()} mm", "Draw the ROI again.")
    if space == "RAS":
        center, axes = flip_points_lps_ras(center), flip_points_lps_ras(axes.T).T
    return OrientedBox(center, axes, size)


def write_roi(path: str | Path, box: OrientedBox, name: str) -> None:
    """Write a box as a markups file that Slicer loads as a ROI.

    Parameters
    ----------
    path : str or Path
        A ``.mrk.json`` file.
    box : OrientedBox
        World coordinates.
    name : str
        Of the node.
    """
    # A ROI is right-handed; the box is the same with an axis turned round.
    axes = box.axes * [1, 1, np.sign(np.linalg.det(box.axes))]
    roi = {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "roiType": "Box",
        "center": box.center_lps.tolist(),
        "orientation": axes.ravel().tolist(),
        "size": box.size_mm.tolist(),
        "insideOut": False,
        "controlPoints": [{"label": name, "position": box.center_lps.tolist(), "positionStatus": "defined"}],
    }
    content = {"@schema": MARKUPS_SCHEMA, "markups": [roi]}
    Path(path).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _numbers(path: Path, roi: dict[str, Any], key: str, count: int) -> NDArray[np.float64]:
    try:
        values = np.array(roi.get(key), dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array([])
    if values.shape != (count,) or not np.all(np.isfinite(values)):
        raise InputError(path, f"the '{key}' of the ROI is {roi.get(key)!r}, not {count} numbers", _REMEDY)
    return values
