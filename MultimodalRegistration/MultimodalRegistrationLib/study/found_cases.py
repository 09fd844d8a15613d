"""Volumes of a folder that belong together, and the study file of them."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..io.outputs import OutputFiles
from ..io.volumes import VOLUME_SUFFIXES
from .columns import NAME
from .names import name_problem
from .problems import one_line

__all__ = ["FoundCase", "FoundCases", "is_volume", "pair_cases", "write_study"]

_MOST_NAMES = 4


@dataclass(frozen=True)
class FoundCase:
    """Two volumes that belong together.

    Parameters
    ----------
    name : str
        One that a case can have.
    fixed, moving : Path
        The volumes.
    """

    name: str
    fixed: Path
    moving: Path


@dataclass(frozen=True)
class FoundCases:
    """What was found in a folder.

    Parameters
    ----------
    cases : tuple of FoundCase
        By name.
    warnings : tuple of str
        What was left out, and why.
    """

    cases: tuple[FoundCase, ...]
    warnings: tuple[str, ...]


def is_volume(path: Path) -> bool:
    """Whether a path may be that of a volume: a file of a known type, or a folder, which may hold a DICOM series."""
    return path.name.lower().endswith(VOLUME_SUFFIXES) or path.is_dir()


def pair_cases(fixed: Mapping[str, Sequence[Path]], moving: Mapping[str, Sequence[Path]]) -> FoundCases:
    """Pair the volumes of each case.

    Parameters
    ----------
    fixed, moving : mapping of str to sequence of Path
        Candidates by the name of the case. The fixed volume of a case is no candidate for its moving one.

    Returns
    -------
    FoundCases
        Those that have exactly one of each.
    """
    cases: list[FoundCase] = []
    warnings: list[str] = []
    taken: dict[str, str] = {}
    for name in sorted({*fixed, *moving}):
        stays = list(fixed.get(name, ()))
        moves = [path for path in moving.get(name, ()) if stays != [path]]
        reason = _reason(name, stays, moves)
        if reason is None and name.lower() in taken:
            reason = f"but for capitals it is called like {taken[name.lower()]}"
        if reason is not None:
            warnings.append(one_line(f"{name} was left out: {reason}."))
            continue
        taken[name.lower()] = name
        cases.append(FoundCase(name, stays[0], moves[0]))
    return FoundCases(tuple(cases), tuple(warnings))


def _reason(name: str, fixed: list[Path], moving: list[Path]) -> str | None:
    """Why there is no case; None where there is one."""
    problem = name_problem(name)
    if problem is not None:
        return problem
    for role, paths in (("fixed", fixed), ("moving", moving)):
        if not paths:
            return f"there is no {role} volume"
        if len(paths) > 1:
            more = f" and {len(paths) - _MOST_NAMES} more" if len(paths) > _MOST_NAMES else ""
            names = ", ".join(path.name for path in sorted(paths)[:_MOST_NAMES])
            return f"there are {len(paths)} {role} volumes ({names}{more})"
        if not paths[0].exists():
            return f"the {role} volume {paths[0].name} is a link to a file that is not there"
        if not str(paths[0]).isprintable():
            return f"the path of the {role} volume has characters that a study file cannot have"
    return None


def write_study(path: str | Path, found: FoundCases) -> None:
    """Write a study file.

    Parameters
    ----------
    path : str or Path
        CSV. Paths in it are relative to its folder.
    found : FoundCases
        At least one case.

    Raises
    ------
    InputError
        There is no case, or the file is there already or cannot be written.
    """
    path = Path(path).absolute()
    if path.exists():
        raise InputError(path, "there is such a file already", "Give another name, or remove it.")
    if not found.cases:
        raise InputError(path, "no case was found", "; ".join(found.warnings[:_MOST_NAMES]) or "Check the folder.")
    with OutputFiles(file for case in found.cases for file in (case.fixed, case.moving)) as outputs:
        staged = outputs.add(path, (".csv",))
        # The mark tells spreadsheets that this is UTF-8.
        with staged.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([NAME, "fixed", "moving"])
            for case in found.cases:
                writer.writerow([case.name, _relative(case.fixed, path.parent), _relative(case.moving, path.parent)])
        outputs.commit()


def _relative(path: Path, folder: Path) -> str:
    try:
        text = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        # On another drive of Windows.
        return path.absolute().as_posix()
    # A spreadsheet would run a text that begins like a formula, and a reader drops blanks.
    return text if text[0].isalnum() or text[0] in "._" else f"./{text}"
