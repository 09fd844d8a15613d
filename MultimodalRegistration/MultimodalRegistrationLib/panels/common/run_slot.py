"""The one run that a panel has at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic

from ...core.errors import RegistrationError
from .background_job import ChildProcess, QtProcess
from .child_run import AnyJob, ChildRun, Listener
from .progress_view import ProgressView

__all__ = ["RunSlot"]


class RunSlot(Generic[AnyJob]):
    """Starts the runs of a panel, shows how far they are, and ends them.

    Parameters
    ----------
    label : str
        What is done, at the beginning of a sentence.
    on_stopped : callable
        Called whenever there is no run any more, before the panel takes its result.
    progress : ProgressView, optional
        Shows how far a run is.
    """

    def __init__(self, label: str, *, on_stopped: Callable[[], None], progress: ProgressView | None = None) -> None:
        self._label = label
        self._on_stopped = on_stopped
        self._progress = progress
        self._run: ChildRun[AnyJob] | None = None
        # Ended before their processes, which are about to end.
        self._ending: list[ChildRun[AnyJob]] = []

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None and self._run.active

    def start(
        self,
        make_job: Callable[[Path], AnyJob],
        *,
        done: Callable[[AnyJob], None],
        failed: Callable[[RegistrationError], None],
        make_process: Callable[[list[str]], ChildProcess] = QtProcess,
        subject: str = "",
        goes_on: bool = False,
    ) -> None:
        """Start a run; the caller knows that there is none.

        Parameters
        ----------
        make_job, make_process
            As for :class:`~MultimodalRegistrationLib.panels.common.child_run.ChildRun`.
        done, failed
            As of :class:`~MultimodalRegistrationLib.panels.common.child_run.Listener`.
        subject, goes_on
            As for :meth:`~MultimodalRegistrationLib.panels.common.progress_view.ProgressView.start`.

        Raises
        ------
        RegistrationError
            The run cannot begin; nothing is left behind.
        """

        def is_done(job: AnyJob) -> None:
            self._stop()
            done(job)

        def has_failed(error: RegistrationError) -> None:
            self._stop()
            failed(error)

        progress = self._progress
        listener = Listener(
            progress=(lambda stage, fraction: None) if progress is None else progress.show,
            log=(lambda line: None) if progress is None else progress.log,
            done=is_done,
            failed=has_failed,
        )
        self._run = ChildRun(self._label, make_job, listener, make_process=make_process)
        if progress is not None:
            progress.start(subject, goes_on=goes_on)
        self._run.start()

    def cancel(self) -> bool:
        """End the run, whose job is withdrawn; False where there is none."""
        if self._run is None or not self._run.active:
            return False
        self._run.cancel()
        self._stop()
        return True

    def check_nodes(self) -> None:
        """End the run where a node was removed that its result needs: that is told at once, not after all the work."""
        if self._run is not None:
            self._run.check_nodes()

    def end(self) -> None:
        """End the run, and wait for its process and those of the runs before: for the end of a panel."""
        ChildRun.end_all([run for run in (*self._ending, self._run) if run is not None])
        self._clear()

    def _stop(self) -> None:
        self._clear()
        self._on_stopped()

    def _clear(self) -> None:
        """Have no run any more; its process may still be there."""
        self._ending = [run for run in (*self._ending, self._run) if run is not None and not run.gone]
        self._run = None
        if self._progress is not None:
            self._progress.stop()
