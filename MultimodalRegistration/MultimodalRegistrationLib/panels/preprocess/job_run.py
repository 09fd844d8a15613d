"""One job in the background: volumes out, the command, its result back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MultimodalRegistrationLib.application.child_python import child_program, temporary_folder
from MultimodalRegistrationLib.errors import EngineError, InputError, RegistrationError
from MultimodalRegistrationLib.mrml.preprocess_job import PreprocessJob
from MultimodalRegistrationLib.panels.background_job import BackgroundJob, ChildProcess, QtProcess
from MultimodalRegistrationLib.panels.preprocess import texts
from MultimodalRegistrationLib.panels.stepper import Stepper

__all__ = ["JobRun", "Listener"]

# Shares of the progress bar.
_WRITTEN = 0.05
_COMPUTED = 0.95
# Exit code of ``check`` when it found an error in the volumes: that is a result, not a failure.
_CHECK_FOUND_ERRORS = 2


@dataclass(frozen=True)
class Listener:
    """What a run tells.

    Parameters
    ----------
    progress : callable
        Stage in words, and fraction of the whole run.
    done : callable
        The job, whose result can be used. Its files are gone afterwards.
    failed : callable
        Why there is no result.
    """

    progress: Callable[[str, float], None]
    done: Callable[[PreprocessJob], None]
    failed: Callable[[RegistrationError], None]


class JobRun:
    """A run from its inputs to its result.

    Parameters
    ----------
    make_job : callable
        Makes the job for an empty folder.
    listener : Listener
        Told about it until it is cancelled.
    make_process : callable
        Makes the process of a list of arguments.

    Raises
    ------
    RegistrationError
        The run cannot begin; nothing is left behind.
    """

    def __init__(
        self,
        make_job: Callable[[Path], PreprocessJob],
        listener: Listener,
        *,
        make_process: Callable[[list[str]], ChildProcess] = QtProcess,
    ) -> None:
        self._listener = listener
        self._make_process = make_process
        self._error: RegistrationError | None = None
        self._process: BackgroundJob | None = None
        self._process_gone = False
        self._folder = Path(tempfile.mkdtemp(prefix="registration-preprocess-", dir=temporary_folder()))
        self.active = True
        try:
            self._job = make_job(self._folder)
        except BaseException:
            self._clean()
            raise
        self._stepper = Stepper(
            self._job.write(), lambda share: self._tell(texts.PREPARING, share * _WRITTEN), self._written
        )

    def start(self) -> None:
        """Begin; everything happens in the event loop."""
        self._tell(texts.PREPARING, 0.0)
        self._stepper.start()

    def cancel(self) -> None:
        """End it; the listener hears nothing any more."""
        self.active = False
        self._stepper.stop()
        if self._process is None or self._process_gone:
            self._clean()
        else:
            self._process.cancel()

    def end(self) -> None:
        """Likewise, and wait until the process is gone, three seconds at most: for the end of the application."""
        self.cancel()
        if self._process is not None:
            self._process.end()
        self._clean()

    def _tell(self, stage: str, fraction: float) -> None:
        self._listener.progress(texts.stage_words(stage), fraction)

    def _written(self, error: Exception | None) -> None:
        if error is not None:
            self._fail(error)
            return
        self._process = BackgroundJob(
            self._make_process(self._job.arguments), on_event=self._event, on_end=self._computed, on_gone=self._gone
        )
        if self._job.task == "check":
            self._tell(texts.CHECKING, _WRITTEN)
        self._process.start()

    def _event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "progress":
            fraction = _WRITTEN + (_COMPUTED - _WRITTEN) * event["fraction"]
            self._tell(self._job.named(event["stage"]), fraction)
        elif kind == "error":
            words = [self._job.named(event[part]) for part in ("subject", "found", "remedy")]
            self._error = InputError(*words) if event["exit_code"] == InputError.exit_code else EngineError(*words)

    def _computed(self, code: int | None) -> None:
        found_errors = self._job.task == "check" and code == _CHECK_FOUND_ERRORS and self._error is None
        if code is None:
            self._fail(EngineError(*texts.child_not_started(child_program())))
        elif code != 0 and not found_errors:
            self._fail(self._error or EngineError(*texts.child_ended(code)))
        else:
            self._stepper = Stepper(
                self._job.read(),
                lambda share: self._tell(texts.READING, _COMPUTED + (1 - _COMPUTED) * share),
                self._read,
            )
            self._stepper.start()

    def _read(self, error: Exception | None) -> None:
        if error is not None:
            self._fail(error)
            return
        self.active = False
        try:
            self._listener.done(self._job)
        finally:
            self._clean()

    def _fail(self, error: Exception) -> None:
        self.active = False
        self._clean()
        if isinstance(error, OSError):
            error = EngineError(*texts.file_problem(error))
        if not isinstance(error, RegistrationError):
            raise error
        self._listener.failed(error)

    def _gone(self) -> None:
        self._process_gone = True
        if not self.active:
            self._clean()

    def _clean(self) -> None:
        # Whatever cannot be removed now, because another program looks at it, is in Slicer's temporary folder.
        shutil.rmtree(self._folder, ignore_errors=True)
