"""The errors of this project, one hierarchy, and the exit codes of all commands that belong to them."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar


class ExitCode(IntEnum):
    """A code and what it means, whichever command ends with it."""

    words: str

    DONE = 0, "done, and no verdict is failed"
    # Python's own for an exception that nobody caught.
    UNEXPECTED = 1, "stopped unexpectedly"
    INPUT = 2, "bad input or usage"
    ENGINE_FAILED = 3, "engine failed"
    CANCELLED = 4, "cancelled"
    ENGINE_NOT_INSTALLED = 5, "engine not installed"
    FAILED = 6, "a verdict is failed"
    NOT_VERIFIED = 7, "a result is not verified: of `batch`, or with `--require verified`"
    NO_RESULT = 8, "`batch` has cases without a result"

    def __new__(cls, value: int, words: str) -> ExitCode:
        """Make a member; its value is the number alone."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.words = words
        return code


def exit_code_words() -> str:
    """All codes in one sentence, for a help text."""
    return f"Exit codes: {'; '.join(f'{code.value} {code.words}' for code in ExitCode)}."


def exit_code_of_verdicts(words: Iterable[str | None], required: str | None) -> ExitCode:
    """The code of a run that has its results.

    Parameters
    ----------
    words : iterable of str or None
        The verdicts; None for a result that was not judged.
    required : str or None
        The verdict that each must have.
    """
    found = set(words)
    if "failed" in found:
        return ExitCode.FAILED
    return ExitCode.DONE if required is None or found <= {required} else ExitCode.NOT_VERIFIED


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
