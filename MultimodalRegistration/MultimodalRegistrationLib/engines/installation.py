"""Engines as packages: what one needs, and installing it into a folder of its own, whole or not at all.

``python -m MultimodalRegistrationLib.engines.installation install ...``, with the arguments of pip, is the child
process that installs: pip, which dies with the supervisor.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import runpy
import shutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import Cancelled, EngineNotInstalledError, InputError
from .catalogue import ENGINES, Engine, EngineStatus, engine_folder, engine_status, require_engine
from .supervised_child import SupervisedChild
from .supervisor import join_supervisor, remove_abandoned_folders

_STAGED = ".installing-"
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|SSLError|getaddrinfo|name resolution"
)


@dataclass(frozen=True)
class Need:
    """What has to be installed before an engine can run.

    Parameters
    ----------
    engine : str
        Its name.
    packages : tuple of str
        Requirements, as pip takes them; each brings others along.
    download_mb, installed_mb : int
        Sizes of everything, in megabytes.
    """

    engine: str
    packages: tuple[str, ...]
    download_mb: int
    installed_mb: int


def missing(name: str) -> Need | None:
    """What an engine needs, without importing or downloading anything; None when it can run."""
    if engine_status(name).ready:
        return None
    engine = ENGINES[name]
    return Need(name, (engine.requirement,), engine.size_mb, engine.installed_mb)


def download_command(name: str) -> str:
    """Command that fills a folder with wheels, on a computer with a network and the same operating system."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    requirement = ENGINES[name].requirement
    return f'python -m pip download --only-binary :all: --python-version {python} --dest wheels "{requirement}"'


def install(
    name: str,
    *,
    wheels_folder: str | Path | None = None,
    on_line: Callable[[str], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> EngineStatus:
    """Install an engine with everything it needs into its own folder.

    The packages of this Python stay as they are. An engine that is there already is replaced. Until everything is
    complete the new files lie in a folder beside it, which is removed if anything goes wrong.

    Parameters
    ----------
    name : str
        The engine.
    wheels_folder : str or Path, optional
        Folder of wheels to install from; then no network is used.
    on_line : callable, optional
        Called with each line that pip prints.
    should_stop : callable, optional
        Called some twenty times a second in the calling thread; True stops the installation at once.

    Returns
    -------
    EngineStatus
        Of the installed engine.

    Raises
    ------
    InputError
        The folder of wheels cannot be used, or the engine's folder cannot be written or has too little space.
    EngineNotInstalledError
        pip found no fitting package, or could not reach the package index.
    Cancelled
        ``should_stop`` said so.
    """
    engine = ENGINES[name]
    wheels = None if wheels_folder is None else Path(wheels_folder)
    if wheels is not None and not any(wheels.glob("*.whl")):
        raise InputError(
            wheels,
            "there are no wheels (.whl) in this folder" if wheels.is_dir() else "this folder of wheels does not exist",
            f"Fill one on a computer with a network: {download_command(name)}",
        )
    final = engine_folder(name).absolute()
    staged = _make_staged(final, engine)
    try:
        code, lines = _run_pip(engine, staged, wheels, on_line, should_stop)
        if code != 0 or not list(importlib.metadata.distributions(name=engine.distribution, path=[str(staged)])):
            raise _failure(engine, wheels, lines, code)
        _replace(final, staged)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    importlib.invalidate_caches()
    return require_engine(name)


def remove(name: str) -> None:
    """Remove an engine that was installed into its own folder.

    Raises
    ------
    InputError
        It is not there, or cannot be removed because a program uses it.
    """
    folder = engine_folder(name)
    if not folder.is_dir():
        raise InputError(
            folder,
            f"the engine {name} was not installed here",
            "Engines that came with this Python stay where they are.",
        )
    removed = _staged_folder(folder.parent)
    try:
        folder.rename(removed)
    except OSError as error:
        raise InputError(
            folder, f"it cannot be removed ({error.strerror})", "End the registrations that still run, then try again."
        ) from error
    shutil.rmtree(removed, ignore_errors=True)


def _staged_folder(parent: Path) -> Path:
    return parent / f"{_STAGED}{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _make_staged(final: Path, engine: Engine) -> Path:
    """Make the folder to install into, beside the final one; remove those of processes that died."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned_folders(final.parent, _STAGED)
        staged = _staged_folder(final.parent)
        staged.mkdir()
    except OSError as error:
        raise InputError(
            final.parent,
            f"the engine {engine.name} cannot be installed here: the folder cannot be written to ({error.strerror})",
            "Set MULTIMODAL_REGISTRATION_ENGINES to a folder that can be.",
        ) from error
    # The packages as downloaded and as installed.
    needed_mb = engine.size_mb + engine.installed_mb
    free_mb = shutil.disk_usage(staged).free // 1_000_000
    if free_mb < needed_mb:
        staged.rmdir()
        raise InputError(
            final.parent,
            f"{free_mb} MB are free, and the engine {engine.name} needs {needed_mb} MB",
            "Free disk space, or set MULTIMODAL_REGISTRATION_ENGINES to a folder on another disk.",
        )
    return staged


def _run_pip(
    engine: Engine,
    staged: Path,
    wheels: Path | None,
    on_line: Callable[[str], None] | None,
    should_stop: Callable[[], bool] | None,
) -> tuple[int | None, list[str]]:
    """Exit code of pip, and what it printed."""
    source = [] if wheels is None else ["--no-index", "--find-links", str(wheels.resolve())]
    options = ["--only-binary", ":all:", "--no-input", "--progress-bar", "off", "--retries", "2"]
    child = SupervisedChild(
        "MultimodalRegistrationLib.engines.installation",
        ["install", "--target", str(staged), *options, *source, engine.requirement],
        environment={
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # Settings of the user's own that contradict --target.
            "PIP_USER": "0",
            "PIP_PREFIX": None,
            "PIP_REQUIRE_VIRTUALENV": "0",
        },
    )
    lines: list[str] = []
    try:
        while True:
            if should_stop is not None and should_stop():
                raise Cancelled(f"Installation of {engine.name}")
            line = child.next_line()
            if line is None:
                continue
            if line.printed.strip():
                lines.append(line.printed.rstrip())
                if on_line is not None:
                    on_line(lines[-1])
            if line.event is not None and line.event["event"] == "worker-ended":
                return line.event["code"], lines
    finally:
        child.close()


def _failure(engine: Engine, wheels: Path | None, lines: list[str], code: int | None) -> Exception:
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    python = f"Python {sys.version_info.major}.{sys.version_info.minor} on {sys.platform}"
    if wheels is not None and any("No matching distribution" in line for line in errors):
        return InputError(
            wheels,
            f"the engine {engine.name} cannot be installed for {python} from these wheels ({errors[-1]})",
            f"Fill the folder on a computer with a network: {download_command(engine.name)}",
        )
    remedies = [f"Or give a folder of wheels, filled elsewhere with: {download_command(engine.name)}"]
    if engine.name != "simpleitk" and engine_status("simpleitk").ready:
        remedies.append("Or use the engine simpleitk, which is there already.")
    if wheels is None and any(_NO_NETWORK.search(line) for line in lines):
        found, first = "the package index cannot be reached", "Check the network and the proxy."
    else:
        last = (errors or lines or [f"pip ended with the code {code}"])[-1]
        found, first = f"it cannot be installed for {python} ({last})", "Try again, or see pip's lines in the log."
    return EngineNotInstalledError(f"Engine {engine.name}", found, " ".join([first, *remedies]))


def _replace(final: Path, staged: Path) -> None:
    """Put the new folder in the place of the old one, or leave the old one."""
    previous = staged.with_name(f"{staged.name}-previous")
    try:
        if final.exists():
            final.rename(previous)
        staged.rename(final)
    except OSError as error:
        if previous.exists():
            previous.rename(final)
        raise InputError(
            final,
            f"the folder cannot be replaced ({error.strerror})",
            "End the registrations that still run, then try again.",
        ) from error
    shutil.rmtree(previous, ignore_errors=True)


if __name__ == "__main__":
    join_supervisor()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
