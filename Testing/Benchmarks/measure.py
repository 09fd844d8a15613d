"""Run a command and measure it: seconds, and the peak memory of it and all its children."""

from __future__ import annotations

import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil

__all__ = ["Run", "machine_line", "run_measured"]


@dataclass(frozen=True)
class Run:
    """What a command took."""

    code: int
    seconds: float
    peak_mb: float
    peak_resident_mb: float
    output: str


def run_measured(command: list[str]) -> Run:
    """Run a command; memory is the largest sum over its process tree, looked at every 20 ms.

    ``peak_mb`` leaves out the pages that processes share, such as libraries; ``peak_resident_mb`` counts them in each.
    """
    began, peak, peak_resident = time.perf_counter(), 0, 0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        root = psutil.Process(process.pid)
        while process.poll() is None:
            own, resident = _memory(root)
            peak, peak_resident = max(peak, own), max(peak_resident, resident)
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        output.seek(0)
        return Run(process.returncode, seconds, peak / 1e6, peak_resident / 1e6, output.read())


def _memory(root: psutil.Process) -> tuple[int, int]:
    """Unique and resident memory of a process and all its children, in bytes."""
    own = resident = 0
    try:
        for process in [root, *root.children(recursive=True)]:
            memory = process.memory_info()
            own += memory.rss - memory.shared
            resident += memory.rss
    except psutil.NoSuchProcess:
        pass  # It ended while we looked.
    return own, resident


def machine_line() -> str:
    """Date and machine, for the head of a table."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{date.today()}, {psutil.cpu_count()} cores ({model}), {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}"
    )
