"""A module's panel used as a user would, by the module's own test: buttons, waiting, scenes, and Slicer's log."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import slicer.util

__all__ = ["PanelWalk"]

_BAD_LEVELS = ("[ERROR]", "[CRITICAL]", "[FATAL]")
# MRML says so of each slice view of a scene that it loads if the view was turned to a volume (vtkMRMLSliceNode.cxx).
_NOT_OURS = "invalid orientation preset name: Reformat"


class PanelWalk:
    """Opens a module and walks through its panel; notes what was checked, and what the application logged as an error.

    Parameters
    ----------
    module : str
        Name of the module. The scene is empty.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._log = Path(slicer.app.currentLogFile())
        self._seen = len(self._logged())
        self._checked: list[str] = []
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule(module)
        self.widget = slicer.util.getModuleWidget(module)
        if not self.widget.parent.isEntered:
            self.widget.parent.enter()
        self.ui = self.widget.ui
        # The application's own: cameras, slice models.
        self._own = _displayed()

    @property
    def parameters(self) -> Any:
        """The parameter node of the module, which another one replaces when the scene is closed."""
        return self.widget._parameterNode

    def press(self, button: str) -> None:
        """Press a button that has to be enabled."""
        widget = getattr(self.ui, button)
        slicer.app.processEvents()
        assert widget.enabled, f"{button} is off: {widget.toolTip}"
        widget.click()

    def wait(self, condition: Callable[[], Any], what: str, *, seconds: float = 40) -> None:
        """Let the application run until a condition holds, and note it as checked."""
        latest = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < latest, f"not within {seconds:.0f} s: {what}"
            slicer.app.processEvents()
            time.sleep(0.01)
        self.check(True, what)

    def check(self, holds: Any, what: str) -> None:
        """Note what was checked; AssertionError where it does not hold."""
        assert holds, f"not so: {what}"
        self._checked.append(what)

    def save_and_load(self) -> None:
        """Save the scene as a bundle, close it, and load it again."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "self-test.mrb")
            self.check(slicer.util.saveScene(path), "the scene is saved")
            self.close_scene()
            slicer.util.loadScene(path)
        slicer.app.processEvents()

    def close_scene(self) -> None:
        """Close the scene; nothing that this extension shows may stay."""
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()
        left = ", ".join(sorted(_displayed() - self._own))
        self.check(not left, f"nothing is left of the closed scene{left and ': '}{left}")

    def end(self) -> None:
        """Say what was checked; AssertionError where the application logged an error meanwhile."""
        for _ in range(5):
            # Messages come to the log by way of the event loop.
            slicer.app.processEvents()
            time.sleep(0.02)
        errors = [one for one in self._logged()[self._seen :] if one.startswith(_BAD_LEVELS) and _NOT_OURS not in one]
        assert not errors, "the application logged:\n" + "\n".join(errors)
        self._checked.append("no errors in the log of the application")
        logging.info("%s, checked: %s", self._module, "; ".join(self._checked))

    def _logged(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines() if self._log.is_file() else []


def _displayed() -> set[str]:
    """Names of everything in the scene that can be displayed."""
    return {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode")}
