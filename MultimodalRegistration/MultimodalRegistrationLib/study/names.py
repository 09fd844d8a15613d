"""Names of cases, which are also those of their folders."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import takewhile
from pathlib import Path

from ..io.outputs import is_device
from ..io.volumes import VOLUME_SUFFIXES

__all__ = ["derived_name", "name_problem", "unique_name"]

_LONGEST = 80
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SEPARATORS = "._- "


def name_problem(name: str) -> str | None:
    """Why a name cannot be that of a case; None where it can."""
    if len(name) > _LONGEST:
        return f"the name has {len(name)} characters; {_LONGEST} are possible"
    if _NAME.fullmatch(name) is None:
        return (
            f"the name '{name}' is not possible; use letters without accents, digits, dots, hyphens and "
            "underscores, and begin with a letter, a digit or an underscore"
        )
    # Windows drops a dot at the end of a folder's name.
    if name.endswith("."):
        return f"the name '{name}' ends with a dot; leave it out"
    if is_device(name):
        return f"Windows has a device named '{name}'; use another name"
    return None


def derived_name(fixed: Path, moving: Path, *, folder: Path) -> str | None:
    """A name for two volumes; None where their names have no letter that a case's name may have.

    Parameters
    ----------
    fixed, moving : Path
        The volumes.
    folder : Path
        Of the study.

    Returns
    -------
    str or None
        What their names have in common at the start; else the folder of both; else both names.
    """
    one, other = _stem(fixed), _stem(moving)
    common = one if one == other else _common(one, other)
    if not common and fixed.parent == moving.parent != folder:
        common = fixed.parent.name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", common or f"{one}_{other}").lstrip(".-")[:_LONGEST].rstrip(".-")
    return plain if name_problem(plain) is None else None


def unique_name(name: str, taken: Collection[str]) -> str:
    """A name with a number at its end where it is taken; ``taken`` holds small letters only."""
    unique, number = name, 1
    while unique.lower() in taken:
        number += 1
        end = f"-{number}"
        unique = name[: _LONGEST - len(end)] + end
    return unique


def _stem(path: Path) -> str:
    suffix = next(
        (suffix for suffix in sorted(VOLUME_SUFFIXES, key=len)[::-1] if path.name.lower().endswith(suffix)), ""
    )
    return path.name[: len(path.name) - len(suffix)]


def _common(one: str, other: str) -> str:
    """The words that both begin with."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(f"{one}_", f"{other}_", strict=False))
    shared = "".join(letter for letter, _ in alike)
    last = max(shared.rfind(separator) for separator in _SEPARATORS)
    return shared[: last + 1].strip(_SEPARATORS)
