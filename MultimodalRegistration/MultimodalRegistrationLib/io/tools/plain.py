"""A 4 x 4 matrix as text, in the frame and direction that the user states."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.frames import flip_matrix_lps_ras
from ...core.spatial import SpatialTransform
from ..outputs import OutputFiles
from .context import Context
from .text import AGAIN, checked_inverse, checked_matrix, linear_matrix, matrix_lines, numbers_of_line, read_lines

__all__ = ["read_plain", "write_plain"]


def read_plain(path: Path, context: Context) -> SpatialTransform:
    """Read three or four lines of four numbers, apart by blanks, tabs or commas; lines after ``#`` do not count.

    Parameters
    ----------
    path : Path
        Text.
    context : Context
        With frame and direction.

    Raises
    ------
    InputError
        No such matrix, or the frame or the direction was not given.
    """
    _need_convention(path, context)
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        text = line.split("#")[0].replace(",", " ").replace(";", " ").replace("[", " ").replace("]", " ")
        if text.strip():
            rows.append(numbers_of_line(path, number, text, 4))
    if len(rows) not in (3, 4):
        raise InputError(path, f"{len(rows)} rows of numbers instead of 3 or 4", AGAIN)
    matrix = checked_matrix(path, [*rows, [0.0, 0.0, 0.0, 1.0]][:4])
    if context.direction == "moving-to-fixed":
        matrix = checked_inverse(path, matrix)
    return SpatialTransform.of_matrix(path.name, flip_matrix_lps_ras(matrix) if context.frame == "RAS" else matrix)


def write_plain(outputs: OutputFiles, path: Path, transform: SpatialTransform, context: Context) -> float:
    """Write four lines of four numbers with all digits; returns the error, which is 0."""
    _need_convention(path, context)
    matrix = linear_matrix(path, transform)
    staged = outputs.add(path, (".txt", ".mat", ".csv"))
    if context.direction == "moving-to-fixed":
        matrix = checked_inverse(path, matrix)
    if context.frame == "RAS":
        matrix = flip_matrix_lps_ras(matrix)
    lines = matrix_lines(matrix)
    if path.suffix.lower() == ".csv":
        lines = [line.replace(" ", ",") for line in lines]
    staged.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0.0


def _need_convention(path: Path, context: Context) -> None:
    if context.frame is None or context.direction is None:
        raise InputError(
            path,
            "a matrix alone does not tell its frame and direction",
            "State them: --frame lps or ras, and --direction fixed-to-moving or moving-to-fixed.",
        )
