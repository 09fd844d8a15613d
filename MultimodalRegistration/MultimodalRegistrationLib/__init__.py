"""Multimodal image registration for 3D Slicer, usable without the application.

Packages, in the order of their layers; each imports only from those before it (``Testing/Python/test_layers.py``):

1. ``core``: grids, frames, points, volumes and errors: what every other package speaks of.
2. ``io``: reading and writing of files, whole or not at all.
3. ``transforms``: inverting, composing, applying, comparing and checking transforms.
4. ``landmarks``: registration from pairs of points or from surfaces, and the errors to expect of it.
5. ``preprocess``: what is noticed about volumes before a registration, and what is done to copies of them.
6. ``engines``: elastix, ANTs and SimpleITK in child processes, and the presets that hold their settings.
7. ``register``: one registration: check, prepare, search, refine, judge.
8. ``polyrigid``: structures that move separately: a rigid transform of each, and one transform of all.
9. ``assess``: how good transforms are, in numbers, pictures and a report.
10. ``study``: many registrations: the study file, the runs, the summary.
11. ``cli``: the command `multimodal-registration`: one file for each subcommand.
12. ``mrml``: MRML nodes in an explicit scene: nodes into files and requests, results into nodes.
13. ``application``: the Slicer application without widgets: views, settings, engine packages, sample data.
14. ``panels``: the widgets of the modules.

Up to ``cli`` nothing needs Slicer. Coordinates are patient coordinates in millimetres. Files and engines use LPS, MRML
nodes use RAS; :mod:`MultimodalRegistrationLib.core.frames` is the only place that converts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import NextStage, register
    from .core.errors import RegistrationError
    from .core.volume import Volume
    from .io.volumes import read_volume

__version__ = "0.1.0"
__all__ = ["NextStage", "RegistrationError", "Volume", "read_volume", "register"]

_MODULES = {
    "NextStage": "api",
    "RegistrationError": "core.errors",
    "Volume": "core.volume",
    "read_volume": "io.volumes",
    "register": "api",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: the child processes of engines need none of them."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
