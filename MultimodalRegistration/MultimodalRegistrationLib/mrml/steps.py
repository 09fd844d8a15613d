"""Generators that work in steps, between which a window can live."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

__all__ = ["in_thread", "shares"]

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


def shares(steps: Generator[None, None, _Result], share: float = 0.0) -> Generator[float, None, _Result]:
    """Tell the same share at each of the steps of which nobody knows how many they are.

    Parameters
    ----------
    steps : generator
        Closed in the end.
    share : float
        How much is done, 0 to 1.

    Yields
    ------
    float
        The share.

    Returns
    -------
    object
        What the steps return; what they raise is raised here.
    """
    with contextlib.closing(steps):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: _Result = end.value
                return result
            yield share
