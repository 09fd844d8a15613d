"""Which of several results is trusted least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["least_trusted"]

_WORDS = ("failed", "uncertain", "verified")


def least_trusted(verdicts: Sequence[Mapping[str, Any]]) -> int:
    """Find the worst of several verdicts.

    Parameters
    ----------
    verdicts : sequence of mapping
        As in ``RESULT.json``: ``word`` and ``estimated_error_mm``. At least one.

    Returns
    -------
    int
        Its index; among equal words that of the largest estimated error.
    """

    def trust(number: int) -> tuple[int, float]:
        error_mm = verdicts[number]["estimated_error_mm"]
        return _WORDS.index(verdicts[number]["word"]), -math.inf if error_mm is None else -error_mm

    return min(range(len(verdicts)), key=trust)
