"""What came of all cases of a study, those that need a look first."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import MultimodalRegistrationLib

from ...assess.content import csv_table
from ...assess.report.marks import read_mark
from ...assess.report.study_page import study_page
from ...core.errors import ExitCode, InputError, exit_code_of_verdicts
from ...io.outputs import OutputFiles, write_json
from .outcome import (
    CASE_FILE,
    CASES_FOLDER,
    LOG_FILE,
    THUMBNAIL_FILE,
    TRANSFORM_FILES,
    CaseError,
    Outcome,
    Word,
    read_outcome,
)

__all__ = [
    "SUMMARY_WORDS",
    "CaseSummary",
    "StudySummary",
    "SummaryWord",
    "read_summary",
    "write_summary",
]

_SCHEMA = 1
_NUMBERS = ("estimated_error_mm", "moved_mm", "rotated_deg", "target_error_mm", "seconds", "attempts")
_FILES = ("fixed", "moving", "transform", "report")
SummaryWord = Literal[Word, "not run"]
SUMMARY_WORDS: tuple[SummaryWord, ...] = ("no result", "not run", "failed", "uncertain", "not judged", "verified")
"""In the order in which a person should look."""


@dataclass(frozen=True)
class CaseSummary:
    """One case as the summary tells it.

    Parameters
    ----------
    name : str
        Of the case.
    word : str
        One of :data:`SUMMARY_WORDS`; ``"no result"`` also where the record of the case cannot be read.
    outcome : Outcome or None
        None where it was not run or its record cannot be read.
    error : CaseError or None
        Why there is no result.
    transform, report, thumbnail, log : str or None
        Files that are there, relative to the folder of the study, with forward slashes.
    mark : mapping or None
        What a person decided: ``mark``, ``name``, ``comment`` and ``when``.
    mark_problem : str or None
        Why there is a mark or a report that cannot be read, in words.
    """

    name: str
    word: SummaryWord
    outcome: Outcome | None = None
    error: CaseError | None = None
    transform: str | None = None
    report: str | None = None
    thumbnail: str | None = None
    log: str | None = None
    mark: Mapping[str, str] | None = None
    mark_problem: str | None = None


@dataclass(frozen=True)
class StudySummary:
    """What came of a study.

    Parameters
    ----------
    cases : tuple of CaseSummary
        All of them, in the order of :data:`SUMMARY_WORDS`; within a word those without an estimated error first, then
        by falling error, then by name.
    """

    cases: tuple[CaseSummary, ...]

    @property
    def counts(self) -> dict[SummaryWord, int]:
        """How many cases there are of each word, also of those that do not occur."""
        words = [case.word for case in self.cases]
        return {word: words.count(word) for word in SUMMARY_WORDS}

    @property
    def exit_code(self) -> ExitCode:
        """That of the worst case; of a study, every case must be verified."""
        words = [case.word for case in self.cases]
        return ExitCode.NO_RESULT if {"no result", "not run"} & {*words} else exit_code_of_verdicts(words, "verified")


def read_summary(folder: Path, names: Sequence[str]) -> StudySummary:
    """Read what came of the cases of a study.

    A record, a report or a mark that cannot be read is told with its case and stops nothing.

    Parameters
    ----------
    folder : Path
        Of the study's results.
    names : sequence of str
        Of all of its cases.

    Returns
    -------
    StudySummary
        Sorted.
    """
    return StudySummary(tuple(sorted((_read_case(folder, name) for name in names), key=_place)))


def write_summary(folder: Path, summary: StudySummary) -> None:
    """Write ``summary.csv``, ``summary.json`` and ``summary.html``, all or none; they replace earlier ones.

    Parameters
    ----------
    folder : Path
        Of the study's results.
    summary : StudySummary
        As read.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    content = _content(folder, summary)
    with OutputFiles() as outputs:
        table, numbers, page = (outputs.add(folder / f"summary{end}", (end,)) for end in (".csv", ".json", ".html"))
        # The mark tells spreadsheets that this is UTF-8.
        rows = csv_table([_row(case) for case in content["cases"]])
        table.write_text(rows, encoding="utf-8-sig", errors="backslashreplace")
        write_json(numbers, content)
        page.write_text(study_page(content), encoding="utf-8", newline="\n")
        outputs.commit()


def _content(folder: Path, summary: StudySummary) -> dict[str, Any]:
    """The summary for JSON."""
    return {
        "schema": _SCHEMA,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "software": {"multimodal-registration": MultimodalRegistrationLib.__version__},
        "study": folder.resolve().name,
        "counts": summary.counts,
        "exit_code": int(summary.exit_code),
        "cases": [_case_content(case) for case in summary.cases],
    }


def _case_content(case: CaseSummary) -> dict[str, Any]:
    outcome = case.outcome
    return {
        "name": case.name,
        "verdict": case.word,
        "against": [] if outcome is None else list(outcome.against),
        "error": None if case.error is None else asdict(case.error),
        **{key: None if outcome is None else getattr(outcome, key) for key in (*_NUMBERS, "fixed", "moving")},
        "transform": case.transform,
        "report": case.report,
        "thumbnail": case.thumbnail,
        "log": case.log,
        "mark": None if case.mark is None else dict(case.mark),
        "mark_problem": case.mark_problem,
    }


def _row(case: Mapping[str, Any]) -> dict[str, Any]:
    """A case as a row of the table."""
    error, mark = case["error"] or {}, case["mark"] or {}
    return {
        "name": case["name"],
        "verdict": case["verdict"],
        "against": " ".join(case["against"]),
        **{f"error_{key}": error.get(key) for key in ("subject", "found", "remedy")},
        **{key: case[key] for key in _NUMBERS},
        **{key: case[key] for key in _FILES},
        "mark": mark.get("mark"),
        "marked_by": mark.get("name"),
        "marked_when": mark.get("when"),
        "comment": mark.get("comment"),
        "mark_problem": case["mark_problem"],
    }


def _place(case: CaseSummary) -> tuple[int, bool, float, str]:
    error_mm = None if case.outcome is None else case.outcome.estimated_error_mm
    return SUMMARY_WORDS.index(case.word), error_mm is not None, -(error_mm or 0.0), case.name


def _read_case(folder: Path, name: str) -> CaseSummary:
    if not (folder / CASES_FOLDER / name / CASE_FILE).exists():
        return CaseSummary(name, "not run")
    case = CaseSummary(
        name,
        "no result",
        transform=next((found for file in TRANSFORM_FILES if (found := _present(folder, name, file))), None),
        thumbnail=_present(folder, name, THUMBNAIL_FILE),
        log=_present(folder, name, LOG_FILE),
    )
    try:
        outcome = _read_outcome(folder / CASES_FOLDER / name, name)
    except InputError as problem:
        return replace(case, error=CaseError(problem.subject, problem.found, problem.remedy))
    report = None if outcome.report is None else _present(folder, name, outcome.report)
    mark, mark_problem = _mark(folder / CASES_FOLDER / name, outcome.report)
    return replace(
        case,
        word=outcome.word,
        outcome=outcome,
        error=outcome.error,
        report=report,
        mark=mark,
        mark_problem=mark_problem,
    )


def _read_outcome(folder: Path, name: str) -> Outcome:
    outcome = read_outcome(folder)
    if outcome.name != name:
        raise InputError(
            folder / CASE_FILE,
            f"this is the record of the case {outcome.name}",
            "Remove the case's folder and run with --resume.",
        )
    return outcome


def _present(folder: Path, name: str, file: str) -> str | None:
    """Path of a file of a case from the folder of the study, if it is there."""
    path = PurePosixPath(CASES_FOLDER, name, file.replace("\\", "/"))
    return str(path) if (folder / path).is_file() else None


def _mark(case_folder: Path, report: str | None) -> tuple[dict[str, str] | None, str | None]:
    if report is None:
        return None, None
    try:
        return read_mark(case_folder / report), None
    except InputError as problem:
        return None, str(problem)
