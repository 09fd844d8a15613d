"""The part of the panel for shapes: models, segments, or points that lie on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from MultimodalRegistrationLib.errors import RegistrationError
from MultimodalRegistrationLib.panels.prealign import texts

__all__ = ["ShapesView"]


class ShapesView:
    """Two shapes, their segments, and the button that aligns them.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    on_align : callable
        Called when the button is clicked.
    """

    def __init__(self, ui: Any, on_align: Callable[[], None]) -> None:
        self._ui, self._on_align = ui, on_align
        self._parameters: Any = None
        self._showing = False
        self._identifiers: dict[str, list[str]] = {"fixed": [], "moving": []}
        ui.fixedSegmentBox.connect("currentIndexChanged(int)", lambda index: self._choose("fixed", index))
        ui.movingSegmentBox.connect("currentIndexChanged(int)", lambda index: self._choose("moving", index))
        ui.alignShapesButton.connect("clicked(bool)", self._align)
        ui.shapeResultLabel.visible = False

    def show(self, parameters: Any) -> None:
        """Show what a parameter node holds."""
        if parameters is not self._parameters:
            self._say("")
        self._parameters = parameters
        ui = self._ui
        if parameters is None:
            return
        self._showing = True
        for side, box in (("fixed", ui.fixedSegmentBox), ("moving", ui.movingSegmentBox)):
            self._fill(side, box)
        self._showing = False
        missing = texts.shapes_missing(
            parameters.fixedShape, parameters.movingShape, parameters.fixedSegment, parameters.movingSegment
        )
        ui.alignShapesButton.enabled = missing is None
        ui.alignShapesButton.toolTip = texts.SHAPES_READY if missing is None else missing

    def align(self, logic: Any, node: Any) -> Any:
        """Align the shapes; returns the transform node."""
        parameters = self._parameters
        made, result = logic.alignShapes(
            parameters.fixedShape,
            parameters.movingShape,
            fixedSegment=parameters.fixedSegment or None,
            movingSegment=parameters.movingSegment or None,
            model=parameters.shapeModel.model,
            outputTransform=node,
        )
        self._say(texts.shape_words(result))
        return made

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

    def _align(self) -> None:
        try:
            self._on_align()
        except RegistrationError as error:
            self._say(texts.problem_words(error))

    def _say(self, words: str) -> None:
        self._ui.shapeResultLabel.text = words
        self._ui.shapeResultLabel.visible = bool(words)
