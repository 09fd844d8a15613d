"""The cases of a study on this machine, several at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from ...core.errors import Cancelled
from ..cases import Case
from .case_process import STUDY_STAYS, CaseProcess
from .folder import StudyFolder
from .limits import Limits
from .run_case import run_case
from .telling import Telling

__all__ = ["run_local"]

_POLL_SECONDS = 0.2


def run_local(
    folder: StudyFolder,
    cases: Sequence[Case],
    limits: Limits,
    *,
    workers: int,
    memory_limit_bytes: int,
    telling: Telling,
    cancel: threading.Event,
) -> None:
    """Run cases in processes of this machine, whose engines stay warm from case to case.

    Parameters
    ----------
    folder : StudyFolder
        Gets the results.
    cases : sequence of Case
        What to do.
    limits : Limits
        For each case.
    workers : int
        How many run at a time.
    memory_limit_bytes : int
        For each of them.
    telling : Telling
        Told how it goes.
    cancel : threading.Event
        Set it to stop at once.

    Raises
    ------
    RegistrationError
        What concerns all cases: the disk is full, or the user asked to stop.
    """
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    stop = threading.Event()

    def work() -> None:
        process = CaseProcess(threads=limits.threads, timeout_s=limits.timeout_s, memory_limit_bytes=memory_limit_bytes)
        with process:
            while not stop.is_set():
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    return
                folder.note("started", case)
                finished = run_case(
                    process,
                    case,
                    folder.new_staging,
                    retries=limits.retries,
                    cancel=stop,
                    on_fraction=telling.fraction_of(case),
                    on_retry=telling.retry_of(case),
                )
                folder.finish(finished)
                telling.ended(finished.outcome)

    with ThreadPoolExecutor(workers, thread_name_prefix="case") as pool:
        try:
            running: set[Future[None]] = {pool.submit(work) for _ in range(workers)}
            while running:
                if cancel.is_set():
                    stop.set()
                ended, running = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                for one in ended:
                    one.result()
            if cancel.is_set():
                raise Cancelled("The study", STUDY_STAYS)
        finally:
            stop.set()
