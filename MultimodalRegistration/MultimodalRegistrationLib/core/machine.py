"""What the machine offers: cores, free memory, and the folder of the user's data."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def usable_cores() -> int:
    """Cores that this process may use: on a cluster, or where a job was pinned, fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory_bytes() -> int | None:
    """Memory that can be used without swapping, in bytes, or None where the system does not tell."""
    if sys.platform == "win32":
        return _windows_available()
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return _within_container_limit(int(line.split()[1]) * 1024)
    if sys.platform == "darwin":
        # macOS does not report free memory to sysconf; half of the installed memory is a cautious stand-in.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _within_container_limit(available: int) -> int:
    """Containers and batch systems limit memory below what the machine has (control groups, version 2)."""
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (text := limit.read_text(encoding="ascii").strip()) != "max":
        return min(available, int(text) - int(used.read_text(encoding="ascii")))
    return available


def _windows_available() -> int:
    class MemoryStatus(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "available", "f1", "f2", "f3", "f4", "f5")),
        )

    status = MemoryStatus()
    status.length = ctypes.sizeof(status)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status.available)


def user_folder() -> Path:
    """Folder of the user's data: ``MULTIMODAL_REGISTRATION_HOME`` if set, else one in the home folder.

    It is outside the extension, so updating or removing the extension leaves it alone.
    """
    override = os.environ.get("MULTIMODAL_REGISTRATION_HOME")
    return Path(override) if override else Path.home() / ".multimodal-registration"
