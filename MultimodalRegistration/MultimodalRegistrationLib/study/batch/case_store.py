"""Where the cases of a study lie, for each process that finishes some: each case whole or not at all.

``cases/NAME`` appears by one rename, once everything in it is on the disk. Until then it is under ``.running``.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from pathlib import Path

from ...core.errors import InputError
from ..cases import Case
from .outcome import CASE_FILE, CASES_FOLDER, Outcome, read_outcome
from .run_case import Finished

__all__ = ["RUNNING", "CaseStore", "to_disk"]

RUNNING = ".running"
_SECONDS_OF_SCANNERS = 10.0


class CaseStore:
    """Takes cases from any number of processes, also on other computers.

    Parameters
    ----------
    path : Path
        Folder of the study's results.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.cases = self.path / CASES_FOLDER
        self.running = self.path / RUNNING

    def ended(self, case: Case) -> bool:
        """Whether a case has come to its end, in whatever way.

        Raises
        ------
        InputError
            Something else has its place.
        """
        folder = self.cases / case.name
        if not os.path.lexists(folder):
            return False
        if folder.is_symlink() or not (folder / CASE_FILE).is_file():
            raise InputError(folder, "this is not the folder of a case that has ended", "Remove it, or rename it.")
        return True

    def outcome(self, case: Case) -> Outcome:
        """What came of a case that has ended.

        Raises
        ------
        InputError
            Its record is damaged.
        """
        return read_outcome(self.cases / case.name)

    def new_staging(self, case: Case) -> Path:
        """An empty folder for one attempt."""
        staging = self.running / f"{case.name}-{uuid.uuid4().hex[:8]}"
        staging.mkdir()
        return staging

    def finish(self, finished: Finished) -> bool:
        """Give the results of a case their place.

        Returns
        -------
        bool
            False if another worker was first; then these are removed.
        """
        for folder, _, names in os.walk(finished.staging):
            for name in names:
                to_disk(Path(folder) / name)
            to_disk(Path(folder))
        target = self.cases / finished.case.name
        if not _renamed(finished.staging, target):
            shutil.rmtree(finished.staging)
            return False
        to_disk(self.cases)
        return True


def _renamed(staging: Path, target: Path) -> bool:
    """Rename a folder; False where there is one of that name."""
    deadline = time.monotonic() + _SECONDS_OF_SCANNERS
    while True:
        try:
            staging.rename(target)
        except OSError:
            if os.path.lexists(target):
                return False
            # On Windows, scanners for viruses keep new files open for a moment.
            if sys.platform != "win32" or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return True


def to_disk(path: Path) -> None:
    """Have the system write a file or folder now; Windows has no such thing for folders."""
    if path.is_symlink() or (sys.platform == "win32" and path.is_dir()):
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
