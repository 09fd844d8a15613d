"""Names of files and folders after what people call things."""

from __future__ import annotations

import re

__all__ = ["is_device", "plain_file_name"]

_LONGEST_NAME = 60
# Windows takes these for devices, whatever follows the dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$", re.IGNORECASE)


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
    plain = re.sub(r"[^\w.-]+", "_", name)[:_LONGEST_NAME].strip("._- ") or kind
    return f"{kind}_{plain}" if is_device(plain) else plain
