"""The child process: loads one engine and runs the jobs that it is told on standard input.

``python -m MultimodalRegistrationLib.engines.worker ENGINE``. Each line on standard input is the path of a job file;
the answer is one event on standard output (see :mod:`~MultimodalRegistrationLib.engines.supervisor`).
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from .supervisor import join_supervisor, tell_application


def main() -> None:
    """Run jobs until standard input closes."""
    join_supervisor()
    # Where Dask's scheduler is installed, ITK's arrays would load all of it: half a second, for nothing used here.
    sys.modules.setdefault("distributed", None)  # type: ignore[arg-type]
    engine = importlib.import_module(f"MultimodalRegistrationLib.engines.run_{sys.argv[1]}")
    tell_application({"event": "ready", "pid": os.getpid()})
    for line in sys.stdin:
        _run(engine, Path(line.rstrip("\n")))


def _run(engine: Any, job_file: Path) -> None:
    import SimpleITK as sitk

    from .jobs import RESULT_FILE, load_job

    matrix = None
    try:
        job = load_job(job_file)
        began = time.perf_counter()
        found = engine.run(job, job_file.parent)
        seconds = time.perf_counter() - began
        if isinstance(found, sitk.Transform):
            sitk.WriteTransform(found, str(job_file.with_name(RESULT_FILE)))
        else:
            matrix = found.tolist()
    # The boundary of the process: whatever happens inside an engine is told to the application.
    except Exception:
        tell_application({"event": "failed", "job": str(job_file), "message": traceback.format_exc(limit=-3)})
        return
    tell_application({"event": "done", "job": str(job_file), "matrix": matrix, "seconds": seconds})


if __name__ == "__main__":
    main()
