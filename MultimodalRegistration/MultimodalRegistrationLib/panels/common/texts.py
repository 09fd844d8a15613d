"""Messages that several panels have."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from slicer.i18n import tr as _

PREPARING = _("writing the volumes")
READING = _("reading the result")


def volumes_missing(fixed: Any, moving: Any) -> str | None:
    """Which of the two volumes has to be chosen; None when both are there."""
    if fixed is None and moving is None:
        return _("Load two volumes, then choose the fixed and the moving one.")
    if fixed is None:
        return _("Choose the fixed volume: the one that stays.")
    if moving is None:
        return _("Choose the moving volume: the one that is put onto {fixed}.").format(fixed=fixed.GetName())
    if fixed is moving:
        return _("{name} is chosen as both volumes. Choose another moving volume.").format(name=fixed.GetName())
    return None


def escaped(text: str) -> str:
    """Text as it is, in a rich text."""
    return html.escape(text, quote=False)


def without_options(text: str, words: Mapping[str, str]) -> str:
    """A text of the library, which names its options, with words for them; the first that fit are taken first."""
    for option, instead in words.items():
        text = text.replace(option, instead)
    return text


def child_not_started(program: str) -> tuple[str, str, str]:
    """Subject, finding and remedy when the process cannot be started."""
    return program, _("the program could not be started"), _("Install Slicer again, or allow it to start programs.")


def child_ended(what: str, code: int) -> tuple[str, str, str]:
    """Likewise when it ended without saying why."""
    return (
        what,
        _("its process ended unexpectedly (code {code})").format(code=code),
        _("Read the log; crop or downsample the volumes if memory ran out, and try again."),
    )


def file_problem(error: OSError) -> tuple[str, str, str]:
    """Likewise when a temporary file cannot be written or read."""
    return (
        error.filename or _("The temporary folder"),
        _("cannot be written or read ({reason})").format(reason=error.strerror or error),
        _("Free some disk space, or choose another temporary folder in Slicer's settings."),
    )


def busy_words() -> str:
    """Why nothing else can be started."""
    return _("Wait for what is running, or cancel it first.")


def stage_words(stage: str) -> str:
    """A stage with a capital letter."""
    return stage[:1].upper() + stage[1:]


def elapsed_words(elapsed_s: float, fraction: float) -> str:
    """Elapsed and remaining time; what remains is told once enough is done to tell."""
    elapsed = f"{int(elapsed_s) // 60}:{int(elapsed_s) % 60:02d}"
    if fraction < 0.1:
        return elapsed
    remaining = elapsed_s * (1 - fraction) / fraction
    if remaining < 90:
        return _("{elapsed}, about {seconds} s left").format(elapsed=elapsed, seconds=max(5, round(remaining / 5) * 5))
    return _("{elapsed}, about {minutes} min left").format(elapsed=elapsed, minutes=round(remaining / 60))
