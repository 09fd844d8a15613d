"""The child process: loads one engine and runs the jobs that it is told on standard input.

``python -m MultimodalRegistrationLib.engines.worker ENGINE``. Each line on standard input is the path of a job file;
the answer is one event on standard output (see :mod:`~MultimodalRegistrationLib.engines.supervisor`).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from .supervisor import RECORD_SEPARATOR, WORKER_PID_FILE

__all__ = ["join_supervisor", "main", "tell_application"]


def tell_application(event: dict[str, Any]) -> None:
    """Tell an event; the key ``event`` says which."""
    sys.stdout.flush()
    # One write, so that the line is not torn apart by what the engine's own threads print.
    os.write(1, (RECORD_SEPARATOR + json.dumps(event) + "\n").encode("ascii"))


def _die_with_parent() -> None:
    """Ask Linux to end this process when the supervisor ends without having killed it."""
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1
    parent = os.getppid()
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the supervisor ended while the engine started")


def join_supervisor() -> None:
    """Tie this process to the supervisor that started it in the current folder: it can be killed, and dies with it."""
    _die_with_parent()
    Path(WORKER_PID_FILE).write_text(str(os.getpid()), encoding="ascii")
    # Ctrl-C is the application's business; it ends this process through the supervisor.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """Run jobs until standard input closes."""
    join_supervisor()
    began = time.perf_counter()
    # Where Dask's scheduler is installed, ITK's arrays would load all of it: half a second, for nothing used here.
    sys.modules.setdefault("distributed", None)  # type: ignore[arg-type]
    engine = importlib.import_module(f"MultimodalRegistrationLib.engines.run_{sys.argv[1]}")
    tell_application({"event": "ready", "pid": os.getpid(), "seconds": time.perf_counter() - began})
    for line in sys.stdin:
        _run(engine, Path(line.rstrip("\n")))


def _run(engine: Any, job_file: Path) -> None:
    import SimpleITK as sitk

    from .handover import RESULT_FILE, load_job

    began = time.perf_counter()
    try:
        job = load_job(job_file)
        began = time.perf_counter()
        found = engine.run(job, job_file.parent)
        seconds = time.perf_counter() - began
        is_linear = not isinstance(found, sitk.Transform)
        if not is_linear:
            sitk.WriteTransform(found, str(job_file.with_name(RESULT_FILE)))
    # The boundary of the process: whatever happens inside an engine is told to the application.
    except Exception:
        tell_application({"event": "failed", "job": str(job_file), "message": traceback.format_exc(limit=-3)})
        return
    matrix = found.tolist() if is_linear else None
    tell_application({"event": "done", "job": str(job_file), "fixed_to_moving_lps": matrix, "seconds": seconds})


if __name__ == "__main__":
    main()
