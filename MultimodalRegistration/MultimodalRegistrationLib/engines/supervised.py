"""Starting and ending a child process under the supervisor: it dies with the application and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from MultimodalRegistrationLib.engines import supervisor

__all__ = ["end_supervised", "start_supervised"]

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def start_supervised(
    module: str,
    arguments: Sequence[str] = (),
    *,
    first_on_path: Path | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> subprocess.Popen[str]:
    """Start a module of this library in a child process.

    Parameters
    ----------
    module : str
        What to run (``python -m``).
    arguments : sequence of str
        Its arguments.
    first_on_path : Path, optional
        Folder whose packages come before all others.
    environment : mapping, optional
        Environment variables to set; None unsets one.

    Returns
    -------
    Popen
        The supervisor. Its output holds the child's lines and the supervisor's events.
    """
    paths = [str(_PACKAGE_PARENT)]
    if first_on_path is not None and first_on_path.is_dir():
        paths.insert(0, str(first_on_path))
    if inherited := os.environ.get("PYTHONPATH"):
        paths += [str(Path(path).absolute()) for path in inherited.split(os.pathsep) if path]
    config = {
        "command": [sys.executable, "-u", "-m", module, *arguments],
        "environment": {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUTF8": "1",
            # Set by Slicer's launcher; it would make the engine's own ITK load Slicer's plugins and crash.
            "ITK_AUTOLOAD_PATH": None,
            **(environment or {}),
        },
    }
    return subprocess.Popen(
        [sys.executable, "-S", "-u", str(Path(supervisor.__file__)), json.dumps(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Not the folder of the caller, which on Windows could then be neither renamed nor removed.
        cwd=tempfile.gettempdir(),
        text=True,
        encoding="utf-8",
        errors="replace",
        # Its own session: Ctrl-C in the terminal reaches the application alone, which then ends it in order.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def end_supervised(process: subprocess.Popen[str]) -> None:
    """Kill the child if it still runs, and wait until its temporary folder is gone."""
    if process.stdin is not None and not process.stdin.closed:
        try:
            process.stdin.close()
        except OSError:
            pass  # The supervisor is gone already.
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
