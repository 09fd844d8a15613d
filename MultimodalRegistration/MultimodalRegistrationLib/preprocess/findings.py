"""One thing that was noticed about an input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..core.errors import InputError

__all__ = ["Finding", "Severity", "by_severity", "finding_of_error"]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """What was noticed, how grave it is, and what to do.

    Parameters
    ----------
    code : str
        A word for scripts that stays the same when the texts change.
    severity : {"error", "warning", "note"}
        ``error``: a registration refuses the input. ``warning``: the result may be wrong or the input is not what it
        should be. ``note``: good to know.
    message : str
        What was found, with the value.
    remedy : str
        What the reader can do; empty where nothing need be done.
    """

    code: str
    severity: Severity
    message: str
    remedy: str


def finding_of_error(error: InputError) -> Finding:
    """The refusal of an input as a finding of severity ``error``."""
    return Finding(error.code, "error", error.found, error.remedy)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings with the errors first, then the warnings, then the notes."""
    return tuple(sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.severity)))
