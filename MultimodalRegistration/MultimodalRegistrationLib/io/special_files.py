"""Pipes, sockets and devices in place of files: a reader waits for them for ever, or reads them without an end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ..core.errors import InputError
from .detached_headers import HEADER_SUFFIXES, data_files

__all__ = ["refuse_special_files", "refuse_special_files_in"]

_KINDS = (
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


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
