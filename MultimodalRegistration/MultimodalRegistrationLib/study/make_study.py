"""Make a study of a BIDS dataset, or of folders and names that follow a pattern.

References
----------
Gorgolewski et al., The brain imaging data structure, Scientific Data 3, 160044 (2016), doi:10.1038/sdata.2016.44
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from ..core.errors import InputError
from .found_cases import FoundCases, is_volume, pair_cases

__all__ = ["study_from_bids", "study_from_pattern"]

_BIDS_SUFFIXES = (".nii", ".nii.gz")
_CASE = "{case}"
_VAGUE = re.compile(r"\{case\}[*?]|[*?]\{case\}|\{case\}\{case\}|\*\*")


def study_from_bids(folder: str | Path, *, fixed: str, moving: str) -> FoundCases:
    """Find the pairs of a BIDS dataset, each within one subject and session.

    Parameters
    ----------
    folder : str or Path
        Holds the folders ``sub-*``.
    fixed, moving : str
        How the names of the files end, such as ``T1w``, ``CT``, ``pet`` or, where there are several, with what tells
        them apart: ``acq-highres_T1w``.

    Returns
    -------
    FoundCases
        Named ``sub-01`` or ``sub-01_ses-02``.

    Raises
    ------
    InputError
        No BIDS dataset, or no end of a name.
    """
    folder = Path(folder)
    for what, end in (("--fixed", fixed), ("--moving", moving)):
        if re.fullmatch(r"[\w+-]+", end) is None:
            raise InputError(what, f"'{end}' was given", "Give the end of a name in BIDS, such as T1w, CT or pet.")
    if fixed == moving:
        raise InputError("--moving", f"'{moving}' is the fixed volume already", "Give another end of a name.")
    subjects = [path for path in sorted(folder.glob("sub-*")) if path.is_dir()]
    if not subjects:
        raise InputError(folder, "this is no BIDS dataset: it has no folder sub-...", "Give the dataset's own folder.")
    found: dict[str, dict[str, list[Path]]] = {fixed: {}, moving: {}}
    for subject in subjects:
        # A dataset may have sessions for some subjects only.
        sessions = [path for path in subject.glob("ses-*") if path.is_dir()]
        for place in (subject, *sessions):
            name = subject.name if place == subject else f"{subject.name}_{place.name}"
            files = [path for path in place.glob("*/*") if path.parent not in sessions]
            for end, candidates in found.items():
                volumes = [path for path in files if path.name.endswith(tuple(f"_{end}{s}" for s in _BIDS_SUFFIXES))]
                # With sessions, nothing lies beside them; without any, that nothing is there is worth a word.
                if volumes or place != subject or not sessions:
                    candidates[name] = volumes
    return pair_cases(found[fixed], found[moving])


def study_from_pattern(*, fixed: str, moving: str) -> FoundCases:
    """Find the pairs among files, or folders of DICOM series, whose paths follow patterns.

    Parameters
    ----------
    fixed, moving : str
        Paths with ``{case}`` where the name of the case is, for example ``data/{case}/mr*.nrrd``. ``*`` stands
        for any letters, ``?`` for one; none of the three for a slash.

    Returns
    -------
    FoundCases
        Named by what ``{case}`` stands for.

    Raises
    ------
    InputError
        A pattern without ``{case}``, or one that could be read in several ways.
    """
    return pair_cases(_matches("--fixed", fixed), _matches("--moving", moving))


def _matches(option: str, pattern: str) -> dict[str, list[Path]]:
    """Volumes by the name of their case."""
    parts = Path(pattern).parts
    if _CASE not in pattern:
        raise InputError(option, f"'{pattern}' has no {_CASE}", f"Put {_CASE} where the name of the case is.")
    if _VAGUE.search(pattern) is not None:
        raise InputError(
            option,
            f"'{pattern}' does not tell where the name of the case ends",
            f"Put a letter or a slash between {_CASE} and *, and use one * at a time.",
        )
    first = next(number for number, part in enumerate(parts) if _CASE in part or "*" in part or "?" in part)
    folder, rest = Path(*parts[:first]), "/".join(parts[first:])
    path_of_case = re.compile(_regex(rest), re.DOTALL)
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in folder.glob(rest.replace("[", "[[]").replace(_CASE, "*")):
        match = path_of_case.fullmatch(path.relative_to(folder).as_posix())
        if match is not None and is_volume(path):
            found[match["case"]].append(path)
    return found


def _regex(pattern: str) -> str:
    """An expression whose group ``case`` is the name; where it is there again, it is the same name."""
    words = re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]").replace(re.escape(_CASE), _CASE)
    return words.replace(_CASE, "(?P<case>[^/]+?)", 1).replace(_CASE, "(?P=case)")
