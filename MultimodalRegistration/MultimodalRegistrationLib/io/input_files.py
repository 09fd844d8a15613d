"""Input files before they are read: pipes and devices in their place, text encodings, detached headers.

References
----------
NRRD: https://teem.sourceforge.net/nrrd/format.html; MetaImage: https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from ..core.errors import InputError

_KINDS = (
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_LARGEST_BYTES = 10_000_000
_LINE_ENDS = str.maketrans({"\r": "\n"})
HEADER_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
_LONGEST_HEADER_BYTES = 1 << 20
_MOST_FILES = 10_000


def refuse_special_files(path: str | Path) -> None:
    """Refuse what is no regular file, before it is opened; for a detached header, also the files that it names.

    Nothing is said of a path that is not there, or of a folder: what reads it knows what to say.

    Parameters
    ----------
    path : str or Path
        Given by the user.

    Raises
    ------
    InputError
        A pipe, a socket or a device, also at the end of a link.
    """
    path = Path(path)
    _refuse([path], of=None)
    if path.name.lower().endswith(HEADER_SUFFIXES) and path.is_file():
        _refuse(data_files(path), of=path)


def refuse_special_files_in(folder: Path) -> None:
    """Likewise everything in the folder of a DICOM series, all of which is opened.

    Raises
    ------
    InputError
        Names the first one.
    """
    _refuse((Path(entry) for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)), of=folder)


def _refuse(paths: Iterable[Path], *, of: Path | None) -> None:
    for path in paths:
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError):
            # Not there, no permission, or no path at all: for the reader to tell.
            continue
        for is_kind, words in _KINDS:
            if is_kind(mode):
                named = "this" if of is None else f"its file {path}"
                raise InputError(
                    of or path,
                    f"{named} is {words}, not a file",
                    "Write its content to a file first, and give that.",
                    code="special-file",
                )


def read_text(path: Path, *, kind: str) -> str:
    r"""Read a text file: UTF-8, or UTF-16 if a byte order mark says so.

    Parameters
    ----------
    path : Path
        At most 10 MB.
    kind : str
        What it should be, for messages: "file of landmarks".

    Returns
    -------
    str
        Its lines end with ``\n``, whatever ended them in the file.

    Raises
    ------
    InputError
        Missing, a folder, a pipe, not readable, too large or not text.
    """
    try:
        if path.is_dir():
            raise InputError(path, "this is a folder", f"Give a {kind}.")
        if not path.exists():
            raise InputError(path, "no such file", "Check the spelling and the folder.")
        refuse_special_files(path)
        size = path.stat().st_size
        if size > _LARGEST_BYTES:
            raise InputError(
                path,
                f"{size / 1e6:.1f} MB, more than any {kind} (limit {_LARGEST_BYTES / 1e6:.0f} MB)",
                "Check that this is the right file.",
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"the file cannot be read ({error.strerror})", "Check its permissions.") from error
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf16 else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            path,
            f"byte {error.start + 1} is not {'UTF-16' if utf16 else 'UTF-8'} text",
            "Save the file as UTF-8 text.",
        ) from error
    if "\0" in text:
        raise InputError(path, "this is not a text file (it holds zero bytes)", f"Give a {kind}, as UTF-8 text.")
    return text.replace("\r\n", "\n").translate(_LINE_ENDS)


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
