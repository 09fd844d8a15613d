"""How Slicer starts the command of this library in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import slicer

__all__ = ["CHILD_VARIABLES_LEFT_OUT", "child_arguments", "child_program", "child_variables", "temporary_folder"]

# Makes every ITK load a plugin that Slicer built for its own.
CHILD_VARIABLES_LEFT_OUT = ("ITK_AUTOLOAD_PATH",)
_LIBRARY_PARENT = Path(__file__).resolve().parents[2]


def child_program() -> str:
    """Slicer's Python: in Slicer, ``sys.executable`` is PythonSlicer, a launcher that sets up the paths."""
    return sys.executable


def child_arguments(arguments: list[str]) -> list[str]:
    """Arguments of the program that run the command."""
    return ["-m", "MultimodalRegistrationLib", *arguments]


def child_variables() -> dict[str, str]:
    """Environment variables of the process that differ from Slicer's."""
    before = os.environ.get("PYTHONPATH")
    paths = [str(_LIBRARY_PARENT), *([before] if before else [])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}


def temporary_folder() -> str:
    """Where temporary files go."""
    return str(slicer.app.temporaryPath)
