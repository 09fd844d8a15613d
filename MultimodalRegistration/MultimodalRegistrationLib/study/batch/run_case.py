"""One case to its end: its attempts, and the record of what came of it."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError, RegistrationError
from ...io.voxel_source import open_source
from ..cases import Case
from .case_process import CaseProcess
from .outcome import LOG_FILE, QA_FOLDER, RESULT_FILE, CaseError, Outcome, Word, write_outcome

__all__ = ["Finished", "Staging", "run_case", "unfinished"]

_QUALITY_FILE = "quality.json"
_REPORT_FILE = "report.html"
_SMALLEST_FREE_BYTES = 20_000_000
_BYTES_PER_VOXEL = 8
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

Staging = Callable[[Case], Path]


@dataclass(frozen=True)
class Finished:
    """A case that came to its end.

    Parameters
    ----------
    case : Case
        Which one.
    outcome : Outcome
        What came of it.
    staging : Path
        Where everything of it is.
    """

    case: Case
    outcome: Outcome
    staging: Path


def run_case(
    process: CaseProcess,
    case: Case,
    new_staging: Staging,
    *,
    retries: int,
    cancel: threading.Event | None = None,
    on_fraction: Callable[[float], None] | None = None,
    on_retry: Callable[[CaseError], None] | None = None,
) -> Finished:
    """Run a case, again where it may help, and write down what came of it.

    Parameters
    ----------
    process : CaseProcess
        Runs it.
    case : Case
        What to do.
    new_staging : callable
        Makes an empty folder for each attempt.
    retries : int
        How often a case is run again that crashed, hung or took too much memory, or whose engine failed.
    cancel, on_fraction
        As for :meth:`~MultimodalRegistrationLib.study.batch.case_process.CaseProcess.run`.
    on_retry : callable, optional
        Told why an attempt ended.

    Raises
    ------
    InputError
        The disk is full.
    Cancelled
        On request.
    """
    tried = 0
    while True:
        tried += 1
        staging = new_staging(case)
        began = time.monotonic()
        attempt = process.run(case, staging, cancel=cancel, on_fraction=on_fraction)
        seconds = time.monotonic() - began
        if attempt.error is not None:
            _check_disk(case, staging, attempt.error.found)
            if attempt.again and tried <= retries:
                if on_retry is not None:
                    on_retry(attempt.error)
                shutil.rmtree(staging)
                continue
        try:
            (staging / LOG_FILE).write_text(attempt.log, encoding="utf-8", errors="backslashreplace")
            outcome = _outcome(case, staging, attempt.error, tried, seconds)
            write_outcome(staging, outcome)
        except OSError as error:
            _check_disk(case, staging, str(error.strerror))
            raise
        return Finished(case, outcome, staging)


def unfinished(case: Case, new_staging: Staging, error: CaseError, *, attempts: int) -> Finished:
    """A case that ends without a result, for a reason outside of its process."""
    staging = new_staging(case)
    (staging / LOG_FILE).write_text(f"{error.subject}: {error.found}. {error.remedy}\n", encoding="utf-8")
    outcome = _outcome(case, staging, error, attempts, 0.0)
    write_outcome(staging, outcome)
    return Finished(case, outcome, staging)


def _check_disk(case: Case, folder: Path, found: str) -> None:
    """End the run where the disk may be why a case failed: not the case is at fault then, and others would fail too."""
    said = any(os.strerror(code) in found for code in _FULL)
    for place in (folder, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(place).free
        if said or free < _needed_bytes(case):
            raise InputError(
                folder.parents[1] if place == folder else place,
                f"the disk is full, or nearly so ({free / 1e6:.0f} MB are free), and {case.name} ended with: {found}",
                "Free space, then go on with --resume.",
            )


def _needed_bytes(case: Case) -> float:
    """What the resampled volume, or both volumes on their way to the engine, may take."""
    voxels = 0
    for path in (case.fixed, case.moving):
        # A volume that cannot be read, which was checked before the first case, is no reason to end the run.
        with suppress(RegistrationError):
            voxels += math.prod(open_source(path).grid.size)
    return _SMALLEST_FREE_BYTES + _BYTES_PER_VOXEL * voxels


def _outcome(case: Case, folder: Path, error: CaseError | None, attempts: int, seconds: float) -> Outcome:
    result: dict[str, Any] = {}
    quality: dict[str, Any] = {}
    report = f"{QA_FOLDER}/{_REPORT_FILE}"
    if error is None:
        result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        # A report that nobody asked for has nothing that the registration did not know: its verdict stands.
        asked = any(step.command == "qa" and not step.optional for step in case.steps)
        if asked and (folder / QA_FOLDER / _QUALITY_FILE).exists():
            quality = json.loads((folder / QA_FOLDER / _QUALITY_FILE).read_text(encoding="utf-8"))
    verdict = result.get("verdict") or {}
    word: Word = "no result" if error is not None else verdict.get("word", "not judged")
    against = list(verdict.get("against", []))
    judged = quality.get("verdict") or {}
    # "good" and "unknown", where nothing independent was given, take nothing back.
    if judged.get("word") in ("doubtful", "bad"):
        against += [judged["sentence"], *judged["reasons"]]
        word = "failed" if judged["word"] == "bad" or word == "failed" else "uncertain"
    moved = result.get("moved_from_start") or {}
    targets = next((one["targets"] for one in quality.get("methods", []) if one["targets"]), None)
    return Outcome(
        name=case.name,
        digest=case.digest,
        word=word,
        error=error,
        attempts=attempts,
        seconds=seconds,
        against=tuple(against),
        estimated_error_mm=verdict.get("estimated_error_mm"),
        moved_mm=moved.get("mean_mm"),
        rotated_deg=moved.get("rotation_deg"),
        target_error_mm=None if targets is None else targets["mean_mm"],
        report=report if error is None and (folder / report).exists() else None,
        fixed=str(case.fixed),
        moving=str(case.moving),
    )
