"""The application's side of engines: start them, send jobs, follow them, cancel them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..core.errors import Cancelled, EngineError, RegistrationError
from ..core.spatial import SpatialTransform
from .catalogue import ENGINES, engine_folder, require_engine
from .jobs import JOB_FILE, RESULT_FILE, EngineJob, EngineResult, save_job
from .logs import engine_error
from .supervised_child import SupervisedChild, asked_to_end, end_message

_MAX_START_SECONDS = 120.0


class EngineSession:
    """A running engine, good for any number of jobs one after the other.

    The engine starts to load as soon as the session is made, while the caller reads its volumes.

    Parameters
    ----------
    engine : str
        Name of the engine.
    threads : int, optional
        Threads that it may use; by default as many as leave the result reproducible.

    Raises
    ------
    EngineNotInstalledError
        The engine is not installed.
    """

    def __init__(self, engine: str, *, threads: int | None = None) -> None:
        require_engine(engine)
        self.engine = engine
        self._jobs = 0
        self._closed = False
        self._child = SupervisedChild(
            "MultimodalRegistrationLib.engines.worker",
            [engine],
            first_on_path=engine_folder(engine),
            environment={"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads or ENGINES[engine].default_threads)},
        )

    def __enter__(self) -> EngineSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether it takes no more jobs."""
        return self._closed

    @property
    def folder(self) -> Path | None:
        """The session's temporary folder, once the engine has started."""
        return self._child.folder

    def run(
        self,
        job: EngineJob,
        *,
        on_line: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
        keep: Path | None = None,
    ) -> EngineResult:
        """Run one job to its end.

        Parameters
        ----------
        job : EngineJob
            What to do.
        on_line : callable, optional
            Called with each line that the engine prints.
        cancel : threading.Event, optional
            Set from another thread or a signal handler to stop at once.
        keep : Path, optional
            Folder that gets a copy of the job's files when it ends.

        Returns
        -------
        EngineResult
            The transform and the log.

        Raises
        ------
        Cancelled
            ``cancel`` was set, or the engine's process was asked to end. The session is closed.
        EngineError
            The engine failed or its process ended. The session is closed if it did.
        """
        if self._closed:
            raise EngineError(f"Engine {self.engine}", "the session is closed", "Start a new one.")
        log: list[str] = []
        folder: Path | None = None
        stop = None if cancel is None else cancel.is_set
        try:
            while True:
                if self.folder is not None and folder is None:
                    self._jobs += 1
                    folder = self.folder / f"job-{self._jobs}"
                    self._send(job, folder)
                event = self._next_event(log, on_line, stop)
                if folder is None or event.get("job") != str(folder / JOB_FILE):
                    continue
                if event["event"] == "failed":
                    raise engine_error(self.engine, event["message"], "".join(log) + event["message"])
                return EngineResult(self._found(event, folder, log), float(event["seconds"]), "".join(log))
        except EngineError:
            raise
        # Cancelled, an interrupt, or an error in the caller's own on_line: the job must not go on by itself.
        except BaseException:
            self.close()
            raise
        finally:
            if folder is not None and folder.exists():
                if keep is not None:
                    shutil.copytree(folder, keep / folder.name, dirs_exist_ok=True)
                shutil.rmtree(folder, ignore_errors=True)

    def _found(self, event: dict[str, Any], folder: Path, log: list[str]) -> SpatialTransform:
        matrix = event["matrix"]
        if matrix is None:
            return SpatialTransform(self.engine, sitk.ReadTransform(str(folder / RESULT_FILE)))
        if not np.all(np.isfinite(matrix)):
            raise engine_error(self.engine, "the transform holds NaN or infinite values", "".join(log))
        return SpatialTransform.of_matrix(self.engine, matrix)

    def wait_until_ready(self) -> None:
        """Wait until the engine has loaded.

        Raises
        ------
        EngineError
            It could not be loaded, or not within two minutes.
        Cancelled
            Its process was asked to end.
        """
        log: list[str] = []
        deadline = time.monotonic() + _MAX_START_SECONDS
        try:
            while self._next_event(log, None, lambda: time.monotonic() > deadline)["event"] != "ready":
                pass
        except Cancelled as error:
            if time.monotonic() <= deadline:
                raise
            raise EngineError(
                f"Engine {self.engine}",
                f"it did not load within {_MAX_START_SECONDS:.0f} s",
                "Install the engine again.",
                log="".join(log),
            ) from error

    def close(self) -> None:
        """Kill the engine if it still runs and remove the temporary folder."""
        self._closed = True
        self._child.close()

    def _send(self, job: EngineJob, folder: Path) -> None:
        try:
            path = save_job(job, folder)
        except OSError as error:
            raise EngineError(
                folder.parent,
                f"the volumes cannot be handed to the engine ({error.strerror})",
                "Free space in the temporary folder, or set TMPDIR to another one.",
            ) from error
        self._child.send(str(path))

    def _next_event(
        self, log: list[str], on_line: Callable[[str], None] | None, should_stop: Callable[[], bool] | None
    ) -> dict[str, Any]:
        """Read the log up to the next event; the end of the process is an error."""
        while True:
            if should_stop is not None and should_stop():
                self.close()
                raise Cancelled()
            line = self._child.next_line()
            if line is None:
                continue
            if line.printed:
                log.append(line.printed)
                if on_line is not None:
                    on_line(line.printed.rstrip("\r\n"))
            if line.event is not None and line.event["event"] == "worker-ended":
                self.close()
                raise self._crashed(line.event["code"], "".join(log))
            if line.event is not None:
                return line.event

    def _crashed(self, code: int | None, log: str) -> RegistrationError:
        if asked_to_end(code):
            return Cancelled()
        remedy = "Try again, or use another engine; if it repeats, report it with the log."
        if code is None or code == -9:
            remedy = "Close other programs, or crop or downsample the volumes first."
        error = engine_error(self.engine, "", log)
        if "it stopped with" not in error.found:
            return error
        last = [line for line in log.splitlines() if line.strip()][-1:]
        last_line = f"; its last line was: {last[0].strip()}" if last else ""
        return EngineError(f"Engine {self.engine}", f"{end_message(code)}{last_line}", remedy, log=log)


class EngineSessions(ExitStack):
    """Engines that start when they are first asked for and stay until the end of the ``with`` block.

    Parameters
    ----------
    threads : int, optional
        For each engine; by default as many as leave the result reproducible.
    """

    def __init__(self, threads: int | None = None) -> None:
        super().__init__()
        self.threads = threads
        self._running: dict[str, EngineSession] = {}

    def of(self, engine: str) -> EngineSession:
        """The running engine; a new one where the last one died, which takes no more jobs.

        Raises
        ------
        EngineNotInstalledError
            The engine is not installed.
        """
        session = self._running.get(engine)
        if session is None or session.closed:
            session = self._running[engine] = self.enter_context(EngineSession(engine, threads=self.threads))
        return session

    def has_died(self, engine: str) -> bool:
        """Whether the process of an engine ended by itself, and nobody has asked for a new one."""
        session = self._running.get(engine)
        return session is not None and session.closed
