"""The exit codes of all commands: what a script can go by. The help and the documentation are held to this table."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

__all__ = ["ExitCode", "exit_code_of_verdicts", "exit_code_words"]


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
