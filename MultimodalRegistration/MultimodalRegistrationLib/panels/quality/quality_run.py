"""One assessment in the background: nodes out, the command, its result back into the scene."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MultimodalRegistrationLib.application.child_python import child_program, temporary_folder
from MultimodalRegistrationLib.errors import EngineError, InputError, RegistrationError
from MultimodalRegistrationLib.mrml.quality_job import QualityInputs, QualityJob
from MultimodalRegistrationLib.mrml.quality_nodes import QualityNodes, remove_quality_nodes
from MultimodalRegistrationLib.panels.background_job import BackgroundJob, ChildProcess, QtProcess
from MultimodalRegistrationLib.panels.quality import texts
from MultimodalRegistrationLib.panels.stepper import Stepper
from MultimodalRegistrationLib.quality.tolerance import Tolerance

__all__ = ["Listener", "QualityRun"]

# Shares of the progress bar.
_WRITTEN = 0.05
_COMPUTED = 0.9


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
        The nodes that were added, and the folder of the report, which belongs to the listener from now on.
    failed : callable
        Why there is no result.
    """

    progress: Callable[[str, float], None]
    log: Callable[[str], None]
    done: Callable[[QualityNodes, Path], None]
    failed: Callable[[RegistrationError], None]


class QualityRun:
    """A run from its inputs to nodes in the scene; until then the scene is as it was.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the result.
    inputs, tolerance
        See :class:`~MultimodalRegistrationLib.mrml.quality_job.QualityJob`.
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
        scene: Any,
        inputs: QualityInputs,
        tolerance: Tolerance,
        listener: Listener,
        *,
        make_process: Callable[[list[str]], ChildProcess] = QtProcess,
    ) -> None:
        self._scene = scene
        self._listener = listener
        self._make_process = make_process
        self._error: RegistrationError | None = None
        self._process: BackgroundJob | None = None
        self._nodes: QualityNodes | None = None
        self._run_id = uuid.uuid4().hex
        self._folder = Path(tempfile.mkdtemp(prefix="multimodal-registration-qa-", dir=temporary_folder()))
        self._process_gone = True
        self.active = True
        try:
            self._job = QualityJob(inputs, self._folder, tolerance)
        except BaseException:
            self._clean()
            raise
        self._stepper = self._steps(self._job.write(), texts.PREPARING, (0.0, _WRITTEN), self._compute)

    def start(self) -> None:
        """Begin; everything happens in the event loop."""
        self._tell(texts.PREPARING, 0.0)
        self._stepper.start()

    def cancel(self) -> None:
        """End it; the listener hears nothing any more."""
        self.active = False
        self._stepper.stop()
        remove_quality_nodes(self._scene, self._run_id)
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

    def _steps(
        self, steps: Iterator[float], stage: str, shares: tuple[float, float], then: Callable[[], None]
    ) -> Stepper:
        def ended(error: Exception | None) -> None:
            if error is not None:
                self._fail(error)
            else:
                then()

        first, last = shares
        return Stepper(steps, lambda share: self._tell(stage, first + (last - first) * share), ended)

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
            self._tell(self._job.named(event["stage"]), _WRITTEN + (_COMPUTED - _WRITTEN) * event["fraction"])
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
            self._stepper = self._steps(self._result(), texts.READING, (_COMPUTED, 1.0), self._done)
            self._stepper.start()

    def _result(self) -> Iterator[float]:
        for share in self._job.read():
            yield 0.5 * share
        adding = self._job.add(self._scene, self._run_id)
        while True:
            try:
                share = next(adding)
            except StopIteration as end:
                self._nodes = end.value
                return
            yield 0.5 + 0.5 * share

    def _done(self) -> None:
        self.active = False
        assert self._nodes is not None, "the steps ended without an error"
        report = self._folder.with_name(f"{self._folder.name}-report")
        self._job.output_folder.rename(report)
        self._clean()
        self._listener.done(self._nodes, report)

    def _fail(self, error: Exception) -> None:
        self.active = False
        remove_quality_nodes(self._scene, self._run_id)
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
