"""From one module to the next: its settings are filled in, then it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer

__all__ = ["hand_over", "is_there"]


def is_there(module: str) -> bool:
    """Whether a module is loaded."""
    return slicer.app.moduleManager().module(module) is not None


def hand_over(module: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Fill in the parameters of a module and open it; without a main window they are filled in only.

    Parameters
    ----------
    module : str
        Name of a scripted module of this extension that is loaded.
    values : mapping
        Parameters of its parameter node.

    Returns
    -------
    tuple of str
        Parameters that the module does not have.
    """
    parameters = slicer.util.getModuleLogic(module).getParameterNode()
    known = [name for name in values if name in parameters.allParameters]
    for name in known:
        parameters.setValue(name, values[name])
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule(module)
    return tuple(name for name in values if name not in known)
