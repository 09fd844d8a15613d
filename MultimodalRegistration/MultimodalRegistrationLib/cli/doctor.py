"""``doctor``: which engines are ready, where, which versions, and what is missing."""

from __future__ import annotations

import argparse
import platform
import sys
from typing import Any

import numpy as np

import MultimodalRegistrationLib

from ..core.errors import EngineError
from ..core.machine import available_memory_bytes, usable_cores
from ..engines.catalogue import ENGINES, engine_status, engines_folder, install_command
from ..engines.presets.preset import user_preset_folder
from ..engines.session import EngineSession

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("doctor", help="tell which engines are ready and what is missing")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    free = available_memory_bytes()
    print(f"multimodal-registration {MultimodalRegistrationLib.__version__}")
    print(f"Python {platform.python_version()} at {sys.executable}; numpy {np.__version__}; {platform.platform()}")
    print(f"{usable_cores()} cores; {'unknown' if free is None else f'{free / 1e9:.1f} GB'} of memory free")
    print(f"Own engines folder: {engines_folder()}{'' if engines_folder().is_dir() else ' (not there)'}")
    print(f"Own presets folder: {user_preset_folder()}{'' if user_preset_folder().is_dir() else ' (not there)'}")
    print()
    for name in ENGINES:
        status = engine_status(name)
        if not status.ready:
            print(f"{name:10} missing   install with: {install_command(status.engine)}")
            continue
        try:
            with EngineSession(name) as session:
                session.wait_until_ready()
        except EngineError as error:
            print(f"{name:10} broken    {status.version} in {status.location}: {error}")
        else:
            print(f"{name:10} ready     {status.version} in {status.location}")
    return 0
