"""Calls that hold no lock of Python, carried out beside a generator that yields meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

__all__ = ["in_thread"]

_Result = TypeVar("_Result")
_SECONDS_BETWEEN_LOOKS = 0.001


def in_thread(function: Callable[[], _Result]) -> Generator[None, None, _Result]:
    """Call a function in a thread of its own.

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
