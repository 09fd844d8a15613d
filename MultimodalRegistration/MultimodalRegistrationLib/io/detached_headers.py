"""Headers of NRRD and MetaImage files, and the files that they say hold the voxels.

References
----------
NRRD: https://teem.sourceforge.net/nrrd/format.html; MetaImage: https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["HEADER_SUFFIXES", "data_files", "text_header"]

HEADER_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
_LONGEST_HEADER_BYTES = 1 << 20
_MOST_FILES = 10_000


def text_header(path: Path, ends: Callable[[bytes], bool]) -> tuple[list[str], int]:
    """Lines up to the one that ends the header, and the offset of what follows it."""
    lines: list[str] = []
    with path.open("rb") as file:
        while file.tell() < _LONGEST_HEADER_BYTES and (line := file.readline(_LONGEST_HEADER_BYTES)):
            lines.append(line.decode("utf-8", "replace").strip())
            if ends(line):
                break
        return lines, file.tell()


def data_files(path: Path) -> list[Path]:
    """The files that hold the voxels of a NRRD or MetaImage file; none where it holds them itself.

    Parameters
    ----------
    path : Path
        A regular file with one of :data:`HEADER_SUFFIXES`. What it names need not be there.
    """
    is_nrrd = path.name.lower().endswith((".nrrd", ".nhdr"))
    lines, _ = text_header(path, _ends_nrrd if is_nrrd else _ends_nothing)
    for number, line in enumerate(lines):
        key, separator, value = line.partition(":" if is_nrrd else "=")
        if separator and key.strip().lower().replace(" ", "") in ("datafile", "elementdatafile"):
            return [path.parent / name for name in _names(value.strip(), lines[number + 1 :])]
    return []


def _ends_nrrd(line: bytes) -> bool:
    return not line.strip()


def _ends_nothing(line: bytes) -> bool:
    """The voxels of a MetaImage follow this line, if not the names of their files."""
    key, _, value = line.partition(b"=")
    return key.strip() == b"ElementDataFile" and not value.strip().upper().startswith(b"LIST")


def _names(value: str, after: list[str]) -> list[str]:
    """A name, names on the lines that follow, or a pattern with a first number, a last one and a step."""
    if value.upper() == "LOCAL":
        return []
    if value.upper().split()[:1] == ["LIST"]:
        return [line for line in after if line][:_MOST_FILES]
    pattern, *numbers = value.split()
    if "%" not in pattern or len(numbers) < 2:
        return [value]
    try:
        first, last, step = (int(number) for number in (*numbers, "1")[:3])
        return [pattern % number for number in range(first, last + 1, step or 1)[:_MOST_FILES]]
    except (ValueError, TypeError):
        return [value]
