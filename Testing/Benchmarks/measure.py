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
    output: str


def run_measured(command: list[str]) -> Run:
    """Run a command; memory is the largest sum of unique memory over its process tree, looked at every 20 ms."""
    began, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        root = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _memory(root))
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        output.seek(0)
        return Run(process.returncode, seconds, peak / 1e6, output.read())


def _memory(root: psutil.Process) -> int:
    total = 0
    try:
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_info().rss - process.memory_info().shared
    except psutil.NoSuchProcess:
        return total  # It ended while we looked.
    return total


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
