"""The errors of this project: one hierarchy, each with the exit code of the command line."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from .exit_codes import ExitCode

__all__ = [
    "Cancelled",
    "EngineError",
    "EngineNotInstalledError",
    "FieldName",
    "InputError",
    "RegistrationError",
    "install_remedy",
    "suggest",
]


def install_remedy(requirement: str) -> str:
    """How a missing package is put into this Python, which in Slicer is PythonSlicer."""
    return f'Install it: "{sys.executable}" -m pip install "{requirement}"'


def suggest(word: str, known: Iterable[str]) -> str:
    """A sentence with the closest known words, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""


_E = TypeVar("_E", bound="RegistrationError")


class FieldName(str):
    """Fields of a request as the subject of an error, for which each front end has names of its own.

    Parameters
    ----------
    *names : str
        One field, or several that do not go together.
    """

    names: tuple[str, ...]

    def __new__(cls, *names: str) -> FieldName:
        """Several are joined for those who know no other names."""
        made = super().__new__(cls, " and ".join(names))
        made.names = names
        return made

    def told(self, name_of: Callable[[str], str]) -> str:
        """What a front end calls them."""
        return " and ".join(name_of(name) for name in self.names)


class RegistrationError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    subject : str or Path
        The node, the file or the field of a request that the error is about.
    found : str
        What was found, with the value.
    remedy : str
        What the reader can do about it: one or two sentences.
    """

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, subject: str | Path, found: str, remedy: str) -> None:
        self.subject = subject if isinstance(subject, FieldName) else str(subject)
        self.found = found
        self.remedy = remedy
        super().__init__(f"{self.subject}: {found.rstrip('.')}. {remedy}")

    def about(self: _E, subject: str) -> _E:
        """The same error with another name for its subject."""
        error = self.__class__.__new__(self.__class__)
        error.__dict__.update(self.__dict__)
        RegistrationError.__init__(error, subject, self.found, self.remedy)
        return error

    def content(self) -> dict[str, Any]:
        """What another process is told of it, as plain data."""
        return {
            "subject": str(self.subject),
            "fields": list(self.subject.names) if isinstance(self.subject, FieldName) else [],
            "found": self.found,
            "remedy": self.remedy,
            "exit_code": int(self.exit_code),
        }


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
