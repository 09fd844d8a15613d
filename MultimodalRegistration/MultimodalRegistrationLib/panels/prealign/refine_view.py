"""The part of the panel that lets the images improve the moving points: refine, look, take or leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from ...core.errors import RegistrationError
from ...mrml.refine_job import RefinedPoints, RefineInputs, RefineJob
from ..common.background_job import ChildProcess, QtProcess
from ..common.buttons import offer
from ..common.run_slot import RunSlot
from ..common.texts import CANCEL, CANCEL_HINT, CANCELLED, UNDO, volumes_missing
from . import texts
from .appraising import Appraising

__all__ = ["RefineView"]


class RefineView:
    """The buttons below the pairs, and what they do.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    judged : callable
        Gives the latest judgement of the points, or None.
    make_process : callable
        Makes the process of a run of its arguments.
    """

    def __init__(
        self,
        ui: Any,
        judged: Callable[[], Appraising | None],
        *,
        make_process: Callable[[list[str]], ChildProcess] = QtProcess,
    ) -> None:
        self._ui, self._judged, self.make_process = ui, judged, make_process
        self._parameters: Any = None
        self._offered: RefinedPoints | None = None
        self._taken: RefinedPoints | None = None
        self._runs: RunSlot[RefineJob] = RunSlot(texts.REFINE_RUN, on_stopped=self.update)
        for scope in (texts.ALL_POINTS, texts.CHOSEN_POINT):
            ui.refineScopeBox.addItem(scope)
        ui.refineScopeBox.connect("currentIndexChanged(int)", lambda _index: self.update())
        ui.pairTable.connect("itemSelectionChanged()", self.update)
        ui.refineButton.connect("clicked(bool)", self._refine_or_cancel)
        ui.takeRefinedButton.connect("clicked(bool)", self._take)
        ui.leaveRefinedButton.connect("clicked(bool)", self._leave)
        self._say("")

    @property
    def running(self) -> bool:
        """Whether points are being refined."""
        return self._runs.running

    def show(self, parameters: Any) -> None:
        """Show what a parameter node holds; None where there is none, or the panel is not open."""
        if parameters is not self._parameters:
            self._forget()
            self._say("")
        self._parameters = parameters
        self.update()

    def cancel(self) -> None:
        """End the run; no point was moved."""
        if self._runs.cancel():
            self._say(CANCELLED)

    def check_nodes(self) -> None:
        """End the run where a volume or the list was removed."""
        self._runs.check_nodes()

    def close(self) -> None:
        """The panel goes: end the run and wait for its process."""
        self._forget()
        self._runs.end()

    def update(self) -> None:
        """Offer what can be done now."""
        ui = self._ui
        ui.takeRefinedButton.visible = self._offered is not None
        ui.leaveRefinedButton.visible = self._offered is not None or self._taken is not None
        ui.leaveRefinedButton.text = UNDO if self._offered is None else texts.LEAVE_REFINED
        ui.refineScopeBox.enabled = not self.running
        ui.refineButton.text = CANCEL if self.running else texts.REFINE
        if self.running:
            offer(ui.refineButton, CANCEL_HINT, None)
        else:
            offer(ui.refineButton, texts.REFINE_READY, self._missing())

    def _missing(self) -> str | None:
        parameters, judged = self._parameters, self._judged()
        if parameters is None or judged is None or judged.live is None:
            return texts.NO_PAIRS_TO_REFINE
        missing = volumes_missing(parameters.fixedVolume, parameters.movingVolume, slicer.mrmlScene)
        if missing is not None:
            return missing
        chosen, appraisal = parameters.model.model, judged.appraisal
        model = appraisal.model if chosen == "auto" and appraisal is not None else chosen
        if model not in ("auto", "translation", "rigid"):
            return texts.refine_model_words(model)
        if appraisal is None or appraisal.refused is not None:
            return texts.NO_PAIRS_TO_REFINE
        if self._ui.refineScopeBox.currentIndex == 1 and self._chosen() is None:
            return texts.NO_POINT_CHOSEN
        return None

    def _chosen(self) -> int | None:
        """The number of the pair in the current row of the table."""
        judged, row = self._judged(), self._ui.pairTable.currentRow()
        pairs = [] if judged is None or judged.live is None else judged.pair_of_row()
        return pairs[row] if 0 <= row < len(pairs) else None

    def _refine_or_cancel(self, _checked: bool = False) -> None:
        if self.running:
            self.cancel()
            return
        self._forget()
        parameters, judged = self._parameters, self._judged()
        assert judged is not None
        pairs = judged.read().pairs
        chosen = self._chosen() if self._ui.refineScopeBox.currentIndex == 1 else None
        inputs = RefineInputs(
            parameters.fixedVolume, parameters.movingVolume, parameters.movingPoints, parameters.outputTransform
        )
        try:
            self._runs.start(
                lambda folder: RefineJob(inputs, pairs, None if chosen is None else [chosen], folder),
                done=self._done,
                failed=self._failed,
                make_process=self.make_process,
            )
        except RegistrationError as error:
            self._failed(error)
            return
        self._say(texts.REFINING)
        self.update()

    def _done(self, job: RefineJob) -> None:
        try:
            points = job.points()
        except RegistrationError as error:
            self._failed(error)
            return
        if self._parameters is not None and any(not one.left_alone for one in job.refined):
            self._offered = points
            points.show()
        self._say(texts.refined_words(job.refined))
        self.update()

    def _failed(self, error: RegistrationError) -> None:
        self._say(texts.problem_words(error))
        self.update()

    def _take(self, _checked: bool = False) -> None:
        offered, self._offered = self._offered, None
        if offered is None:
            return
        offered.hide()
        try:
            count = offered.take()
        except RegistrationError as error:
            self._failed(error)
            return
        self._taken = offered
        self._say(texts.taken_words(count))
        self.update()

    def _leave(self, _checked: bool = False) -> None:
        """Leave the points as they are, or put them back."""
        taken = self._taken if self._offered is None else None
        self._forget()
        self._say("" if taken is None else texts.taken_back_words(taken.take_back()))
        self.update()

    def _forget(self) -> None:
        """Drop what was offered or taken."""
        offered, self._offered, self._taken = self._offered, None, None
        if offered is not None:
            offered.hide()

    def _say(self, words: str) -> None:
        self._ui.refineLabel.text = words
        self._ui.refineLabel.visible = bool(words)
