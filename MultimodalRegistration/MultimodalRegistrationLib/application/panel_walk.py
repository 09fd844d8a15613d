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

from ..mrml.views import degrees_off_planes
from .slice_views import shown_slice_nodes, slice_composite_nodes

__all__ = ["PanelWalk"]

_WIDEST_PX = 400
_MOST_OFF_DEG = 0.1
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

    def check_width(self, state: str) -> None:
        """Check that the panel does not force the dock wide."""
        width = self.widget.parent.minimumSizeHint.width()
        self.check(width <= _WIDEST_PX, f"{state}, the panel needs {width} pixels of width")

    def check_planes(self, volume: Any, when: str) -> None:
        """Wait until the slice views show a volume below all others, in its planes; nothing without views."""
        nodes = slice_composite_nodes()
        if not nodes:
            return
        # A panel shows its result once the event loop is free.
        self.wait(
            lambda: {node.GetBackgroundVolumeID() for node in nodes} == {volume.GetID()},
            f"{when}, the views show {volume.GetName()}",
        )
        off = max(degrees_off_planes(node, volume) for node in shown_slice_nodes())
        self.check(off < _MOST_OFF_DEG, f"{when}, the views lie in its planes")

    def compare(self, fixed: Any) -> None:
        """Show the volumes in all ways of the row of buttons, wait for each, and end in colour; nothing without views.

        Parameters
        ----------
        fixed : vtkMRMLScalarVolumeNode
            Shown below the moving volume.
        """
        nodes = slice_composite_nodes()
        if not nodes:
            return
        self.check_planes(fixed, "with a result")
        layers = nodes[0]

        def above() -> str:
            node = slicer.mrmlScene.GetNodeByID(layers.GetForegroundVolumeID() or "")
            return "" if node is None else str(node.GetName())

        self.check(self.ui.colorButton.checked, "the moving volume is shown in colour at first")
        self.ui.fadeSlider.value = 0.7
        self.check(abs(layers.GetForegroundOpacity() - 0.7) < 0.01, "the slider fades")
        self.ui.fadeSlider.value = 0.5
        self.press("edgesButton")
        self.wait(layers.GetLabelVolumeID, "edges are drawn")
        self.press("checkerboardButton")
        self.wait(lambda: "checkerboard" in above(), "the checkerboard is shown")
        self.press("checkerboardButton")
        self.check("checkerboard" not in above(), "and is off again")
        self.check_errors("with the checkerboard off")
        self.press("greyButton")
        self.press("colorButton")
        self.check_planes(fixed, "after all ways to show them")

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

    def check_errors(self, when: str) -> None:
        """Check that the application logged no error so far."""
        for _ in range(5):
            # Messages come to the log by way of the event loop.
            slicer.app.processEvents()
            time.sleep(0.02)
        errors = [one for one in self._logged()[self._seen :] if one.startswith(_BAD_LEVELS) and _NOT_OURS not in one]
        assert not errors, f"{when}, the application logged:\n" + "\n".join(errors)
        self._checked.append(f"{when}, no errors in the log of the application")

    def end(self) -> None:
        """Say what was checked; AssertionError where the application logged an error meanwhile."""
        self.check_errors("at the end")
        logging.info("%s, checked: %s", self._module, "; ".join(self._checked))

    def _logged(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines() if self._log.is_file() else []


def _displayed() -> set[str]:
    """Names of everything in the scene that can be displayed."""
    return {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode")}
