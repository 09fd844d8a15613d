"""One result: the verdict first, then tables, plots, maps and arrows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import slicer

from ...application.result_views import ChartView, center_views_on
from ...core.errors import RegistrationError
from ...mrml.quality_nodes import CONTENT_ATTRIBUTE, MAP_ATTRIBUTE, RUN_ATTRIBUTE, SEGMENTATION_ROLE
from ..common.buttons import offer, set_quietly
from ..common.choice_box import ChoiceBox
from ..common.texts import problem_words
from . import texts
from .comparison_views import ComparisonViews
from .tables import MethodTable, StructureTable, TargetTable
from .transform_list import transforms_to_assess

__all__ = ["ResultBox"]


class ResultBox:
    """Shows one result, given by its table of methods.

    Parameters
    ----------
    ui : namespace
        With the widgets of the result.
    views : ComparisonViews
        Shows the volumes.
    on_problem : callable
        Called with a message.
    """

    def __init__(self, ui: Any, views: ComparisonViews, on_problem: Callable[[str], None]) -> None:
        self._ui = ui
        self._views = views
        self._chart = ChartView()
        views.look = self.look
        self._on_problem = on_problem
        self._table: Any = None
        self._content: dict[str, Any] = {}
        self._methods = MethodTable(ui.methodTable, self._choose_method)
        self._targets = TargetTable(ui.targetTable, center_views_on)
        self._structures = StructureTable(ui.structureTable)
        self._plots = ChoiceBox(ui.plotBox, lambda _value: None)
        self._maps = ChoiceBox(ui.mapBox, self._choose_map)
        ui.plotButton.connect("clicked(bool)", self._show_plot)
        ui.glyphBox.connect("toggled(bool)", self._show_glyphs)
        self.show(None)

    @property
    def table(self) -> Any:
        """The table of methods of the result that is shown, or None."""
        return self._table

    def show(self, table: Any) -> None:
        """Show a result, or nothing."""
        text = None if table is None else table.GetAttribute(CONTENT_ATTRIBUTE)
        if text is not None and table is self._table:
            return
        if text is not None or self._table is not None:
            self.hide()
        self._table = None if text is None else table
        self._ui.resultWidget.visible = text is not None
        self._content = {}
        if text is None:
            return
        content = self._content = json.loads(text)
        verdict = content["verdict"]
        self._ui.verdictLabel.text = texts.verdict_words(verdict["word"])
        self._ui.verdictLabel.setStyleSheet(texts.verdict_style(verdict["word"]))
        self._ui.reasonsLabel.text = texts.reasons_html(content)
        self._methods.show(content)
        names = [one["name"] for one in content["methods"]]
        best = names.index(verdict["method"])
        self._methods.choose(best + 1)
        self._show_method(content["methods"][best])
        plots, maps = self._own("vtkMRMLPlotChartNode"), self._own("vtkMRMLScalarVolumeNode")
        self._plots.fill((node.GetID(), node.GetTitle(), node.GetName()) for node in plots)
        self._maps.fill(
            [
                ("", texts.NO_MAP, ""),
                *((node.GetID(), *texts.map_words(node.GetAttribute(MAP_ATTRIBUTE))) for node in maps),
            ]
        )
        self._ui.plotWidget.visible = bool(plots)
        glyphs = self._glyphs()
        self._ui.glyphBox.visible = bool(glyphs)
        set_quietly(self._ui.glyphBox, any(node.GetDisplayVisibility() for node in glyphs))
        window = slicer.app.layoutManager() is not None
        offer(self._ui.plotButton, texts.PLOT_HINT, None if window else texts.PLOT_NOWHERE)
        self._ui.viewsCollapsibleButton.visible = self._views.available

    def is_about(self, fixed_node: Any, moving_node: Any) -> bool:
        """Whether the result that is shown is one of these volumes."""
        return self._volumes() == (fixed_node, moving_node)

    @property
    def segmentation(self) -> Any:
        """The segmentation of the moving volume that was measured, or None."""
        return None if self._table is None else self._table.GetNodeReference(SEGMENTATION_ROLE)

    def look(self) -> None:
        """Show the volumes of the result over each other, after the best transform."""
        fixed, moving = self._volumes()
        if self._table is None or not self._views.available:
            return
        for role, node in (("fixed", fixed), ("moving", moving)):
            if node is None:
                self._on_problem(texts.volume_gone(role))
                return
        after = self._node_of(self._content["verdict"]["method"])
        try:
            self._views.show(fixed, moving, self._nodes(), after)
        except RegistrationError as error:
            self._on_problem(problem_words(error))

    def hide(self) -> None:
        """Give back what the views showed, and their layout."""
        # The charts came before or after the 3D view, which gives back a layout, too.
        self._chart.restore()
        self._views.hide()
        self._chart.restore()

    def forget(self) -> None:
        """The scene is being closed: nothing of it may be used any more."""
        self.hide()
        self._table = None
        self._content = {}
        self._ui.resultWidget.visible = False

    def _own(self, kind: str) -> list[Any]:
        """Nodes of this result."""
        run_id = self._table.GetAttribute(RUN_ATTRIBUTE)
        return [node for node in slicer.util.getNodesByClass(kind) if node.GetAttribute(RUN_ATTRIBUTE) == run_id]

    def _glyphs(self) -> list[Any]:
        return self._own("vtkMRMLMarkupsNode")

    def _volumes(self) -> tuple[Any, Any]:
        if self._table is None:
            return None, None
        return (
            self._table.GetNodeReference("spatialRegistrationFixed"),
            self._table.GetNodeReference("spatialRegistrationMoving"),
        )

    def _node_of(self, method: str) -> Any:
        """The transform node of a method; None where it was removed or renamed."""
        for node in transforms_to_assess():
            name = node.GetName()
            if method in (name, f"{name} ({node.GetID()})", f"reference ({name})"):
                return node
        return None

    def _nodes(self) -> list[Any]:
        nodes = [self._node_of(one["name"]) for one in self._content["methods"]]
        return [node for node in nodes if node is not None]

    def _choose_method(self, row: int) -> None:
        method = [self._content["before"], *self._content["methods"]][row]
        self._show_method(method)
        if not self._views.shown:
            self.look()
        self._maps.show("")
        node = None if row == 0 else self._node_of(method["name"])
        if row > 0 and node is None:
            self._on_problem(texts.transform_gone(method["name"]))
        else:
            self._views.show_after(node)

    def _show_method(self, method: Any) -> None:
        name = method["name"] if method is not self._content["before"] else texts.before_name()
        targets, structures = method["targets"] is not None, bool(method["structures"])
        self._targets.show(method)
        self._structures.show(method)
        tolerance_mm = self._content["settings"]["tolerance_mm"]
        self._ui.targetsLabel.text = texts.targets_title(name, tolerance_mm) if targets else texts.NO_TARGETS
        self._ui.structuresLabel.text = texts.structures_title(name)
        self._ui.structuresLabel.visible = structures

    def _choose_map(self, identifier: str) -> None:
        if not self._views.shown:
            self.look()
        self._views.show_map(slicer.mrmlScene.GetNodeByID(identifier) if identifier else None)

    def _show_plot(self, _checked: bool = False) -> None:
        chart = slicer.mrmlScene.GetNodeByID(self._plots.value)
        if chart is not None:
            self._chart.show(chart)

    def _show_glyphs(self, wanted: bool) -> None:
        if self._table is not None:
            for node in self._glyphs():
                node.SetDisplayVisibility(wanted)
