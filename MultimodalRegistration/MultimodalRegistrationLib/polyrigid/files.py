"""Names of the files of structures that were registered."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..io.file_names import plain_file_name

__all__ = ["COMBINED_FILE", "RESAMPLED_FILE", "RESULT_FILE", "file_names"]

COMBINED_FILE = "combined.h5"
RESAMPLED_FILE = "moving-resampled.nrrd"
RESULT_FILE = "RESULT.json"


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
        plain = plain_file_name(name, "structure")
        number, file = 1, f"{plain}{suffix}"
        while file.lower() in used:
            number += 1
            file = f"{plain}_{number}{suffix}"
        used.add(file.lower())
        found.append(file)
    return found
