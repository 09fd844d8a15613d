"""The part of the panel for shapes: models, segments, or points that lie on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.errors import RegistrationError
from ...mrml.register_surfaces import ShapeInputs, ShapesJob
from ..common.background_job import ChildProcess, QtProcess
from ..common.buttons import offer
from ..common.run_slot import RunSlot
from ..common.texts import CANCEL, CANCEL_HINT, CANCELLED
from . import texts

__all__ = ["ShapesView"]


class ShapesView:
    """Two shapes, their segments, and the button that aligns them in the background.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    on_aligned : callable
        Called with the job and the parameter node of its start; adds the result to the scene.
    make_process : callable
        Makes the process of a run of its arguments.
    """

    def __init__(
        self,
        ui: Any,
        on_aligned: Callable[[ShapesJob, Any], None],
        *,
        make_process: Callable[[list[str]], ChildProcess] = QtProcess,
    ) -> None:
        self._ui, self._on_aligned, self.make_process = ui, on_aligned, make_process
        self._parameters: Any = None
        self._showing = False
        self._identifiers: dict[str, list[str]] = {"fixed": [], "moving": []}
        self._runs: RunSlot[ShapesJob] = RunSlot(texts.SHAPES_RUN, on_stopped=self._update_button)
        ui.fixedSegmentBox.connect("currentIndexChanged(int)", lambda index: self._choose("fixed", index))
        ui.movingSegmentBox.connect("currentIndexChanged(int)", lambda index: self._choose("moving", index))
        ui.alignShapesButton.connect("clicked(bool)", self._align_or_cancel)
        ui.shapeResultLabel.visible = False

    @property
    def running(self) -> bool:
        """Whether shapes are being aligned."""
        return self._runs.running

    def show(self, parameters: Any) -> None:
        """Show what a parameter node holds."""
        if parameters is not self._parameters and not self.running:
            self._say("")
        self._parameters = parameters
        ui = self._ui
        if parameters is None:
            return
        self._showing = True
        for side, box in (("fixed", ui.fixedSegmentBox), ("moving", ui.movingSegmentBox)):
            self._fill(side, box)
        self._showing = False
        self._update_button()

    def cancel(self) -> None:
        """End the run; the scene is as it was."""
        if self._runs.cancel():
            self._say(CANCELLED)

    def close(self) -> None:
        """The panel goes: end the run and wait for its process."""
        self._runs.end()

    def _fill(self, side: str, box: Any) -> None:
        parameters = self._parameters
        node = getattr(parameters, f"{side}Shape")
        identifiers: list[str] = []
        is_segmentation = node is not None and node.IsA("vtkMRMLSegmentationNode")
        box.visible = is_segmentation
        box.clear()
        if is_segmentation:
            segmentation = node.GetSegmentation()
            count = segmentation.GetNumberOfSegments()
            identifiers = [segmentation.GetNthSegmentID(i) for i in range(count)]
            for identifier in identifiers:
                box.addItem(segmentation.GetSegment(identifier).GetName())
        self._identifiers[side] = identifiers
        chosen = getattr(parameters, f"{side}Segment")
        if chosen in identifiers:
            box.setCurrentIndex(identifiers.index(chosen))
        elif chosen or identifiers:
            setattr(parameters, f"{side}Segment", identifiers[0] if identifiers else "")

    def _choose(self, side: str, index: int) -> None:
        if self._parameters is not None and not self._showing and 0 <= index < len(self._identifiers[side]):
            setattr(self._parameters, f"{side}Segment", self._identifiers[side][index])

    def _align_or_cancel(self, _checked: bool = False) -> None:
        if self.running:
            self.cancel()
            return
        parameters = self._parameters
        inputs = ShapeInputs(
            parameters.fixedShape,
            parameters.movingShape,
            parameters.fixedSegment or None,
            parameters.movingSegment or None,
            parameters.outputTransform,
        )
        model = parameters.shapeModel.model
        try:
            self._runs.start(
                lambda folder: ShapesJob(inputs, model, folder),
                done=lambda job: self._done(job, parameters),
                failed=self._failed,
                make_process=self.make_process,
            )
        except RegistrationError as error:
            self._failed(error)
            return
        self._say(texts.ALIGNING)
        self._update_button()

    def _done(self, job: ShapesJob, parameters: Any) -> None:
        try:
            self._on_aligned(job, parameters)
        except RegistrationError as error:
            self._failed(error)
        else:
            self._say(texts.shape_words(job.result))

    def _failed(self, error: RegistrationError) -> None:
        self._say(texts.problem_words(error))

    def _update_button(self) -> None:
        button, parameters = self._ui.alignShapesButton, self._parameters
        button.text = CANCEL if self.running else texts.ALIGN_SHAPES
        if self.running:
            button.enabled, button.toolTip = True, CANCEL_HINT
        elif parameters is not None:
            missing = texts.shapes_missing(
                parameters.fixedShape, parameters.movingShape, parameters.fixedSegment, parameters.movingSegment
            )
            offer(button, texts.SHAPES_READY, missing)

    def _say(self, words: str) -> None:
        self._ui.shapeResultLabel.text = words
        self._ui.shapeResultLabel.visible = bool(words)
