"""The engines' packages in Slicer: where they live, what is missing, installing and removing them.

Each engine gets a folder of its own, so Slicer's numpy and scipy stay as they are; only the engine's worker process
sees it. Nothing is installed at start-up or when a module is imported: a panel asks when an engine is first needed,
with the sizes that :func:`missing` gives. Without a network :func:`install` takes a folder of wheels, and the engine
SimpleITK, which comes with Slicer, needs nothing.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import slicer

from ..engines.installation import Need, download_command, install, missing, remove

__all__ = ["Need", "download_command", "install", "missing", "remove", "slicer_engines_folder", "use_slicer_engines"]


def slicer_engines_folder() -> Path:
    """Folder of the engines for this Slicer, beside its settings.

    Compiled packages fit one version of Python on one system, and updating Slicer may change both, so each has
    a folder of its own.
    """
    settings = Path(slicer.app.slicerUserSettingsFilePath).parent
    version = f"{slicer.app.majorVersion}.{slicer.app.minorVersion}"
    abi = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    return settings / "MultimodalRegistration" / f"engines-{version}-{abi}"


def use_slicer_engines() -> Path:
    """Let this process and its children look for engines in Slicer's folder, unless the user named another one.

    Every module calls it when it is loaded; it makes no folder and reads none.

    Returns
    -------
    Path
        The folder that holds from now on.
    """
    return Path(os.environ.setdefault("MULTIMODAL_REGISTRATION_ENGINES", str(slicer_engines_folder())))
