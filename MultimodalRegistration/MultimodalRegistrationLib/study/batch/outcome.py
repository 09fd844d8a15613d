"""What came of one case: ``case.json`` in its folder, written last."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

from ...core.errors import InputError
from ...io.outputs import with_word, write_json

__all__ = [
    "CASES_FOLDER",
    "CASE_FILE",
    "LOG_FILE",
    "QA_FOLDER",
    "RESULT_FILE",
    "THUMBNAIL_FILE",
    "TRANSFORM_FILE",
    "TRANSFORM_FILES",
    "VOLUME_FILE",
    "CaseError",
    "Outcome",
    "Word",
    "outcome_content",
    "outcome_of",
    "read_outcome",
    "write_outcome",
]

CASES_FOLDER = "cases"
CASE_FILE = "case.json"
LOG_FILE = "log.txt"
QA_FOLDER = "qa"
RESULT_FILE = "RESULT.json"
THUMBNAIL_FILE = "thumbnail.png"
TRANSFORM_FILE = "transform.h5"
# What it may be called: the verdict is in the name of one that is not to be used.
TRANSFORM_FILES = (
    TRANSFORM_FILE,
    *(with_word(Path(TRANSFORM_FILE), word).name for word in ("failed", "uncertain")),
)
VOLUME_FILE = "registered.nrrd"
_SCHEMA = 1

# The verdict on the registration; "not judged" without one, "no result" where the case ended with an error.
Word = Literal["verified", "uncertain", "failed", "not judged", "no result"]


@dataclass(frozen=True)
class CaseError:
    """Why a case has no result.

    Parameters
    ----------
    subject, found, remedy : str
        As of :class:`~MultimodalRegistrationLib.core.errors.RegistrationError`.
    """

    subject: str
    found: str
    remedy: str


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Parameters
    ----------
    name : str
        Of the case.
    digest : str
        Of what was asked for.
    word : str
        The verdict, ``"not judged"`` or ``"no result"``.
    error : CaseError or None
        With ``"no result"`` only.
    attempts : int
        How often it was started until this came of it.
    seconds : float
        The last attempt.
    against : tuple of str
        What speaks against the result.
    estimated_error_mm, moved_mm, rotated_deg : float or None
        From ``RESULT.json``.
    target_error_mm : float or None
        Mean TRE, where targets were given.
    report : str or None
        Path of the report, relative to the case's folder.
    fixed, moving : str
        The volumes.
    """

    name: str
    digest: str
    word: Word
    error: CaseError | None
    attempts: int
    seconds: float
    against: tuple[str, ...]
    estimated_error_mm: float | None
    moved_mm: float | None
    rotated_deg: float | None
    target_error_mm: float | None
    report: str | None
    fixed: str
    moving: str


def outcome_content(outcome: Outcome) -> dict[str, Any]:
    """An outcome for JSON."""
    return asdict(outcome)


def outcome_of(content: Mapping[str, Any]) -> Outcome:
    """The outcome of :func:`outcome_content`."""
    error = content["error"]
    words = {"against": tuple(content["against"]), "error": None if error is None else CaseError(**error)}
    return Outcome(**{**content, **words})


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Write ``case.json``."""
    write_json(folder / CASE_FILE, {"schema": _SCHEMA, **outcome_content(outcome)})


def read_outcome(folder: Path) -> Outcome:
    """Read ``case.json``.

    Raises
    ------
    InputError
        Missing, or not written by this library.
    """
    path = folder / CASE_FILE
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("schema") != _SCHEMA:
            raise ValueError("another schema")
        outcome = outcome_of(content)
        _check(outcome)
        return outcome
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as problem:
        raise InputError(
            path, f"this is no record of a case ({problem})", "Remove the case's folder and run with --resume."
        ) from problem


def _check(outcome: Outcome) -> None:
    """Raise ValueError where a value is not what it is declared to be."""
    if outcome.word not in get_args(Word):
        raise ValueError(f"the verdict is {outcome.word!r}")
    if (outcome.word == "no result") != (outcome.error is not None):
        raise ValueError(f"{outcome.word!r} and the error do not agree")
    for key in ("name", "digest", "fixed", "moving"):
        if not isinstance(getattr(outcome, key), str):
            raise ValueError(f"{key} is {getattr(outcome, key)!r}")
    if outcome.report is not None and not _is_inside(PurePath(outcome.report)):
        raise ValueError(f"report is {outcome.report!r}")
    error = () if outcome.error is None else astuple(outcome.error)
    if not all(isinstance(text, str) for text in (*outcome.against, *error)):
        raise ValueError("a sentence is not text")
    for key in ("attempts", "seconds"):
        if not _is_number(getattr(outcome, key)):
            raise ValueError(f"{key} is {getattr(outcome, key)!r}")
    for key in ("estimated_error_mm", "moved_mm", "rotated_deg", "target_error_mm"):
        if getattr(outcome, key) is not None and not _is_number(getattr(outcome, key)):
            raise ValueError(f"{key} is {getattr(outcome, key)!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_inside(path: PurePath) -> bool:
    return not path.is_absolute() and ".." not in path.parts
