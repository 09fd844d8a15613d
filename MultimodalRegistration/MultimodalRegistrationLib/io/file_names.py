"""Names of files and folders after what people call things."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

__all__ = ["is_device", "plain_file_name", "with_word"]

_LONGEST_NAME = 60
# Windows takes these for devices, whatever follows the dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³])$", re.IGNORECASE)


def is_device(name: str) -> bool:
    """Whether Windows would take the name of a file or folder for a device."""
    return _DEVICES.match(name.split(".")[0]) is not None


def plain_file_name(name: str, kind: str) -> str:
    """A name without suffix that every system accepts.

    Parameters
    ----------
    name : str
        Of a node or a structure; it may hold anything.
    kind : str
        The name where nothing is left of it, and before what would be a device.

    Returns
    -------
    str
        At most 60 letters of any script, digits, and ``. _ -``, and the kind where it was put before.
    """
    kept = (letter if _stays(letter) else " " for letter in unicodedata.normalize("NFC", name))
    plain = re.sub(" +", "_", "".join(kept))[:_LONGEST_NAME].strip("._-") or kind
    return f"{kind}_{plain}" if is_device(plain) else plain


def with_word(path: Path, word: str) -> Path:
    """A file beside another one, with a word before the suffix, which still tells the file type: ``T.failed.h5``."""
    stem, dot, suffix = path.name.rpartition(".")
    return path.with_name(f"{stem}.{word}{dot}{suffix}")


def _stays(letter: str) -> bool:
    # Vowel signs, and accents without a composed letter, are marks (M), which \w does not count as part of a word.
    return unicodedata.category(letter).startswith("M") or re.match(r"[\w.-]", letter) is not None
