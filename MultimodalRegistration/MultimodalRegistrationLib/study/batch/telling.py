"""How a study goes, for whoever looks on: one bar for all cases, and a line for each that ends."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ...core.progress import Progress
from ..cases import Case
from .outcome import CaseError, Outcome

__all__ = ["Telling"]


class Telling:
    """Gathers what many threads tell.

    Parameters
    ----------
    total : int
        Cases of the study.
    ended : int
        Those that had ended before.
    on_progress : callable
        Called with the state of the whole study.
    on_line : callable
        Called with a sentence.
    """

    def __init__(
        self, total: int, ended: int, *, on_progress: Callable[[Progress], None], on_line: Callable[[str], None]
    ) -> None:
        self._total, self._ended = total, ended
        self._on_progress, self._on_line = on_progress, on_line
        self._fractions: dict[str, float] = {}
        self._doubtful = 0
        # Threads take turns.
        self._lock = threading.Lock()

    def fraction_of(self, case: Case) -> Callable[[float], None]:
        """What a case tells its share to."""

        def tell(fraction: float) -> None:
            with self._lock:
                self._fractions[case.name] = fraction
                self._tell()

        return tell

    def retry_of(self, case: Case) -> Callable[[CaseError], None]:
        """What a case tells that it is run again to."""

        def tell(error: CaseError) -> None:
            with self._lock:
                self._on_line(f"{case.name}: {error.subject}: {error.found}. It is run again.")

        return tell

    def line(self, words: str) -> None:
        """Tell a sentence."""
        with self._lock:
            self._on_line(words)

    def ended(self, outcome: Outcome) -> None:
        """Tell that a case has ended."""
        with self._lock:
            self._fractions.pop(outcome.name, None)
            self._ended += 1
            self._doubtful += outcome.word != "verified"
            error = "" if outcome.error is None else f" ({outcome.error.subject}: {outcome.error.found})"
            self._on_line(
                f"[{self._ended} of {self._total}] {outcome.name}: {outcome.word}{error}, {outcome.seconds:.1f} s"
            )
            self._tell()

    def _tell(self) -> None:
        look = f", {self._doubtful} need a look" if self._doubtful else ""
        share = (self._ended + sum(self._fractions.values())) / self._total
        self._on_progress(Progress(f"{self._ended} of {self._total} cases{look}", min(1.0, share)))
