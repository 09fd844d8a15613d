"""Regions of interest in Slicer's markups files (``.mrk.json``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.box import OrientedBox
from ..core.errors import InputError
from ..core.frames import flip_points_lps_ras
from .landmarks.records import parse_space
from .landmarks.writing import MARKUPS_SCHEMA
from .text_files import read_text

__all__ = ["read_roi", "write_roi"]

_REMEDY = "Save a ROI of Slicer's Markups module as .mrk.json and give that file."


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
