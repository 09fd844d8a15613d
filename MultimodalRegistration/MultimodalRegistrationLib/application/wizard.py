"""How one module hands its result to the next."""

from __future__ import annotations

import importlib
from typing import Any

import slicer

__all__ = ["choose_in_module", "is_installed", "parameters_of_module"]


def is_installed(module: str) -> bool:
    """Whether Slicer has loaded a module."""
    return hasattr(slicer.modules, module.lower())


def parameters_of_module(module: str) -> Any:
    """The parameter node of a scripted module."""
    logic = getattr(importlib.import_module(module), f"{module}Logic")
    return logic().getParameterNode()


def choose_in_module(module: str, **parameters: Any) -> None:
    """Set parameters of another scripted module and, where there is a main window, show it.

    Parameters
    ----------
    module : str
        Its name; it is installed.
    **parameters
        Values by the names that its parameter node has.
    """
    node = parameters_of_module(module)
    for name, value in parameters.items():
        setattr(node, name, value)
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule(module)
