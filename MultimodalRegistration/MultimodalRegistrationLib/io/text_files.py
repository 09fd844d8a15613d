"""Text of a small file, in whatever encoding it was saved."""

from __future__ import annotations

import codecs
from pathlib import Path

from ..core.errors import InputError
from .special_files import refuse_special_files

__all__ = ["read_text"]

_LARGEST_BYTES = 10_000_000
_LINE_ENDS = str.maketrans({"\r": "\n"})


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
