"""Generators that work in steps, between which a window can live."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_SECONDS_BETWEEN_LOOKS = 0.001


def in_thread(function: Callable[[], _Result]) -> Generator[None, None, _Result]:
    """Call a function that holds no lock of Python in a thread of its own.

    Parameters
    ----------
    function : callable
        Reads or writes a file with SimpleITK, say; touches no node.

    Yields
    ------
    None
        While it runs.

    Returns
    -------
    object
        What the function returns; what it raises is raised here.
    """
    outcome: dict[str, Any] = {}

    def call() -> None:
        try:
            outcome["result"] = function()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        yield
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if "error" in outcome:
        raise outcome["error"]
    result: _Result = outcome["result"]
    return result


def shares(
    steps: Generator[Any, None, _Result] | Iterator[float], first: float = 0.0, last: float | None = None
) -> Generator[float, None, _Result]:
    """Tell the share of the whole at each step of a part.

    Parameters
    ----------
    steps : generator
        Tells how much of the part is done, 0 to 1, or None where nobody knows. Closed in the end.
    first, last : float
        How much of the whole is done before and after the part; without the last, it stays the same.

    Yields
    ------
    float
        The share.

    Returns
    -------
    object
        What the steps return; what they raise is raised here.
    """
    length = 0.0 if last is None else last - first
    with contextlib.closing(steps):  # type: ignore[type-var]
        while True:
            try:
                share = next(steps)
            except StopIteration as end:
                result: _Result = end.value
                return result
            yield first + length * (share or 0.0)


def drained(steps: Generator[Any, None, _Result] | Iterator[float]) -> _Result:
    """Carry out all steps at once, and return what they do."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result


def in_turn(parts: Sequence[Iterator[float]]) -> Iterator[float]:
    """Steps of one part after the other, each of which tells its share: how much of all is done, 0 to 1."""
    for number, part in enumerate(parts):
        for share in part:
            yield (number + share) / len(parts)
