"""Everything that is wrong with a study, told at once."""

from __future__ import annotations

import re
from pathlib import Path

from ..core.errors import InputError

__all__ = ["Problems", "one_line"]

_MOST_LINES = 50
_MOST_PLACES = 4


class Problems:
    """What was found, each with all the places where it is."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, place: str, found: str) -> None:
        """Note a problem.

        Parameters
        ----------
        place : str
            Such as ``"line 3 (sub-01)"``; problems that are the same in several places become one line.
        found : str
            The problem, and what to do about it.
        """
        self._places.setdefault(one_line(found), []).append(one_line(place))

    def has(self, place: str) -> bool:
        """Whether something was noted of a place."""
        return any(one_line(place) in places for places in self._places.values())

    def raise_if_any(self, path: Path) -> None:
        """Raise them all.

        Raises
        ------
        InputError
            There are some; what was found has one line for each.
        """
        if not self._places:
            return
        in_order = sorted(self._places.items(), key=lambda entry: _first_number(entry[1][0]))
        lines = [f"{_listed(places)}: {found}" for found, places in in_order]
        if len(lines) > _MOST_LINES:
            lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more"]
        count = len(self._places)
        raise InputError(
            path,
            "\n".join([f"{count} problem{'s' if count > 1 else ''}", *lines]),
            "Correct the study; nothing was started.",
            code="study",
        )


def one_line(text: str) -> str:
    """Text that can be printed anywhere: values of a study and names of files may hold anything."""
    joined = "".join(" " if letter.isspace() else letter for letter in text)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in joined)


def _first_number(place: str) -> int:
    number = re.search(r"\d+", place)
    return 0 if number is None else int(number[0])


def _listed(places: list[str]) -> str:
    more = len(places) - _MOST_PLACES
    words = ", ".join(places[:_MOST_PLACES])
    return f"{words} and {more} more" if more > 0 else words
