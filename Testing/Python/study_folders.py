"""Folders as a study leaves them, without running one."""

from __future__ import annotations

from MultimodalRegistrationLib.assess.report.marks import mark_markup
from MultimodalRegistrationLib.study.batch.outcome import (
    CASES_FOLDER,
    LOG_FILE,
    TRANSFORM_FILE,
    CaseError,
    Outcome,
    write_outcome,
)

REPORT_CREATED = "2026-11-22T09:00:00+00:00"
ERROR = CaseError("/data/t1.nii.gz", "3 slices are alike", "Export the series again.")


def make_outcome(name, word="verified", **others):
    without = word == "no result"
    values = {
        "name": name,
        "digest": "0123456789abcdef",
        "word": word,
        "error": ERROR if without else None,
        "attempts": 1,
        "seconds": 83.5,
        "against": ("Restarts end apart.",) if word in ("uncertain", "failed") else (),
        "estimated_error_mm": None if without else 0.75,
        "moved_mm": None if without else 41.25,
        "rotated_deg": None if without else 12.5,
        "target_error_mm": None,
        "report": None if without else "qa/report.html",
        "fixed": f"/data/{name}/ct.nrrd",
        "moving": f"/data/{name}/t1.nii.gz",
    }
    return Outcome(**{**values, **others})


def add_case(folder, outcome, *, report=True):
    """Write a case as it ends; returns its folder."""
    case = folder / CASES_FOLDER / outcome.name
    (case / "qa").mkdir(parents=True)
    (case / LOG_FILE).write_text("log\n", encoding="utf-8")
    if outcome.word != "no result":
        (case / TRANSFORM_FILE).write_bytes(b"transform")
        if report:
            (case / "qa" / "report.html").write_text(mark_markup(None, REPORT_CREATED), encoding="utf-8")
    write_outcome(case, outcome)
    return case
