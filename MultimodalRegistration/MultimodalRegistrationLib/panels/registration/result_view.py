"""The verdict on a result, and what can be done with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import slicer

from ...mrml.moved_nodes import SceneChange, is_moved_by, nodes_moved_by
from ...mrml.scene_nodes import add_display_node
from ...mrml.transforms import SETTINGS_ATTRIBUTE, volumes_of_result
from ..common.buttons import offer
from ..common.comparison import Comparison
from ..common.comparison_row import ComparisonRow
from . import texts

__all__ = ["ResultView"]

_QA_MODULE = "MultimodalRegistrationQA"


class ResultView:
    """Shows one transform node with its evidence.

    Parameters
    ----------
    ui : namespace
        With the widgets of the result.
    on_undone : callable
        Called after the scene was put back.
    """

    def __init__(self, ui: Any, *, on_undone: Callable[[], None]) -> None:
        self._ui = ui
        self._on_undone = on_undone
        self.comparison = Comparison()
        """What the views show of two volumes; others may use it while no result is shown."""
        self._row = ComparisonRow(ui, self.comparison, self.look)
        self._entered = False
        self._node: Any = None
        self._running = self._aside = False
        self._change: SceneChange | None = None
        ui.undoButton.connect("clicked(bool)", self._undo)
        ui.hardenButton.connect("clicked(bool)", self._harden)
        ui.invertButton.connect("clicked(bool)", self._invert)
        ui.qaButton.connect("clicked(bool)", self._open_qa)
        self.show(None)

    def show(self, node: Any, change: SceneChange | None = None) -> None:
        """Show a result, or nothing.

        Parameters
        ----------
        node : vtkMRMLTransformNode or None
            With its settings; one without any is not shown.
        change : SceneChange, optional
            What can be undone; without it, the result came with the scene.
        """
        if node is not None and node is self._node and change in (None, self._change):
            self.update()
            return
        if node is not self._node:
            self.comparison.hide()
        settings = None if node is None else node.GetAttribute(SETTINGS_ATTRIBUTE)
        self._node = None if settings is None else node
        self._change = change
        self._show_section()
        if settings is None:
            return
        if self._change is None:
            self._change = SceneChange(node.GetScene())
        content = json.loads(settings)
        self._ui.verdictLabel.text = texts.verdict_words(content)
        self._ui.verdictLabel.setStyleSheet(texts.verdict_style((content.get("verdict") or {"word": ""})["word"]))
        self._ui.evidenceLabel.text = texts.evidence_html(content, node.GetName())
        self.update()

    def set_running(self, running: bool) -> None:
        """Hide the last result while the next one is on its way: it may be undone neither then nor by mistake."""
        self._running = running
        self._show_section()

    def set_aside(self, aside: bool) -> None:
        """Leave the views to others for a while, or show the result in them again."""
        self._aside = aside
        self.comparison.hide()
        self._show_section()
        if not aside:
            self.look()

    def _show_section(self) -> None:
        self._ui.resultCollapsibleButton.visible = self._node is not None and not self._running and not self._aside

    def look(self) -> None:
        """Show the volumes of the result over each other, while the panel is open."""
        fixed, moving = self._volumes()
        if self._aside or not self._entered or not self.comparison.available or fixed is None or moving is None:
            return
        for node in (fixed, moving):
            if node.GetDisplayNode() is None:
                display = add_display_node(node)
                if self._change is not None:
                    self._change.add(display)
        # Once it was hardened, the moving volume lies where the result puts it, and there is no before.
        change = self._change
        fresh = change is not None and bool(change) and not change.has_hardened(moving)
        after = self._node if fresh or is_moved_by(self._node, moving) else None
        self.comparison.show(fixed, moving, [self._node], after)

    def enter(self) -> None:
        """The user opens the panel: show the result."""
        self._entered = True
        self.look()

    def leave(self) -> None:
        """The user opens another module: give back what the views showed, and leave them alone."""
        self._entered = False
        self.comparison.hide()

    def update(self) -> None:
        """Enable what can be done now, and say why the rest cannot."""
        if self._node is None:
            return
        fixed, moving = self._volumes()
        if fixed is None or moving is None:
            self.comparison.hide()
        offer(self._ui.undoButton, texts.UNDO_HINT, None if self._change else texts.NO_RESULT_TO_UNDO)
        offer(self._ui.hardenButton, texts.HARDEN, None if nodes_moved_by(self._node) else texts.NOTHING_TO_HARDEN)
        has_qa = hasattr(slicer.modules, _QA_MODULE.lower())
        offer(self._ui.qaButton, texts.OPEN_QA, None if has_qa else texts.NO_QA)
        self._ui.viewsWidget.visible = self.comparison.available and fixed is not None and moving is not None

    def forget(self) -> None:
        """The scene is being closed: nothing of it may be used any more."""
        self._change = None
        self.comparison.hide()
        self._node = None
        self._show_section()

    def close(self) -> None:
        """The panel goes: take away what only it shows."""
        self.comparison.hide()
        self._node = None

    def _volumes(self) -> tuple[Any, Any]:
        node = self._node
        if node is None or node.GetScene() is None:
            return None, None
        return volumes_of_result(node)

    def _undo(self) -> None:
        self.comparison.hide()
        change, self._change = self._change, None
        self._node = None
        if change is not None:
            change.undo()
        self.show(None)
        self._show_section()
        self._on_undone()

    def _harden(self) -> None:
        if self._change is not None:
            self._change.harden(self._node)
            self.look()
        self.update()

    def _invert(self) -> None:
        if self._change is not None:
            self._change.invert(self._node)
        self.update()

    def _open_qa(self) -> None:
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule(_QA_MODULE)
        panel = slicer.util.getModuleWidget(_QA_MODULE)
        if hasattr(panel, "setInputs"):
            panel.setInputs(*self._volumes(), self._node)
