"""Names of the files of structures that were registered."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

__all__ = ["COMBINED_FILE", "RESAMPLED_FILE", "RESULT_FILE", "file_names", "is_device"]

COMBINED_FILE = "combined.h5"
RESAMPLED_FILE = "moving-resampled.nrrd"
RESULT_FILE = "RESULT.json"

_LONGEST_NAME = 60
# Windows takes these for devices, whatever follows the dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$", re.IGNORECASE)


def is_device(name: str) -> bool:
    """Whether Windows would take the name of a file or folder for a device."""
    return _DEVICES.match(name.split(".")[0]) is not None


def file_names(names: Sequence[str], suffix: str, *, taken: Collection[str] = ()) -> list[str]:
    """Names of files, each like that of its structure, that every system accepts.

    Parameters
    ----------
    names : sequence of str
        Of the structures, which may repeat.
    suffix : str
        Of the files, with its dot.
    taken : collection of str
        File names that are used for something else.

    Returns
    -------
    list of str
        No two are equal, whatever the case of their letters.
    """
    used = {name.lower() for name in taken}
    found = []
    for name in names:
        plain = re.sub(r"[^\w.-]+", "_", name)[:_LONGEST_NAME].strip("._- ") or "structure"
        if is_device(plain):
            plain = f"structure_{plain}"
        number, file = 1, f"{plain}{suffix}"
        while file.lower() in used:
            number += 1
            file = f"{plain}_{number}{suffix}"
        used.add(file.lower())
        found.append(file)
    return found
