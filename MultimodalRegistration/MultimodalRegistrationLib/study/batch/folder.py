"""The folder of a study's results: one run at a time, and each case whole or not at all, also after a power cut.

What was under way when a run ended stays below ``.running``, which the next run empties.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ...core.errors import InputError
from ..cases import Case, Study, case_content
from ..names import name_problem
from .case_store import RUNNING, CaseStore, to_disk
from .outcome import CASES_FOLDER
from .run_case import Finished

__all__ = ["JOURNAL_FILE", "STUDY_FILE", "StudyFolder", "study_names"]

STUDY_FILE = "study.json"
JOURNAL_FILE = "journal.jsonl"
_LOCK = ".lock"
_SCHEMA = 1
_LISTED = 10
_NEW_STUDY_FILE = f"{STUDY_FILE}.new"
_OWN = (_LOCK, RUNNING, CASES_FOLDER, JOURNAL_FILE, STUDY_FILE, _NEW_STUDY_FILE)


def study_names(folder: Path) -> list[str]:
    """Names of the cases of the study that was run in a folder.

    Raises
    ------
    InputError
        There was none.
    """
    return [str(case["name"]) for case in _read_study(folder / STUDY_FILE)["cases"]]


class StudyFolder(CaseStore):
    """The folder, for one run.

    Parameters
    ----------
    path : Path
        Made if missing.
    study : Study
        What is run.
    resume : bool
        Whether a study may have been run there already.

    Raises
    ------
    InputError
        It cannot be used, another run is at work in it, or it holds results of something else.
    """

    def __init__(self, path: Path, study: Study, *, resume: bool) -> None:
        super().__init__(path)
        try:
            self.path.mkdir(exist_ok=True)
            for name in _OWN:
                if (self.path / name).is_symlink():
                    raise InputError(self.path / name, "this is a link, which may lead anywhere", "Remove it.")
            self._lock = _locked(self.path / _LOCK)
            try:
                self._open(study, resume=resume)
            except BaseException:
                self._lock.close()
                raise
        except OSError as error:
            raise InputError(
                error.filename or path, f"the folder cannot be used ({error.strerror})", "Choose another folder."
            ) from error

    def _open(self, study: Study, *, resume: bool) -> None:
        changed: list[Case] = []
        if (self.path / STUDY_FILE).exists():
            if not resume:
                raise InputError(
                    self.path, "a study was run here already", "Give --resume to go on with it, or another folder."
                )
            changed = self._check_same(study)
        else:
            found = [entry.name for entry in self.path.iterdir() if entry.name not in _OWN]
            if self.cases.is_dir():
                found += [f"{CASES_FOLDER}/{entry.name}" for entry in self.cases.iterdir()]
            other = next(iter(found), None)
            if other is not None:
                raise InputError(self.path, f"the folder is not empty ({other})", "Give a new or an empty folder.")
        if self.running.exists():
            shutil.rmtree(self.running)
        self.running.mkdir()
        self.cases.mkdir(exist_ok=True)
        for case in changed:
            self.take_back(case)
        content = {
            "schema": _SCHEMA,
            "study": str(study.path),
            "cases": [{**case_content(case), "digest": case.digest} for case in study.cases],
        }
        new = self.path / _NEW_STUDY_FILE
        new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        to_disk(new)
        new.replace(self.path / STUDY_FILE)
        to_disk(self.path)

    def _check_same(self, study: Study) -> list[Case]:
        """What has a result must not have been asked for otherwise; returns what was, but has none."""
        now = {case.name: case for case in study.cases}
        wrong: list[str] = []
        changed: list[Case] = []
        for before in _read_study(self.path / STUDY_FILE)["cases"]:
            name, case = before["name"], now.get(before["name"])
            if case is None:
                if os.path.lexists(self.cases / name):
                    wrong.append(f"{name} is not in the study any more")
            elif case.digest != before["digest"] and self.ended(case):
                if self.outcome(case).word == "no result":
                    changed.append(case)
                else:
                    wrong.append(f"{name} was asked for otherwise")
        if wrong:
            more = f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
            raise InputError(
                self.path,
                f"there are results of another study: {'; '.join(wrong[:_LISTED])}{more}",
                f"Remove their folders below {self.cases}, or give another folder.",
            )
        return changed

    def __enter__(self) -> StudyFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.running, ignore_errors=True)
        self._lock.close()

    def finish(self, finished: Finished) -> bool:
        """Give the results of a case their place, and note it.

        Returns
        -------
        bool
            False if another worker was first; then these are removed.
        """
        first = super().finish(finished)
        if first:
            self.note("ended", finished.case, word=finished.outcome.word)
        return first

    def take_back(self, case: Case) -> None:
        """Remove what came of a case, so that it runs again."""
        old = self.running / f"{case.name}-old-{uuid.uuid4().hex[:8]}"
        (self.cases / case.name).rename(old)
        to_disk(self.cases)
        shutil.rmtree(old)

    def note(self, event: str, case: Case, **more: Any) -> None:
        """Add a line to the journal."""
        line = {"time": datetime.now(timezone.utc).isoformat(), "event": event, "case": case.name, **more}
        with (self.path / JOURNAL_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _read_study(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != _SCHEMA:
            raise ValueError(f"schema {content['schema']}")
        for case in content["cases"]:
            if name_problem(case["name"]) is not None or not isinstance(case["digest"], str):
                raise ValueError(f"case {case['name']!r}")
    except FileNotFoundError as error:
        raise InputError(path.parent, "no study was run in this folder", "Check the path.") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(path, f"this is no record of a study ({error})", "Give another folder.") from error
    return content


def _locked(path: Path) -> IO[str]:
    """An open file that no other process can lock; the system frees it however this one ends."""
    file = path.open("a+", encoding="ascii")
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise
        raise InputError(
            path.parent, "another run is at work in this folder", "Wait for its end, or give another folder."
        ) from error
    return file
