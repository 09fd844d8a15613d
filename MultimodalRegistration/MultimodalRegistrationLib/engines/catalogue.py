"""Which engines there are, and which of them are installed."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.cores import usable_cores
from ..core.errors import EngineNotInstalledError
from ..io.user_folder import user_folder

__all__ = [
    "ENGINES",
    "PREFERENCE",
    "Engine",
    "EngineStatus",
    "choose_engine",
    "engine_folder",
    "engine_status",
    "engines_folder",
    "install_command",
    "require_engine",
]


@dataclass(frozen=True)
class Engine:
    """A registration engine.

    Parameters
    ----------
    name : str
        As on the command line.
    distribution : str
        The Python package that provides it.
    requirement : str
        What to install.
    size_mb : int
        Download with everything it needs, on Linux.
    installed_mb : int
        The same on disk.
    reproducible_in_parallel : bool
        Whether runs with the same number of threads, several, end with the same digits. The metrics of ITK itself add
        up their threads' shares in the order in which they end.
    """

    name: str
    distribution: str
    requirement: str
    size_mb: int
    installed_mb: int
    reproducible_in_parallel: bool

    @property
    def download_and_installed_mb(self) -> int:
        """Disk space that installing takes for a while: the packages as downloaded and as installed."""
        return self.size_mb + self.installed_mb

    @property
    def default_threads(self) -> int:
        """Threads where the user does not say: all usable cores if the result does not depend on it, else one."""
        return usable_cores() if self.reproducible_in_parallel else 1


@dataclass(frozen=True)
class EngineStatus:
    """Whether an engine is installed.

    Parameters
    ----------
    engine : Engine
        Which one.
    version : str or None
        Version of its package; None when it is not installed.
    location : str or None
        Folder that holds the package.
    """

    engine: Engine
    version: str | None
    location: str | None

    @property
    def ready(self) -> bool:
        """Whether it can run."""
        return self.version is not None


ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("elastix", "itk-elastix", "itk-elastix>=0.23", 300, 1750, True),
        Engine("ants", "antspyx", "antspyx>=0.6", 130, 650, False),
        Engine("simpleitk", "SimpleITK", "SimpleITK>=2.3", 50, 280, False),
    )
}
PREFERENCE = ("elastix", "simpleitk", "ants")


def engines_folder() -> Path:
    """Folder that holds a folder for each engine that is installed apart from this Python's own packages."""
    override = os.environ.get("MULTIMODAL_REGISTRATION_ENGINES")
    return Path(override) if override else user_folder() / "engines"


def engine_folder(name: str) -> Path:
    """Folder of one engine and everything it needs.

    Installing there (``pip install --target``) leaves the numpy and scipy of Slicer as they are. Only the
    engine's worker process looks into it.
    """
    return engines_folder() / name


def engine_status(name: str) -> EngineStatus:
    """Look for an engine in its own folder, then among this Python's packages, without importing it."""
    engine = ENGINES[name]
    found = importlib.metadata.distributions(name=engine.distribution, path=[str(engine_folder(name)), *sys.path])
    for distribution in found:
        return EngineStatus(engine, distribution.version, str(distribution.locate_file("")))
    if name == "simpleitk":
        # Slicer up to 5.10 brings a SimpleITK of its own build, without package metadata.
        import SimpleITK as sitk

        return EngineStatus(engine, sitk.Version.VersionString(), str(Path(sitk.__file__).parent.parent))
    return EngineStatus(engine, None, None)


def install_command(engine: Engine) -> str:
    """The one command that installs an engine, into a folder of its own: this Python's packages stay as they are."""
    return f'"{sys.executable}" -m pip install --target "{engine_folder(engine.name)}" "{engine.requirement}"'


def require_engine(name: str) -> EngineStatus:
    """Return the status of an installed engine.

    Raises
    ------
    EngineNotInstalledError
        With the command that installs it.
    """
    status = engine_status(name)
    if not status.ready:
        raise EngineNotInstalledError(
            f"Engine {name}",
            f"not installed (download about {status.engine.size_mb} MB)",
            f"Install it with: {install_command(status.engine)}",
        )
    return status


def choose_engine(supported: list[str]) -> str:
    """The installed engine to use when the user named none.

    Parameters
    ----------
    supported : list of str
        Engines that the preset has settings for.

    Returns
    -------
    str
        elastix where it is installed, otherwise SimpleITK, otherwise ANTs.

    Raises
    ------
    EngineNotInstalledError
        None of them is installed.
    """
    wanted = [name for name in PREFERENCE if name in supported]
    for name in wanted:
        if engine_status(name).ready:
            return name
    return require_engine(wanted[0]).engine.name
