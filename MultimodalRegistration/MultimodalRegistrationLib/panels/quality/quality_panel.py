"""The quality panel: what is chosen, the run, and its results."""

from __future__ import annotations

import json
from typing import Any

import slicer

from ...assess.targets import TG_132
from ...core.errors import RegistrationError
from ...mrml.quality import QualityInputs, QualityJob
from ...mrml.quality_nodes import CONTENT_ATTRIBUTE, RUN_ATTRIBUTE, SEGMENTATION_ROLE, remove_quality_nodes
from ...mrml.scene_nodes import only_two_scans
from ...mrml.transforms import volumes_of_result
from ..common.buttons import let_shrink
from ..common.choice_box import ChoiceBox
from ..common.messages import MessageLine
from ..common.progress_view import ProgressView
from ..common.run_slot import RunSlot
from ..common.scene_watch import SceneWatch
from ..common.texts import CANCEL, CANCEL_HINT, CANCELLED, busy_words, problem_words
from . import texts
from .comparison_views import ComparisonViews
from .picture_box import PictureBox
from .report_box import ReportBox
from .result_box import ResultBox
from .transform_list import TransformList, transforms_to_assess

__all__ = ["QualityPanel"]


class QualityPanel:
    """Brings the widgets, the parameter node and the run together.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        let_shrink(ui)
        self._parameters: Any = None
        self._updating = False
        self._entered = False
        self._offered: tuple[Any, Any] | None = None
        self._list = TransformList(ui.transformList, self._choose_transforms)
        self._message = MessageLine(ui.messageLabel)
        progress = ProgressView(ui)
        self._runs: RunSlot[QualityJob] = RunSlot(texts.RUN, on_stopped=self._update_button, progress=progress)
        self._picture = PictureBox(
            ui,
            progress,
            on_stopped=self._update_button,
            on_told=self._told,
        )
        self._views = ComparisonViews(ui)
        self._result = ResultBox(ui, self._views, self._tell)
        self._watch = SceneWatch(self._scene_changed)
        self._report = ReportBox(ui, self._tell)
        self._results = ChoiceBox(ui.resultBox, self._choose_result)
        ui.folderEdit.connect("currentPathChanged(QString)", self._choose_folder)
        ui.removeButton.connect("clicked(bool)", self._remove)

    @property
    def running(self) -> bool:
        """Whether something is being measured or drawn."""
        return self._runs.running or self._picture.running

    def use_parameters(self, parameters: Any) -> None:
        """Take the settings from a parameter node, or None while there is no scene."""
        self._parameters = parameters
        if parameters is None:
            self._offered = None
            self._picture.show(None, [], missing=texts.missing_words())
        else:
            self.update()

    def choose_inputs(self) -> None:
        """Choose the last registration and its volumes, or the only two volumes, where nothing is chosen."""
        parameters = self._parameters
        if parameters.fixedVolume is None and parameters.movingVolume is None:
            results = [node for node in transforms_to_assess() if None not in volumes_of_result(node)]
            if results:
                parameters.fixedVolume, parameters.movingVolume = volumes_of_result(results[-1])
                parameters.transforms = [results[-1]]
                return
            scans = only_two_scans(slicer.mrmlScene)
            offered, self._offered = self._offered, scans
            if scans is not None and scans != offered:
                parameters.fixedVolume, parameters.movingVolume = scans

    def _scene_changed(self) -> None:
        """Nodes came or went."""
        self._runs.check_nodes()
        self._picture.check_nodes()
        if self._parameters is not None and not self.running:
            self.choose_inputs()
        self._update_button()

    def set_inputs(self, fixed: Any, moving: Any, transform: Any) -> None:
        """Take over what another panel hands on."""
        parameters = self._parameters
        parameters.fixedVolume, parameters.movingVolume = fixed, moving
        parameters.transforms = [] if transform is None else [transform]
        self.update()
        if self._entered:
            self.enter()

    def update(self) -> None:
        """Show what the parameter node holds."""
        parameters = self._parameters
        if parameters is None or self._updating:
            return
        self._updating = True
        try:
            self._list.tick(self._chosen_transforms())
            if self._ui.folderEdit.currentPath != parameters.outputFolder:
                self._ui.folderEdit.currentPath = parameters.outputFolder
            self._ui.toleranceWordsLabel.text = texts.tolerance_words(parameters.tolerance, TG_132.mm)
            self._result.show(parameters.resultTable)
            self._report.show(self._result.table)
            self._show_results()
            self._update_button()
            self._views.hide_segmentations({parameters.movingSegmentation, self._result.segmentation})
        finally:
            self._updating = False

    def start_or_cancel(self) -> None:
        """What the one button does."""
        if self.running:
            self.cancel()
        else:
            self.start()

    def start(self) -> None:
        """Start a run; a message tells why where it cannot."""
        if self.running:
            self._tell(busy_words())
            return
        parameters = self._parameters
        inputs = QualityInputs(
            parameters.fixedVolume,
            parameters.movingVolume,
            tuple(self._chosen_transforms()),
            parameters.fixedTargets,
            parameters.movingTargets,
            parameters.fixedSegmentation,
            parameters.movingSegmentation,
            parameters.reference,
            parameters.region,
        )
        mm = parameters.tolerance
        try:
            self._runs.start(lambda folder: QualityJob(inputs, folder, mm), done=self._done, failed=self._failed)
        except RegistrationError as error:
            self._failed(error)
            return
        self._tell(None)
        self._update_button()

    def cancel(self) -> None:
        """End the run; the scene is as it was."""
        if self._picture.cancel() or self._runs.cancel():
            self._tell(CANCELLED, problem=False)

    def leave(self) -> None:
        """The user opens another module; a run goes on."""
        self._entered = False
        self._result.hide()

    def enter(self) -> None:
        """The user opens the panel, or a scene was loaded while it is open: show what is assessed, or shall be."""
        self._entered = True
        parameters, table = self._parameters, self._result.table
        chosen = parameters.fixedVolume, parameters.movingVolume
        if table is not None and self._result.is_about(*chosen):
            self._result.look()
        elif None not in chosen and chosen[0] is not chosen[1] and self._chosen_transforms():
            transforms = self._chosen_transforms()
            try:
                self._views.show(*chosen, transforms, transforms[0])
            except RegistrationError as error:
                self._failed(error)

    def forget(self) -> None:
        """The scene is being closed."""
        self._runs.cancel()
        self._picture.cancel()
        self._result.forget()
        self._report.close()
        self._tell(None)

    def close(self) -> None:
        """The panel goes: end the run and wait for its process."""
        self._watch.close()
        self._runs.end()
        self._picture.end()
        self._update_button()
        self._result.hide()
        self._report.close()
        self._list.close()

    def _done(self, job: QualityJob) -> None:
        assert job.nodes is not None, "the run has ended"
        table = job.nodes.tables["methods"]
        segmentation = job.node("moving_segmentation")
        if segmentation is not None:
            table.SetNodeReferenceID(SEGMENTATION_ROLE, segmentation.GetID())
        # The folder of the run goes; that of the report stays as long as the panel.
        report = job.output_folder.parent.with_name(f"{job.output_folder.parent.name}-report")
        job.output_folder.rename(report)
        self._report.take(table, report)
        self._parameters.resultTable = table
        self.update()
        if self._entered:
            self._result.look()

    def _failed(self, error: RegistrationError) -> None:
        self._tell(problem_words(error))

    def _remove(self, _checked: bool = False) -> None:
        table = self._result.table
        if table is None:
            return
        self._result.show(None)
        self._report.drop(table)
        self._report.show(None)
        remove_quality_nodes(slicer.mrmlScene, table.GetAttribute(RUN_ATTRIBUTE))
        left = _result_tables()
        self._parameters.resultTable = left[-1] if left else None
        self.update()
        self._tell(texts.REMOVED, problem=False)

    def _tell(self, words: str | None, *, problem: bool = True) -> None:
        if words is None:
            self._message.clear()
        elif problem:
            self._message.problem(words)
        else:
            self._message.note(words)

    def _told(self, words: str | None, problem: bool) -> None:
        """The picture has something to say."""
        self._tell(words, problem=problem)
        self._update_button()

    def _update_button(self) -> None:
        button, parameters = self._ui.measureButton, self._parameters
        self._picture.show(
            parameters, self._chosen_transforms(), missing=busy_words() if self.running else self._missing_for_picture()
        )
        if self.running:
            button.text, button.enabled, button.toolTip = CANCEL, True, CANCEL_HINT
            return
        button.text = texts.MEASURE
        missing = texts.missing_words() if parameters is None else self._missing()
        button.enabled = missing is None
        self._ui.missingLabel.text = missing or ""
        self._ui.missingLabel.visible = missing is not None
        button.toolTip = missing or texts.ready_words(
            parameters.fixedVolume, parameters.movingVolume, len(self._chosen_transforms())
        )

    def _missing_for_picture(self) -> str | None:
        parameters = self._parameters
        if parameters is None:
            return texts.missing_words()
        return texts.missing_words(
            fixed=parameters.fixedVolume,
            moving=parameters.movingVolume,
            transforms=self._chosen_transforms(),
            scene=slicer.mrmlScene,
        )

    def _missing(self) -> str | None:
        parameters = self._parameters
        return texts.missing_words(
            fixed=parameters.fixedVolume,
            moving=parameters.movingVolume,
            transforms=self._chosen_transforms(),
            targets=(parameters.fixedTargets, parameters.movingTargets),
            segmentations=(parameters.fixedSegmentation, parameters.movingSegmentation),
            scene=slicer.mrmlScene,
        )

    def _chosen_transforms(self) -> list[Any]:
        return [] if self._parameters is None else [node for node in self._parameters.transforms if node is not None]

    def _show_results(self) -> None:
        tables = _result_tables()
        self._results.fill(
            (node.GetID(), texts.result_words(json.loads(node.GetAttribute(CONTENT_ATTRIBUTE))), node.GetName())
            for node in tables
        )
        table = self._result.table
        if table is not None:
            self._results.show(table.GetID())
        self._ui.resultsRow.visible = bool(tables)

    def _choose_result(self, identifier: str) -> None:
        if self._parameters is not None and not self._updating:
            self._parameters.resultTable = slicer.mrmlScene.GetNodeByID(identifier)

    def _choose_transforms(self, nodes: list[Any]) -> None:
        if self._parameters is not None and not self._updating:
            self._parameters.transforms = nodes

    def _choose_folder(self, path: str) -> None:
        if self._parameters is not None and not self._updating:
            self._parameters.outputFolder = path


def _result_tables() -> list[Any]:
    """The tables of methods in the scene, one for each result."""
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    return [node for node in tables if node.GetAttribute(CONTENT_ATTRIBUTE)]
