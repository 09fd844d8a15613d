"""One job in the background: its files out, the command in another process, its result back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ...application.child_python import child_program, temporary_folder
from ...core.errors import EngineError, FieldName, InputError, RegistrationError
from ...mrml.child_job import ChildJob
from . import texts
from .background_job import BackgroundJob, ChildProcess, QtProcess, end_jobs
from .stepper import Stepper

__all__ = ["ChildRun", "Listener"]

# Shares of the progress bar.
_WRITTEN = 0.04
_COMPUTED = 0.96


AnyJob = TypeVar("AnyJob", bound=ChildJob)


@dataclass(frozen=True)
class Listener(Generic[AnyJob]):
    """What a run tells.

    Parameters
    ----------
    progress : callable
        Stage in words, and fraction of the whole run.
    log : callable
        A line for the log.
    done : callable
        The job, with its result. Its files are gone afterwards.
    failed : callable
        Why there is no result.
    """

    progress: Callable[[str, float], None]
    log: Callable[[str], None]
    done: Callable[[AnyJob], None]
    failed: Callable[[RegistrationError], None]


class ChildRun(Generic[AnyJob]):
    """A run from its inputs to its result.

    Parameters
    ----------
    label : str
        What is done, at the beginning of a sentence.
    make_job : callable
        Makes the job for an empty folder, which the run removes.
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
        label: str,
        make_job: Callable[[Path], AnyJob],
        listener: Listener[AnyJob],
        *,
        make_process: Callable[[list[str]], ChildProcess] = QtProcess,
    ) -> None:
        self._label = label
        self._listener = listener
        self._make_process = make_process
        self._error: RegistrationError | None = None
        self._process: BackgroundJob | None = None
        self._process_gone = True
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="multimodal-registration-", dir=temporary_folder()))
        except OSError as error:
            raise EngineError(*texts.file_problem(error)) from error
        self.active = True
        try:
            self._job = make_job(self._folder)
        except BaseException:
            self._clean()
            raise
        self._stepper = self._steps(self._job.write, texts.PREPARING, (0.0, _WRITTEN), self._compute)

    @property
    def gone(self) -> bool:
        """Whether it has no process, or none any more."""
        return self._process_gone

    def start(self) -> None:
        """Begin; everything happens in the event loop."""
        self._tell(texts.PREPARING, 0.0)
        self._stepper.start()

    def cancel(self) -> None:
        """End it; the listener hears nothing any more."""
        self.active = False
        self._stepper.stop()
        self._job.withdraw()
        if self._process is None or self._process_gone:
            self._clean()
        else:
            self._process.cancel()

    def check_nodes(self) -> None:
        """End it where a node was removed that its result needs; the listener hears that it failed."""
        if not self.active:
            return
        try:
            self._job.check_nodes()
        except RegistrationError as error:
            self.cancel()
            self._listener.failed(error)

    @staticmethod
    def end_all(runs: Sequence[ChildRun[AnyJob]]) -> None:
        """End runs, and wait until their processes are gone, half a second and a kill: for the end of a panel."""
        for run in runs:
            run.cancel()
        end_jobs([run._process for run in runs if run._process is not None])
        for run in runs:
            run._clean()

    def _steps(
        self, make: Callable[[], Iterator[float]], stage: str, shares: tuple[float, float], then: Callable[[], None]
    ) -> Stepper:
        first, last = shares

        def steps() -> Iterator[float]:
            for share in make():
                if not self.active:
                    break
                yield share
            if not self.active:
                # What observes the scene cancelled while a node was added to it.
                self._job.withdraw()

        def ended(error: Exception | None) -> None:
            if error is not None:
                self._fail(error)
            elif self.active:
                then()

        return Stepper(steps(), lambda share: self._tell(stage, first + (last - first) * share), ended)

    def _tell(self, stage: str, fraction: float) -> None:
        self._listener.progress(texts.stage_words(stage), fraction)

    def _compute(self) -> None:
        self._process = BackgroundJob(
            self._make_process(self._job.arguments), on_event=self._event, on_end=self._computed, on_gone=self._gone
        )
        self._process_gone = False
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
            kind_of_error = InputError if event["exit_code"] == InputError.exit_code else EngineError
            subject, found, remedy = (self._job.named(event[part]) for part in ("subject", "found", "remedy"))
            self._error = kind_of_error(FieldName(*event["fields"]) if event["fields"] else subject, found, remedy)

    def _computed(self, code: int | None) -> None:
        if code is None:
            self._fail(EngineError(*texts.child_not_started(child_program())))
        elif self._error is not None or code not in self._job.result_codes:
            self._fail(self._error or EngineError(*texts.child_ended(self._label, code)))
        else:
            self._stepper = self._steps(self._job.read, texts.READING, (_COMPUTED, 1.0), self._done)
            self._stepper.start()

    def _done(self) -> None:
        self.active = False
        try:
            self._listener.done(self._job)
        finally:
            self._clean()

    def _fail(self, error: Exception) -> None:
        self.active = False
        self._job.withdraw()
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
