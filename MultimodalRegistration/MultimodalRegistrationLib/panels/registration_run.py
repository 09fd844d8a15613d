"""One registration in the background: volumes out, the command, its result back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MultimodalRegistrationLib.application.child_python import child_program, temporary_folder
from MultimodalRegistrationLib.errors import EngineError, InputError, RegistrationError
from MultimodalRegistrationLib.mrml.registration_inputs import Inputs, Settings
from MultimodalRegistrationLib.mrml.registration_job import RegistrationJob
from MultimodalRegistrationLib.panels import texts
from MultimodalRegistrationLib.panels.background_job import BackgroundJob, ChildProcess, QtProcess
from MultimodalRegistrationLib.panels.stepper import Stepper

__all__ = ["Listener", "RegistrationRun"]

# Shares of the progress bar.
_WRITTEN = 0.03
_COMPUTED = 0.97


@dataclass(frozen=True)
class Listener:
    """What a run tells.

    Parameters
    ----------
    progress : callable
        Stage in words, and fraction of the whole run.
    log : callable
        A line for the log.
    done : callable
        The job, whose result can be added to the scene. Its files are gone afterwards.
    failed : callable
        Why there is no result.
    """

    progress: Callable[[str, float], None]
    log: Callable[[str], None]
    done: Callable[[RegistrationJob], None]
    failed: Callable[[RegistrationError], None]


class RegistrationRun:
    """A run from its inputs to the files of its result.

    Parameters
    ----------
    inputs, settings
        See :class:`~MultimodalRegistrationLib.mrml.registration_job.RegistrationJob`.
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
        inputs: Inputs,
        settings: Settings,
        listener: Listener,
        *,
        make_process: Callable[[list[str]], ChildProcess] = QtProcess,
    ) -> None:
        self._listener = listener
        self._make_process = make_process
        self._error: RegistrationError | None = None
        self._process: BackgroundJob | None = None
        self._process_gone = False
        self._folder = Path(tempfile.mkdtemp(prefix="multimodal-registration-", dir=temporary_folder()))
        self.active = True
        try:
            self._job = RegistrationJob(inputs, settings, self._folder)
        except BaseException:
            self._clean()
            raise
        self._stepper = Stepper(
            self._job.write(),
            lambda share: self._tell(texts.PREPARING, share * _WRITTEN),
            self._written,
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
        self._process.start()

    def _event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "progress":
            fraction = _WRITTEN + (_COMPUTED - _WRITTEN) * event["fraction"]
            self._tell(self._job.named(event["stage"]), fraction)
        elif kind == "log":
            self._listener.log(event["line"])
        elif kind == "warning":
            self._listener.log(self._job.named(event["message"]))
        elif kind == "error":
            words = [self._job.named(event[part]) for part in ("subject", "found", "remedy")]
            self._error = InputError(*words) if event["exit_code"] == InputError.exit_code else EngineError(*words)

    def _computed(self, code: int | None) -> None:
        if code is None:
            self._fail(EngineError(*texts.child_not_started(child_program())))
        elif code != 0:
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
