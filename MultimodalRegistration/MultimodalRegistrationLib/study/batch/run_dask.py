"""The cases of a study on the workers of a Dask cluster, which schedules them and starts again whose worker is lost."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import Cancelled, EngineError, InputError
from ..cases import Case
from .case_process import STUDY_STAYS
from .case_store import CaseStore
from .dask_connection import LostError, answer_of, briefly, client_again, dask_of, first_client, losses
from .dask_task import case_order, check_order, check_worker, end_run, run_on_worker
from .folder import StudyFolder
from .limits import Limits
from .outcome import CaseError, Outcome, outcome_of
from .run_case import unfinished
from .telling import Telling

__all__ = ["run_dask"]

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 1.0
# Cases submitted for each that can run at a time: none waits for work, and Dask holds a few only.
_WINDOW = 2
# How long a file server may hide from this computer what another one wrote.
_SEEN_SECONDS = 120.0


def run_dask(
    folder: StudyFolder,
    cases: Sequence[Case],
    limits: Limits,
    *,
    scheduler: str,
    telling: Telling,
    cancel: threading.Event,
) -> None:
    """Run cases on a cluster that is there already; all its computers share the folder and have this library.

    Parameters
    ----------
    folder : StudyFolder
        Gets the results.
    cases : sequence of Case
        What to do.
    limits : Limits
        For each case; its memory is a share of what its Dask worker may take.
    scheduler : str
        ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
    telling : Telling
        Told how it goes.
    cancel : threading.Event
        Set it to stop at once.

    Raises
    ------
    InputError
        Dask is not installed, no scheduler is there, or a worker cannot run cases.
    RegistrationError
        What concerns all cases: the disk is full, the scheduler went away for good, or the user asked to stop.
    """
    distributed = dask_of(scheduler)
    if not cases:
        return
    mark = folder.running / f"run-{uuid.uuid4().hex[:8]}"
    mark.write_text(secrets.token_hex(16), encoding="ascii")
    try:
        study = _Study(distributed, folder, cases, limits, scheduler, telling, mark)
        asyncio.run(_until_cancelled(study.run(), cancel))
    finally:
        # Ends what is under way on workers that cannot be reached any more.
        mark.unlink(missing_ok=True)


async def _until_cancelled(work: Any, cancel: threading.Event) -> None:
    task = asyncio.create_task(work)
    while not task.done():
        await asyncio.wait({task}, timeout=_POLL_SECONDS)
        if cancel.is_set() and not task.done():
            task.cancel()
            await asyncio.wait({task})
    if task.cancelled():
        raise Cancelled("The study", STUDY_STAYS)
    task.result()


class _Study:
    """One run on a cluster, over any number of connections to its scheduler."""

    def __init__(
        self,
        distributed: Any,
        folder: StudyFolder,
        cases: Sequence[Case],
        limits: Limits,
        scheduler: str,
        telling: Telling,
        mark: Path,
    ) -> None:
        self._distributed = distributed
        self._folder, self._limits, self._scheduler, self._telling = folder, limits, scheduler, telling
        self._mark = mark
        self._check = check_order(mark, cases[0])
        self._left = {case.name: case for case in cases}
        self._cases = tuple(cases)
        self._lost: Counter[str] = Counter()

    async def run(self) -> None:
        """Until all cases have ended."""
        client = await first_client(self._distributed, self._scheduler)
        try:
            while True:
                try:
                    await self._work(client)
                    break
                except LostError as error:
                    await briefly(client.close())
                    client = await client_again(self._distributed, self._scheduler, error, self._telling.line)
        finally:
            # Ends what is under way, also on workers that cannot be reached.
            self._mark.unlink(missing_ok=True)
            if client.status == "running":
                await briefly(client.run(end_run, str(self._mark), on_error="ignore"))
            await briefly(client.close())
        await self._seen()

    async def _work(self, client: Any) -> None:
        """Until all cases have ended, or the scheduler is lost."""
        waiting = deque(self._left.values())
        running: dict[asyncio.Task[bool], Case] = {}
        self._good: set[str] = set()
        threads = None
        try:
            while waiting or running:
                before, threads = threads, await self._threads(client)
                if threads != before:
                    self._tell_size(threads)
                while waiting and len(running) < _WINDOW * threads:
                    case = waiting.popleft()
                    running[asyncio.create_task(self._case(client, case))] = case
                if not running:
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
                done, _ = await asyncio.wait(running, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    case = running.pop(one)
                    if not one.result():
                        waiting.append(case)
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _threads(self, client: Any) -> int:
        """How many cases can run at a time; workers that were not seen before are checked."""
        threads: dict[str, int] = await answer_of(client, client.nthreads)
        self._good &= threads.keys()
        await self._check_workers(client, threads.keys() - self._good)
        return sum(threads.values())

    async def _check_workers(self, client: Any, workers: Collection[str]) -> None:
        await asyncio.gather(*(self._check_worker(client, worker) for worker in sorted(workers)))

    async def _check_worker(self, client: Any, worker: str) -> None:
        try:
            ask = partial(client.run, check_worker, self._check, workers=[worker], on_error="return")
            found = (await answer_of(client, ask))[worker]
        except (LostError, asyncio.CancelledError):
            raise
        # What a worker raises that cannot even load the function has the type Exception.
        except Exception as error:
            found = error
        if isinstance(found, OSError):
            return  # It went away just now; if it comes back, it is checked again.
        if isinstance(found, Exception):
            found = [f"it cannot run this library ({found})", "Install it on all computers of the cluster."]
        if found is not None:
            raise InputError(f"The Dask worker {worker}", *found)
        self._good.add(worker)

    def _tell_size(self, threads: int) -> None:
        if threads:
            self._telling.line(f"The cluster runs {threads} cases at a time, on {len(self._good)} workers.")
        else:
            self._telling.line(
                f"The cluster at {self._scheduler} has no workers; the study goes on when there are some."
            )

    async def _case(self, client: Any, case: Case) -> bool:
        """Whether a case has ended; if not, it must be submitted again."""
        if self._folder.ended(case):
            self._end(case, self._folder.outcome(case))
            return True
        order = case_order(self._folder.path, self._mark, case, self._limits)
        key = f"{case.name}-{uuid.uuid4().hex}"
        if client.status != "running":
            raise LostError(f"the connection is {client.status}")
        self._folder.note("submitted", case)
        future = client.submit(run_on_worker, order, key=key, pure=False)
        try:
            with losses():
                error = await future.exception()
                answer = None if error else await future
        finally:
            future.release()
        if isinstance(error, self._distributed.scheduler.KilledWorker):
            return self._again(case, f"the workers that ran it were lost ({error.last_worker.address} the last)")
        if answer is None:
            # Where a worker is at fault, all cases would fail there.
            await self._check_workers(client, list(self._good))
            return self._again(case, f"it failed on its worker ({error!r})")
        if "stopped" in answer:
            await self._check_workers(client, list(self._good))
            if not answer["stopped"]:
                return self._again(case, f"its process was asked to end (worker {answer['worker']})")
            return False
        if "error" in answer:
            words = answer["error"]
            kind = InputError if words.pop("exit_code") == InputError.exit_code else EngineError
            raise kind(f"{words['subject']} (worker {answer['worker']})", words["found"], words["remedy"])
        for words in answer["retried"]:
            self._telling.retry_of(case)(CaseError(**words))
        self._end(case, outcome_of(answer["outcome"]), worker=answer["worker"])
        return True

    def _again(self, case: Case, found: str) -> bool:
        self._lost[case.name] += 1
        tried = self._lost[case.name]
        error = CaseError("The case", found, "Look at the logs of the workers, then run it again (--only failed).")
        if tried <= self._limits.retries:
            self._telling.retry_of(case)(error)
            return False
        finished = unfinished(case, self._folder.new_staging, error, attempts=tried)
        first = CaseStore.finish(self._folder, finished)
        self._end(case, finished.outcome if first else self._folder.outcome(case))
        return True

    def _end(self, case: Case, outcome: Outcome, **more: str) -> None:
        # The only one to write the journal: computers that append to one file would overwrite each other's lines.
        del self._left[case.name]
        self._folder.note("ended", case, word=outcome.word, **more)
        self._telling.ended(outcome)

    async def _seen(self) -> None:
        """Until this computer sees what the others wrote, which a file server may keep back for a while."""
        ends = time.monotonic() + _SEEN_SECONDS
        while True:
            os.listdir(self._folder.cases)
            hidden = next((case for case in self._cases if not self._folder.ended(case)), None)
            if hidden is None:
                return
            if time.monotonic() > ends:
                raise EngineError(
                    self._folder.cases / hidden.name,
                    "a worker wrote it, but it cannot be seen here",
                    "Look whether the computers share the folder; --resume runs what is missing.",
                )
            await asyncio.sleep(_LOOK_SECONDS)
