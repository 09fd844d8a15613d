"""The prealignment panel: points above, what is done with them below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from ...application.handover import hand_over, is_there
from ...core.errors import RegistrationError
from ...mrml.moved_nodes import harden_moved, is_moved_by, move_nodes
from ...mrml.register_surfaces import ShapesJob
from ...mrml.transforms import inverted_copy
from ..common.buttons import let_shrink, offer
from ..common.checked_nodes import CheckedNodes
from ..common.comparison import Comparison
from ..common.comparison_row import ComparisonRow
from ..common.messages import MessageLine
from ..common.scene_watch import SceneWatch
from ..common.texts import volumes_missing
from . import texts
from .points_view import PointsView
from .refine_view import RefineView
from .rows_view import RowsView
from .shapes_view import ShapesView

__all__ = ["PrealignPanel"]


class PrealignPanel:
    """Brings the widgets, the parameter node and the logic together.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    logic : FiducialPrealignLogic
        Computes the transforms.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui, self._logic = ui, logic
        let_shrink(ui)
        self._parameters: Any = None
        self._updating = False
        self._message = MessageLine(ui.messageLabel)
        self._rows = RowsView(ui, before_shown=self._hide_comparison)
        self._points = PointsView(ui, on_judged=self._update_buttons, show_in_rows=self._rows.center)
        self._refine = RefineView(ui, lambda: self._points.appraising)
        self._carried = CheckedNodes(ui.carriedSelector, "carried", ui.carriedLabel)
        self._shapes = ShapesView(ui, self._shapes_aligned)
        self._comparison = Comparison()
        self._row = ComparisonRow(ui, self._comparison, self._look)
        self._watch = SceneWatch(self._scene_changed)
        for button, action in (
            (ui.applyButton, self.apply),
            (ui.hardenButton, self.harden),
            (ui.invertButton, self.invert),
            (ui.registerButton, self.register),
        ):
            button.connect("clicked(bool)", self._guarded(action))

    def use_parameters(self, parameters: Any) -> None:
        """Take the settings from a parameter node, or None while there is no scene or the panel is not open."""
        self._parameters = parameters
        self._message.clear()
        if parameters is None:
            self._points.stop()
            self._rows.leave()
            self._comparison.hide()
        self.update()

    def forget(self) -> None:
        """The scene is being closed."""
        self._shapes.cancel()
        self._refine.cancel()

    def close(self) -> None:
        """The panel goes: end what runs and wait for its process."""
        self._watch.close()
        self._rows.leave()
        self._comparison.hide()
        self._shapes.close()
        self._refine.close()

    def update(self) -> None:
        """Show what the parameter node holds."""
        if self._updating:
            return
        self._updating = True
        try:
            for part in (self._carried, self._shapes, self._points, self._refine):
                part.show(self._parameters)
            self._update_buttons()
        finally:
            self._updating = False

    def apply(self) -> None:
        """Write the transform, and move what is to be moved."""
        parameters = self._parameters
        self._write_transform(
            lambda node: self._logic.prealign(
                parameters.fixedPoints,
                parameters.movingPoints,
                model=parameters.model.model,
                pairing=parameters.pairing.how,
                outputTransform=node,
                reflection=parameters.mirrorAllowed,
                stiffness_mm=parameters.stiffness if parameters.model.model in ("tps", "auto") else 0.0,
                localisation_error_mm=parameters.localisationError or None,
            ),
            parameters,
        )

    def harden(self) -> None:
        """Make the movement permanent; the transform stays as a record, and the next one is a new one."""
        parameters = self._parameters
        self._comparison.hide()
        hardened = harden_moved(parameters.outputTransform, self._under(parameters.outputTransform))
        self._message.done(texts.hardened_words([node.GetName() for node in hardened]))
        parameters.outputTransform = None

    def invert(self) -> None:
        """Add the inverse of the transform."""
        self._message.done(texts.inverted_words(inverted_copy(self._parameters.outputTransform).GetName()))

    def register(self) -> None:
        """Go on with the voxels, from where this got."""
        parameters = self._parameters
        result, volume = parameters.outputTransform, parameters.movingVolume
        rigid = parameters.model.model in ("rigid", "translation", "auto") and self._points.missing() is None
        unmoved = result is not None and not is_moved_by(result, volume)
        given = unmoved and result.IsLinear() and not rigid
        hand_over(
            texts.REGISTRATION_MODULE,
            {
                "fixedVolume": parameters.fixedVolume,
                "movingVolume": volume,
                "fixedLandmarks": parameters.fixedPoints if rigid else None,
                "movingLandmarks": parameters.movingPoints if rigid else None,
                "pairing": parameters.pairing.how,
                "initialTransform": result if given else None,
            },
        )

    def _shapes_aligned(self, job: ShapesJob, parameters: Any) -> None:
        self._write_transform(lambda node: job.finish(slicer.mrmlScene, node), parameters, job.node("moving"))
        self._update_buttons()

    def _write_transform(self, fit: Callable[[Any], Any], parameters: Any, shape: Any = None) -> None:
        node = fit(parameters.outputTransform)
        moved = self._to_move(parameters, shape)
        move_nodes(node, moved)
        parameters.outputTransform = node
        self._look()
        self._message.done(texts.applied_words(node.GetName(), [each.GetName() for each in moved]))

    def _volumes(self) -> tuple[Any, Any] | None:
        """The two volumes that can be compared; None where there are none."""
        if self._parameters is None:
            return None
        fixed, moving = self._parameters.fixedVolume, self._parameters.movingVolume
        both = fixed is not None and moving is not None and fixed is not moving
        return (fixed, moving) if both and fixed.GetImageData() and moving.GetImageData() else None

    def _look(self) -> None:
        """Show the volumes of the result over each other, in place of two rows, while the panel is open."""
        volumes = self._volumes()
        result = None if volumes is None else self._parameters.outputTransform
        if volumes is not None and result is not None and self._comparison.available:
            self._rows.leave()
            self._comparison.show(*volumes, [result], result)

    def _hide_comparison(self) -> None:
        self._comparison.hide()
        self._ui.viewsWidget.visible = False

    @staticmethod
    def _to_move(parameters: Any, shape: Any) -> list[Any]:
        """What the next result moves, each once."""
        nodes = [node for node in parameters.carried if node is not None]
        if parameters.applyToMoving:
            nodes = [shape, parameters.movingVolume, parameters.movingPoints, parameters.movingTargets, *nodes]
        once: list[Any] = []
        for node in nodes:
            if node is not None and not any(node is other for other in once):
                once.append(node)
        return once

    def _under(self, result: Any) -> list[Any]:
        """Everything in the scene that a result moves."""
        if result is None:
            return []
        nodes = slicer.util.getNodesByClass("vtkMRMLTransformableNode")
        return [node for node in nodes if not node.IsA("vtkMRMLTransformNode") and is_moved_by(result, node)]

    def _guarded(self, action: Callable[[], None]) -> Callable[[], None]:
        """The action, with what it refuses said in the panel."""

        def run() -> None:
            self._message.clear()
            try:
                action()
            except RegistrationError as error:
                self._message.problem(texts.problem_words(error))
            self._update_buttons()

        return run

    def _scene_changed(self) -> None:
        self._refine.check_nodes()
        self._update_buttons()

    def _update_buttons(self) -> None:
        self._refine.update()
        ui, parameters = self._ui, self._parameters
        if self._comparison.shown and (self._volumes() is None or parameters.outputTransform is None):
            self._comparison.hide()
        ui.viewsWidget.visible = self._comparison.shown
        missing = self._points.missing()
        judged = self._points.appraising
        self._rows.update(parameters, self._volumes(), judged)
        appraisal = None if judged is None else judged.appraisal
        result = None if parameters is None else parameters.outputTransform
        ready = ""
        if missing is None and appraisal is not None:
            ready = texts.ready_words(appraisal.model, None if result is None else result.GetName())
        offer(ui.applyButton, ready, missing)
        stopped = appraisal is not None and appraisal.refused is not None
        short = texts.STOPPED if stopped else missing
        ui.applyButton.text = short if missing and short and len(short) < texts.LONGEST_BUTTON else texts.APPLY
        no_result = texts.NO_RESULT if result is None else None
        offer(ui.hardenButton, texts.HARDEN, no_result or (None if self._under(result) else texts.NOTHING_MOVED))
        offer(ui.invertButton, texts.INVERT, no_result)
        blocked = None
        if not is_there(texts.REGISTRATION_MODULE):
            blocked = texts.NO_REGISTRATION
        elif parameters is None:
            blocked = volumes_missing(None, None)
        else:
            blocked = volumes_missing(parameters.fixedVolume, parameters.movingVolume, slicer.mrmlScene)
        offer(ui.registerButton, texts.REGISTER, blocked)
