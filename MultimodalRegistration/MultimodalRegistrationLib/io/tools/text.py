"""Numbers and matrices in text files, with the line in every error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...core.errors import InputError
from ...core.linear import LARGEST_CONDITION, condition_number
from ...core.spatial import SpatialTransform
from ..special_files import refuse_special_files

# A remedy.
AGAIN = "Copy or export the file again."

__all__ = [
    "AGAIN",
    "checked_inverse",
    "checked_matrix",
    "linear_matrix",
    "matrix_lines",
    "matrix_of_lines",
    "numbers_of_line",
    "read_lines",
]


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without their ends.

    Raises
    ------
    InputError
        Missing, or not text.
    """
    refuse_special_files(path)
    if not path.is_file():
        raise InputError(path, "no such file", "Check the spelling and the folder.")
    content = path.read_bytes()
    if b"\0" in content:
        raise InputError(path, f"this is no text file (byte {content.index(0)} is zero)", AGAIN)
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        # Tools on Windows write names of folders in the code page of the system; the numbers are the same in all.
        return content.decode("latin-1").splitlines()


def numbers_of_line(path: Path, line: int, text: str | Sequence[str], count: int | None = None) -> list[float]:
    """Finite numbers of a line.

    Parameters
    ----------
    path : Path
        For messages.
    line : int
        Counted from one, for messages.
    text : str or sequence of str
        The line, or its words.
    count : int, optional
        How many there must be.

    Raises
    ------
    InputError
        Not that many, not numbers, or not finite.
    """
    words = text.split() if isinstance(text, str) else text
    if count is not None and len(words) != count:
        raise InputError(path, f"line {line}: {len(words)} numbers instead of {count}", AGAIN)
    numbers = []
    for word in words:
        try:
            number = float(word)
        except ValueError as error:
            raise InputError(path, f"line {line}: {word[:40]!r} is not a number", AGAIN) from error
        if not math.isfinite(number):
            raise InputError(path, f"line {line}: {word!r} is not finite", AGAIN)
        numbers.append(number)
    return numbers


def matrix_of_lines(path: Path, lines: Sequence[str], first: int) -> NDArray[np.float64]:
    """A homogeneous matrix, shape (4, 4), of four lines.

    Parameters
    ----------
    path : Path
        For messages.
    lines : sequence of str
        Of the whole file.
    first : int
        Index of the matrix's first line, counted from zero.

    Raises
    ------
    InputError
        The file ends before, the lines are no matrix, or it is not an affine one that can be inverted.
    """
    if len(lines) < first + 4:
        raise InputError(path, f"the file ends at line {len(lines)}, within its 4x4 matrix", AGAIN)
    rows = [numbers_of_line(path, first + row + 1, lines[first + row], 4) for row in range(4)]
    return checked_matrix(path, np.array(rows), line=first + 4)


def checked_matrix(path: Path, matrix: ArrayLike, *, line: int | None = None) -> NDArray[np.float64]:
    """A homogeneous matrix, shape (4, 4), if it is an affine one that can be inverted."""
    m = np.asarray(matrix, dtype=np.float64)
    where = "" if line is None else f"line {line}: "
    if not np.allclose(m[3], (0, 0, 0, 1), atol=1e-6):
        last = " ".join(f"{number:g}" for number in m[3])
        raise InputError(path, f"{where}the last row of the matrix is {last}, not 0 0 0 1", "Give an affine transform.")
    condition = condition_number(m)
    if condition > LARGEST_CONDITION:
        found = f"the transform cannot be inverted (condition number {condition:.3g})"
        raise InputError(path, found, "Give a transform that does not flatten space.")
    return m


def linear_matrix(path: Path, transform: SpatialTransform) -> NDArray[np.float64]:
    """``fixed_to_moving_lps``, shape (4, 4), for a file that can hold nothing else.

    Raises
    ------
    InputError
        The transform is not linear, or cannot be inverted.
    """
    if transform.matrix is None:
        raise InputError(path, f"{transform.name} is not linear", "Write it as itk, elastix, ants or field.")
    return checked_matrix(path, transform.matrix)


def matrix_lines(matrix: ArrayLike) -> list[str]:
    """Four lines of a matrix, shape (4, 4), with all digits."""
    return [" ".join(repr(float(number)) for number in row) for row in np.asarray(matrix, dtype=np.float64)]


def checked_inverse(path: Path, matrix: ArrayLike) -> NDArray[np.float64]:
    """The inverse of a matrix, shape (4, 4), if there is a useful one."""
    return np.asarray(np.linalg.inv(checked_matrix(path, matrix)))
