"""The errors of this project: one hierarchy, each with the exit code of the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .exit_codes import ExitCode

__all__ = [
    "Cancelled",
    "EngineError",
    "EngineNotInstalledError",
    "InputError",
    "RegistrationError",
    "install_remedy",
]


def install_remedy(requirement: str) -> str:
    """How a missing package is put into this Python, which in Slicer is PythonSlicer."""
    return f'Install it: "{sys.executable}" -m pip install "{requirement}"'


class RegistrationError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    subject : str or Path
        The node or file that the error is about.
    found : str
        What was found, with the value.
    remedy : str
        What the reader can do about it: one or two sentences.
    """

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, subject: str | Path, found: str, remedy: str) -> None:
        self.subject = str(subject)
        self.found = found
        self.remedy = remedy
        super().__init__(f"{self.subject}: {found.rstrip('.')}. {remedy}")

    def content(self) -> dict[str, Any]:
        """What another process is told of it, as plain data."""
        return {"subject": self.subject, "found": self.found, "remedy": self.remedy, "exit_code": int(self.exit_code)}


class InputError(RegistrationError):
    """An input, an option or an output location that cannot be used.

    Parameters
    ----------
    code : str
        A word for scripts that stays the same when the texts change.
    """

    exit_code = ExitCode.INPUT

    def __init__(self, subject: str | Path, found: str, remedy: str, *, code: str = "input") -> None:
        super().__init__(subject, found, remedy)
        self.code = code


class EngineError(RegistrationError):
    """An engine stopped without a result.

    Parameters
    ----------
    log : str
        Everything the engine printed.
    """

    exit_code = ExitCode.ENGINE_FAILED

    def __init__(self, subject: str | Path, found: str, remedy: str, *, log: str = "") -> None:
        super().__init__(subject, found, remedy)
        self.log = log


class Cancelled(RegistrationError):
    """The user asked to stop."""

    exit_code = ExitCode.CANCELLED

    def __init__(self, subject: str = "Registration", remedy: str = "Nothing was written.") -> None:
        super().__init__(subject, "cancelled", remedy)


class EngineNotInstalledError(RegistrationError):
    """The engine that was asked for is not installed."""

    exit_code = ExitCode.ENGINE_NOT_INSTALLED
