"""A small process between the application and the engine that leaves nothing behind.

Engines hold Python's global lock while they run, so a thread inside the worker cannot notice that it should stop.
This process can: it owns the temporary folder and the worker, passes commands on, and when its standard input
closes, because the application closed it or died, it kills the worker and removes the folder.

Run as ``python supervisor.py CONFIG`` with CONFIG a JSON text: ``command`` (list) and ``environment`` (what to set;
null to unset). It imports only the standard library and starts in some 20 ms. Lines for the application
start with a record separator and hold one JSON object; everything else is the engine's log.

The worker imports :func:`join_supervisor` and :func:`tell_application` from here.
"""

from __future__ import annotations

import glob
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO, Any

RECORD_SEPARATOR = "\x1e"
FOLDER_PREFIX = "multimodal-registration-"
WORKER_PID_FILE = "worker.pid"


def tell_application(event: dict[str, Any]) -> None:
    """Write one event for the application; the key ``event`` says which."""
    sys.stdout.flush()
    # One write, so that the line is not torn apart by what an engine's own threads print.
    os.write(1, (RECORD_SEPARATOR + json.dumps(event) + "\n").encode("ascii"))


def join_supervisor() -> None:
    """Tie the process that calls this to the supervisor that started it in the current folder.

    From now on it can be killed even where a launcher started it, and on Linux it dies with the supervisor.
    """
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        parent = os.getppid()
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the supervisor ended while the engine started")
    Path(WORKER_PID_FILE).write_text(str(os.getpid()), encoding="ascii")
    # Ctrl-C is the application's business; it ends this process through the supervisor.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """Start the worker, pass commands on, and clean up when the application closes the pipe."""
    config = json.loads(sys.argv[1])
    remove_abandoned_folders(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=f"{own_prefix()}{os.getpid()}-"))
    worker = None
    try:
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), end_on_request)
        worker = start_worker(config, folder)
        tell_application({"event": "started", "folder": str(folder)})
        threading.Thread(target=tell_end, args=(worker,), daemon=True).start()
        pass_on(sys.stdin.buffer, worker)
    finally:
        if worker is not None:
            kill(worker, folder)
        remove(folder)
    # The thread that waits for the worker must not delay the end.
    os._exit(0)


def end_on_request(number: int, _frame: FrameType | None) -> None:
    """Tell why before the worker is killed; as SystemExit, the request runs the clean-up that it would skip."""
    tell_application({"event": "worker-ended", "code": -number})
    sys.exit(1)


def own_prefix() -> str:
    """Start of the names of this machine's folders: others may share the temporary folder and count otherwise."""
    return f"{FOLDER_PREFIX}{platform.node()}-"


def start_worker(config: dict[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    """Start the worker in the temporary folder; what it prints goes straight to the application."""
    environment: dict[str, str | None] = dict(os.environ)
    # Temporary files of the engine itself go where they will be removed.
    environment |= {**config["environment"], "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    return subprocess.Popen(
        config["command"],
        stdin=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def pass_on(commands: IO[bytes], worker: subprocess.Popen[bytes]) -> None:
    """Pass the application's lines on until it closes the pipe or dies."""
    assert worker.stdin is not None
    for line in commands:
        try:
            worker.stdin.write(line)
            worker.stdin.flush()
        except OSError:
            # The worker is gone, which tell_end has told; go on reading, to notice the application's end.
            continue


def tell_end(worker: subprocess.Popen[bytes]) -> None:
    """Tell the application that the worker has ended, and how."""
    tell_application({"event": "worker-ended", "code": worker.wait()})


def kill(worker: subprocess.Popen[bytes], folder: Path) -> None:
    """Kill the worker: the process that was started and, where that is a launcher, the one that it started."""
    worker.kill()
    pid_file = folder / WORKER_PID_FILE
    if pid_file.exists() and (text := pid_file.read_text(encoding="ascii")) and int(text) != worker.pid:
        kill_if_running(int(text))
    worker.wait()


def kill_if_running(pid: int) -> None:
    """Kill a process."""
    try:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    except OSError:
        pass  # It ended by itself, or with its launcher; Windows has no error of its own for that.


def remove(folder: Path) -> None:
    """Remove the folder; on Windows its files stay locked for a moment after their user was killed."""
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


def remove_abandoned_folders(parent: Path, prefix: str | None = None) -> None:
    """Remove folders ``PREFIX<pid>-*`` whose process was itself killed, so that they do not pile up."""
    prefix = own_prefix() if prefix is None else prefix
    for folder in parent.glob(f"{glob.escape(prefix)}*-*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdigit() and not is_running(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def is_running(pid: int) -> bool:
    """Tell whether a process exists."""
    if sys.platform == "win32":
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
