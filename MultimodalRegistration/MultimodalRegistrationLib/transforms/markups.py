"""Markups of Slicer carried by a transform: everything else in the file stays as it is.

Points, lines, angles and curves are their control points. Planes and ROIs also have a placement of their own, which
only a rigid transform leaves a plane or a box. Matrices and orientations in a file in LPS have their first two rows
negated (``vtkMRMLMarkupsPlaneJsonStorageNode``, ``vtkMRMLMarkupsROIJsonStorageNode``), so that a transform of LPS
points multiplies them from the left.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.frames import flip_matrix_lps_ras, flip_points_lps_ras
from ..core.linear import apply_matrix, closest_rotation, is_rigid
from ..io.landmarks.json_files import Markup
from .carrier import Carrier

__all__ = ["carry_markups"]

_PLACED_KINDS = {"Plane": ("center", "orientation", "normal", "baseToNode"), "ROI": ("center", "orientation")}


def carry_markups(path: Path, content: dict[str, Any], carrier: Carrier) -> tuple[dict[str, Any], int, int]:
    """Carry all markups of a file.

    Parameters
    ----------
    path : Path
        For messages.
    content : dict
        The JSON of a ``.mrk.json`` file; not changed.
    carrier : Carrier
        What carries them.

    Returns
    -------
    content : dict
        The same with new places. Measurements are left out: Slicer measures anew when it reads the file.
    points, lost : int
        How many control points were carried, and how many of them have no place of their own; see
        :class:`~MultimodalRegistrationLib.transforms.carrier.CarriedPoints`.

    Raises
    ------
    InputError
        A plane or ROI and a transform that is not rigid, or a position that is not three numbers.
    """
    content = copy.deepcopy(content)
    count = lost = 0
    for markup in content["markups"]:
        read = Markup.of(path, markup)
        rows = [row for row, point in enumerate(read.points) if point.position is not None]
        positions = np.array([read.points[row].position for row in rows], dtype=np.float64).reshape(-1, 3)
        if read.space is None:
            raise InputError(path, "does not say whether its coordinates are LPS or RAS", "Save the markups again.")
        ras = read.space == "RAS"
        carried = carrier.points(flip_points_lps_ras(positions) if ras else positions)
        moved = (flip_points_lps_ras(carried.points_lps) if ras else carried.points_lps) / read.mm_per_unit
        for row, position in zip(rows, moved.tolist(), strict=True):
            point = markup["controlPoints"][row]
            point["position"] = position
            if carrier.matrix is not None and isinstance(point.get("orientation"), list):
                point["orientation"] = _turned(path, point["orientation"], _own_frame(carrier.matrix, ras))
        if markup.get("type") in _PLACED_KINDS:
            _place(path, markup, carrier, ras=ras, mm_per_unit=read.mm_per_unit)
        markup.pop("measurements", None)
        count, lost = count + len(rows), lost + carried.lost
    return content, count, lost


def _own_frame(matrix_lps: NDArray[np.float64], ras: bool) -> NDArray[np.float64]:
    return flip_matrix_lps_ras(matrix_lps) if ras else matrix_lps


def _place(path: Path, markup: dict[str, Any], carrier: Carrier, *, ras: bool, mm_per_unit: float) -> None:
    kind = markup["type"]
    if carrier.matrix is None or not is_rigid(carrier.matrix):
        raise InputError(
            path,
            f"it holds a {kind}, and {carrier.transform.name} is not rigid",
            f"A {kind} stays one under rigid transforms only; give its points, or a model of it.",
        )
    matrix = _own_frame(carrier.matrix, ras)
    in_units = matrix.copy()
    in_units[:3, 3] /= mm_per_unit
    for key in _PLACED_KINDS[kind]:
        if key not in markup:
            continue
        if key == "center":
            markup[key] = apply_matrix(in_units, _numbers(path, markup[key], 3)).tolist()
        elif key == "normal":
            markup[key] = (matrix[:3, :3] @ _numbers(path, markup[key], 3)).tolist()
        elif key == "orientation":
            markup[key] = _turned(path, markup[key], matrix)
        else:
            markup[key] = (in_units @ _numbers(path, markup[key], 16).reshape(4, 4)).ravel().tolist()


def _turned(path: Path, orientation: Any, matrix: NDArray[np.float64]) -> list[float]:
    return list((closest_rotation(matrix) @ _numbers(path, orientation, 9).reshape(3, 3)).ravel().tolist())


def _numbers(path: Path, values: Any, count: int) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.shape != (count,):
        raise InputError(path, f"{str(values)[:60]} where {count} numbers should be", "Save the markups again.")
    return numbers
