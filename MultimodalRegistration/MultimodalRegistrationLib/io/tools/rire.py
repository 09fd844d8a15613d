"""Tables of the Retrospective Image Registration Evaluation: the corners of a volume before and after.

Points are in mm along the axes of each volume, from the centre of its first voxel. The table maps the volume "From" to
the volume "To". It has four digits after the point, which makes errors of up to 0.0001 mm in the volume.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.grid import VolumeGrid
from ...core.linear import apply_matrix
from ...core.point_fit import fit_affine
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles
from .context import Context, Direction
from .text import AGAIN, checked_matrix, linear_matrix, numbers_of_line, read_lines

__all__ = ["read_rire", "write_rire"]

_REASON = "a RIRE table counts from the first voxel of each volume"
_DEFAULT: Direction = "moving-to-fixed"
_CONSISTENT_MM = 0.05
_RULE = "-" * 73


def read_rire(path: Path, context: Context) -> SpatialTransform:
    """Read a table of eight corners.

    Parameters
    ----------
    path : Path
        ``.standard`` or any text with the table.
    context : Context
        With both volumes. ``direction`` tells which of them is "From": the moving one by default.

    Raises
    ------
    InputError
        No such table, corners that no affine transform maps, or a volume is missing.
    """
    fixed, moving = context.need_scans(path, _REASON)
    rows: list[list[float]] = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if words and words[0].isdigit() and int(words[0]) == len(rows) + 1:
            rows.append(numbers_of_line(path, number, words[1:], 6))
    if len(rows) != 8:
        raise InputError(path, f"{len(rows)} rows of points instead of 8", AGAIN)
    before, after = np.hsplit(np.array(rows), 2)
    if np.linalg.matrix_rank(before - before.mean(axis=0), tol=1e-3) < 3:
        raise InputError(path, "the points of the table lie in a plane", AGAIN)
    mapped = fit_affine(before, after)
    worst = float(np.linalg.norm(apply_matrix(mapped, before) - after, axis=1).max())
    if worst > _CONSISTENT_MM:
        raise InputError(path, f"no affine transform maps the points: {worst:.2f} mm are left", AGAIN)
    forth = (context.direction or _DEFAULT) == "fixed-to-moving"
    start, end = (fixed, moving) if forth else (moving, fixed)
    matrix = checked_matrix(path, _lps_from_rire(end.grid) @ mapped @ np.linalg.inv(_lps_from_rire(start.grid)))
    return SpatialTransform.of_matrix(path.name, matrix if forth else np.linalg.inv(matrix))


def write_rire(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write a table of eight corners; returns the largest error in mm at them, from rounding."""
    fixed, moving = context.need_scans(path, _REASON)
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".standard", ".txt"))
    forth = (context.direction or _DEFAULT) == "fixed-to-moving"
    start, end = (fixed, moving) if forth else (moving, fixed)
    mapped = np.linalg.inv(_lps_from_rire(end.grid)) @ (matrix if forth else np.linalg.inv(matrix))
    mapped = mapped @ _lps_from_rire(start.grid)
    last = (np.asarray(start.grid.size) - 1) * np.asarray(start.grid.spacing_mm)
    corners = np.round([corner[::-1] for corner in itertools.product(*((0.0, edge) for edge in last[::-1]))], 4)
    exact = apply_matrix(mapped, corners)
    rounded = np.round(exact, 4)
    lines = [
        *(_RULE, "Transformation Parameters", "", "Investigator(s):", "", "Site:", "", "Method:", "Date:"),
        *("Patient number:", f"From: {start.path.name}", f"To: {end.path.name}", ""),
        *("Point      x          y          z        new_x       new_y       new_z", ""),
        *(
            f"  {number} " + "".join(f" {value:10.4f}" for value in (*corner, *new))
            for number, (corner, new) in enumerate(zip(corners, rounded, strict=True), start=1)
        ),
        *("", "(All distances are in millimeters.)", _RULE),
    ]
    staged.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return float(np.linalg.norm(rounded - exact, axis=1).max())


def _lps_from_rire(grid: VolumeGrid) -> NDArray[np.float64]:
    return np.asarray(grid.ijk_to_lps @ np.diag([*(1 / np.asarray(grid.spacing_mm)), 1.0]))
