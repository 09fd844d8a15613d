"""How many cases run at a time, and how much memory each may take."""

from __future__ import annotations

from ...core.errors import InputError
from ...core.machine import available_memory_bytes, usable_cores
from ...io.voxel_source import open_source
from ...register.memory_need import needed_memory_bytes
from ..cases import Study
from .limits import PROCESS_BYTES

__all__ = ["memory_share_bytes", "worker_count"]

# Where the system does not tell: a small machine.
_ASSUMED_BYTES = 8 * 2**30
_USED_SHARE = 0.9


def worker_count(asked: int | None, study: Study) -> int:
    """How many cases to run at the same time.

    Parameters
    ----------
    asked : int or None
        By the user.
    study : Study
        Whose largest volumes count.

    Returns
    -------
    int
        As many as asked for; by default one for each core, if the free memory is enough for all. Never more than there
        are cases.

    Raises
    ------
    InputError
        Fewer than one was asked for, or more than there is memory for.
    """
    if asked is not None and asked < 1:
        raise InputError("--workers", f"{asked} was given", "Give a whole number from 1.")
    largest = max(
        needed_memory_bytes("elastix", open_source(case.fixed).grid, open_source(case.moving).grid) + PROCESS_BYTES
        for case in study.cases
    )
    fitting = max(1, int(_free_bytes() // largest))
    if asked is None:
        return min(usable_cores(), fitting, len(study.cases))
    if min(asked, len(study.cases)) > fitting:
        raise InputError(
            "--workers",
            f"{asked} at a time need about {asked * largest / 2**30:.1f} GiB of memory, and "
            f"{_free_bytes() / 2**30:.1f} GiB may be used",
            f"Give at most {fitting}.",
        )
    return min(asked, len(study.cases))


def memory_share_bytes(workers: int, total_bytes: float | None = None) -> int:
    """What each of so many cases may take of the memory they have together, or of that which is free."""
    return int((total_bytes or _free_bytes()) / workers)


def _free_bytes() -> float:
    return _USED_SHARE * (available_memory_bytes() or _ASSUMED_BYTES)
