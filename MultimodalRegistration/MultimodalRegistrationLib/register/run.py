"""What a run reports to, and what it runs with: progress, warnings, log, cancelling, engines, the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.clock import Clock
from ..core.errors import Cancelled
from ..core.progress import Progress
from ..engines.session import EngineSessions


def _ignore(_: object) -> None:
    """Nobody listens."""


@dataclass(eq=False)
class Run:
    """The context of one run, handed down through its steps.

    Parameters
    ----------
    engines : EngineSessions
        Running engines, which stay; whoever gave them closes them.
    threads : int or None
        For the search and the verdict; None for all usable cores.
    on_progress, on_warning, on_log : callable
        Called as the run goes on; the last one with each line that an engine prints.
    cancel : threading.Event or None
        Set it to stop: within a second while the search or an engine runs, otherwise at the end of the step.
    keep : Path or None
        Folder that gets what the engines were given and wrote.
    clock : Clock
        Seconds of the steps.
    warnings : list of str
        All so far.
    """

    engines: EngineSessions = field(default_factory=EngineSessions)
    threads: int | None = None
    on_progress: Callable[[Progress], None] = _ignore
    on_warning: Callable[[str], None] = _ignore
    on_log: Callable[[str], None] = _ignore
    cancel: threading.Event | None = None
    keep: Path | None = None
    clock: Clock = field(default_factory=Clock)
    warnings: list[str] = field(default_factory=list)

    def tell(self, stage: str, fraction: float) -> None:
        """Tell the progress.

        Raises
        ------
        Cancelled
            Someone asked for it.
        """
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled()
        self.on_progress(Progress(stage, fraction))

    def warn(self, message: str | None) -> None:
        """Tell a warning; nothing where there is none."""
        if message is not None:
            self.warnings.append(message)
            self.on_warning(message)

    def part(self, low: float, high: float, *, prefix: str = "", suffix: str = "") -> Run:
        """The context of a part of this run, whose progress goes from one fraction to another."""

        def on_progress(progress: Progress) -> None:
            fraction = low + (high - low) * progress.fraction
            self.on_progress(Progress(f"{prefix}{progress.stage}{suffix}", fraction))

        return replace(self, on_progress=on_progress)
