"""The section that finds the transform of a volume of which only the resampled copy was kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from ...core.errors import RegistrationError
from ...mrml.recover_job import RecoverJob
from ..common.background_job import ChildProcess
from ..common.buttons import offer
from ..common.progress_view import ProgressView
from ..common.run_slot import RunSlot
from ..common.texts import busy_words, problem_words
from . import texts

__all__ = ["RecoverBox"]


class RecoverBox:
    """Starts the search and adds what it finds.

    Parameters
    ----------
    ui : namespace
        With ``recoverButton``.
    progress : ProgressView
        Shows how far the search is.
    on_stopped : callable
        Called when there is no search any more.
    on_told : callable
        Called with a message, or None for that of before to go, and whether it is a problem.
    """

    def __init__(
        self,
        ui: Any,
        progress: ProgressView,
        *,
        on_stopped: Callable[[], None],
        on_told: Callable[[str | None, bool], None],
    ) -> None:
        self._ui = ui
        self._parameters: Any = None
        self._on_told = on_told
        self._runs: RunSlot[RecoverJob] = RunSlot(texts.RECOVER_RUN, on_stopped=on_stopped, progress=progress)

    @property
    def running(self) -> bool:
        """Whether a search is under way."""
        return self._runs.running

    def show(self, parameters: Any, *, busy: bool) -> None:
        """Show whether a search can start now, with the volumes of the parameter node."""
        self._parameters = parameters
        if busy:
            missing: str | None = busy_words()
        elif parameters is None:
            missing = texts.recover_missing(None, None)
        else:
            missing = texts.recover_missing(parameters.originalVolume, parameters.resampledCopy)
        offer(self._ui.recoverButton, texts.RECOVER_HINT, missing)

    def start(self, make_process: Callable[[list[str]], ChildProcess]) -> None:
        """Start a search; a message tells why where it cannot."""
        original, resampled = self._parameters.originalVolume, self._parameters.resampledCopy
        try:
            self._runs.start(
                lambda folder: RecoverJob(original, resampled, folder),
                done=self._done,
                failed=self._failed,
                make_process=make_process,
            )
        except RegistrationError as error:
            self._failed(error)
            return
        self._on_told(None, False)

    def check_nodes(self) -> None:
        """End the search where one of its volumes was removed."""
        self._runs.check_nodes()

    def cancel(self) -> bool:
        """End the search; False where there is none."""
        return self._runs.cancel()

    def end(self) -> None:
        """Likewise, and wait for its process."""
        self._runs.end()

    def _done(self, job: RecoverJob) -> None:
        try:
            node, content = job.finish(slicer.mrmlScene)
        except RegistrationError as error:
            self._failed(error)
            return
        self._on_told(texts.recovered_words(node.GetName(), content), not content["explained"])

    def _failed(self, error: RegistrationError) -> None:
        self._on_told(problem_words(error), True)
