"""Each structure registered on its own, several at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from ..core.errors import FieldName, InputError
from ..core.linear import is_rigid
from ..core.machine import usable_cores
from ..core.progress import Progress
from ..core.volume import Volume
from ..engines.catalogue import ENGINES
from ..engines.presets.preset import Preset
from ..engines.session import EngineSessions
from ..io.downsample import default_memory_limit_bytes
from ..register.memory_need import needed_memory_bytes
from ..register.plan import select_engine
from ..register.request import DEFAULT_SEED
from ..register.run import Run
from .near_start import bounds_of_start, start_error_mm
from .register_one import RegisteredStructure, register_one
from .structure import DEFAULT_MARGIN_MM, Structure, StructureRegion, structure_region

_RIGID_TOLERANCE = 1e-4
# Between looks at whether the user asked to stop; a wait without end would not hear it on every system.
_POLL_SECONDS = 0.2


def worker_count(asked: int | None, regions: Sequence[StructureRegion], engine: str) -> int:
    """How many structures to register at the same time.

    Parameters
    ----------
    asked : int or None
        By the user.
    regions : sequence of StructureRegion
        What is to be done.
    engine : str
        Name.

    Returns
    -------
    int
        As many as asked for; by default one for each core, if half of the free memory is enough for all. Never more
        than there are structures.

    Raises
    ------
    InputError
        Fewer than one was asked for.
    """
    if asked is not None:
        if asked < 1:
            raise InputError(FieldName("workers"), f"{asked} was given", "Give a whole number from 1.")
        return min(asked, len(regions))
    largest = max(
        needed_memory_bytes(engine, one.fixed.grid, one.moving.grid, given_masks=["fixed"]) for one in regions
    )
    fitting = default_memory_limit_bytes() // largest
    return int(max(1, min(len(regions), usable_cores(), fitting)))


def register_structures(
    fixed: Volume,
    moving: Volume,
    structures: Sequence[Structure],
    *,
    preset: Preset,
    fixed_to_moving_lps: ArrayLike,
    neighbours: Sequence[Structure] = (),
    engine: str | None = None,
    margin_mm: float = DEFAULT_MARGIN_MM,
    max_translation_mm: float | None = None,
    max_rotation_deg: float | None = None,
    landmark_error_mm: float | None = None,
    workers: int | None = None,
    seed: int = DEFAULT_SEED,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_warning: Callable[[str], None] = lambda message: None,
    cancel: threading.Event | None = None,
) -> tuple[RegisteredStructure, ...]:
    """Register structures separately.

    Each is searched for near the start that all have in common, in its own region, without its neighbours; the engines
    run in processes of their own.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates; not changed.
    structures : sequence of Structure
        In the frame of the fixed volume; one or more.
    preset : Preset
        Settings; a rigid one.
    fixed_to_moving_lps : array, shape (4, 4)
        The start that all have in common, rigid, mm. It must put each structure into the moving volume: see
        :func:`~MultimodalRegistrationLib.polyrigid.structure.in_view`.
    neighbours : sequence of Structure, optional
        More of them that move differently and are to be masked.
    engine : str, optional
        By default the best one installed.
    margin_mm : float, optional
        How much around a structure is compared.
    max_translation_mm, max_rotation_deg : float, optional
        How far a structure may be from the common start; by default what bones move on their own, and more the farther
        that start is off.
    landmark_error_mm : float, optional
        To expect at landmarks that the common start was fitted to.
    workers : int, optional
        How many at a time; by default as many as cores and memory allow.
    seed : int, optional
        Of every random draw. The result does not depend on the number of workers.
    on_progress, on_warning : callable, optional
        Called as the run goes on, from the threads of the workers, one at a time.
    cancel : threading.Event, optional
        Set it to stop.

    Returns
    -------
    tuple of RegisteredStructure
        In the order of the structures.

    Raises
    ------
    InputError
        The preset or the start is not rigid; or from the regions and the registrations, with the name of the structure.
    EngineError, EngineNotInstalledError, Cancelled
        From the engines.
    """
    if not structures:
        raise InputError("The structures", "there is none", "Give at least one.")
    name = select_engine(preset, engine)
    if not preset.is_rigid(name):
        raise InputError(preset.name, "this preset is not rigid", "Use a rigid preset: bones keep their size.")
    matrix = np.asarray(fixed_to_moving_lps, dtype=np.float64)
    if not is_rigid(matrix, _RIGID_TOLERANCE):
        raise InputError("The common start", "it is not rigid", "Use a rigid one: bones keep their size.")
    others = list(dict.fromkeys((*structures, *neighbours)))
    bounds = bounds_of_start(None, max_translation_mm, max_rotation_deg)
    if max_translation_mm is None or max_rotation_deg is None:
        on_progress(Progress("measuring how far the common start is off", 0.0))
        percentiles = preset.winsorize_percentiles
        off_mm = start_error_mm(fixed, moving, matrix, winsorize_percentiles=percentiles, seed=seed)
        known_mm = [mm for mm in (off_mm, landmark_error_mm) if mm is not None]
        bounds = bounds_of_start(max(known_mm, default=None), max_translation_mm, max_rotation_deg)
    regions = [
        structure_region(
            fixed,
            moving,
            one,
            others,
            fixed_to_moving_lps=matrix,
            margin_mm=margin_mm,
            max_translation_mm=bounds.translation_mm,
            max_rotation_deg=bounds.rotation_deg,
        )
        for one in structures
    ]
    count = worker_count(workers, regions, name)
    threads = max(1, usable_cores() // count)
    stop = _Stop(cancel)
    shares = np.zeros(len(structures))
    lock = threading.Lock()

    def tell(number: int, progress: Progress) -> None:
        with lock:
            shares[number] = progress.fraction
            on_progress(Progress(f"{structures[number].name}: {progress.stage}", float(shares.mean())))

    def warn(number: int, message: str) -> None:
        with lock:
            on_warning(f"{structures[number].name}: {message}")

    with ExitStack() as stack:
        free: queue.SimpleQueue[EngineSessions] = queue.SimpleQueue()
        for _ in range(count):
            engines = stack.enter_context(EngineSessions(min(threads, ENGINES[name].default_threads)))
            # It loads while the structures are prepared.
            engines.of(name)
            free.put(engines)

        def work(number: int) -> RegisteredStructure:
            engines = free.get()
            run = Run(
                engines,
                threads,
                on_progress=partial(tell, number),
                on_warning=partial(warn, number),
                cancel=stop,
            )
            try:
                return register_one(
                    regions[number],
                    preset=preset,
                    engine=name,
                    fixed_to_moving_lps=matrix,
                    bounds=bounds,
                    seed=seed,
                    run=run,
                )
            finally:
                free.put(engines)

        pool = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="structure"))
        return tuple(_all_or_none([pool.submit(work, number) for number in range(len(regions))], stop))


def _all_or_none(futures: Sequence[Future[RegisteredStructure]], stop: threading.Event) -> list[RegisteredStructure]:
    """Wait for all; when one fails, stop the others and raise its error."""
    pending = set(futures)
    try:
        while pending:
            done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
    except BaseException:
        stop.set()
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]


class _Stop(threading.Event):
    """Set by the user's event, or by a failure of another worker."""

    def __init__(self, asked: threading.Event | None) -> None:
        super().__init__()
        self._asked = asked

    def is_set(self) -> bool:
        return super().is_set() or (self._asked is not None and self._asked.is_set())
