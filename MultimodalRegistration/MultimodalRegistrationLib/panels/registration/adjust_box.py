"""The part of the panel in which the moving volume is put in place by hand, for when everything else fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import qt
import slicer
from slicer.util import VTKObservationMixin

from ...core.errors import RegistrationError
from ...mrml.hand_transform import HandTransform, live_agreement_steps
from ...mrml.moved_nodes import SceneChange
from ...mrml.scene_nodes import add_display_node, remove_present
from ...mrml.steps import shares
from ...register.search.live_agreement import LiveAgreement
from ..common.buttons import offer
from ..common.comparison import Comparison
from ..common.stepper import Stepper
from ..common.texts import CANCEL, UNDO, problem_words, volumes_missing
from . import texts

__all__ = ["MAX_ROTATION_DEG", "MAX_TRANSLATION_MM", "AdjustBox"]

MAX_TRANSLATION_MM, MAX_ROTATION_DEG = 30.0, 20.0
"""How far from a pose that was set by hand a registration may go."""

# Every move of the mouse sends several events; the eye does not need more than this.
_SCORE_MS = 30


class AdjustBox(VTKObservationMixin):  # type: ignore[misc]
    """Handles on a transform, the agreement while it is dragged, and what becomes of it.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    comparison : Comparison
        Shows the volumes in the views; shared with the result, which is not shown meanwhile.
    on_begun : callable
        Called before the volumes are shown.
    on_ended : callable
        Called after the views were given back.
    on_register : callable
        Called with the transform from which a registration starts.
    """

    def __init__(
        self,
        ui: Any,
        comparison: Comparison,
        *,
        on_begun: Callable[[], None],
        on_ended: Callable[[], None],
        on_register: Callable[[Any], None],
    ) -> None:
        VTKObservationMixin.__init__(self)
        self._ui, self._comparison = ui, comparison
        self._on_begun, self._on_ended, self._on_register = on_begun, on_ended, on_register
        self._parameters: Any = None
        self._hand: HandTransform | None = None
        self._volumes: tuple[Any, Any] | None = None
        self._stepper: Stepper | None = None
        self._agreement: LiveAgreement | None = None
        self._start: float | None = None
        self._best = 0.0
        self._kept: SceneChange | None = None
        self._displays: list[Any] = []
        self._timer = qt.QTimer(ui.adjustButton)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SCORE_MS)
        self._timer.connect("timeout()", self._score)
        for button, action in (
            (ui.adjustButton, self.begin),
            (ui.registerAdjustedButton, self.register),
            (ui.keepAdjustedButton, self.keep),
            (ui.cancelAdjustButton, self.cancel),
        ):
            button.connect("clicked(bool)", lambda _checked=False, action=action: action())
        ui.agreementBar.setRange(0, 100)
        self._say("")
        self.show(None, running=False)

    @property
    def active(self) -> bool:
        """Whether the volume is being adjusted."""
        return self._hand is not None

    def show(self, parameters: Any, *, running: bool) -> None:
        """Offer what can be done now; a run, another volume or none at all ends what was begun."""
        ui, self._parameters = self._ui, parameters
        chosen = None if parameters is None else (parameters.fixedVolume, parameters.movingVolume)
        if self._hand is not None and (running or chosen != self._volumes or not self._hand.there):
            self.cancel()
        for widget in (ui.registerAdjustedButton, ui.keepAdjustedButton, ui.agreementBar):
            widget.visible = self.active
        ui.cancelAdjustButton.visible = self.active or bool(self._kept)
        ui.cancelAdjustButton.text = CANCEL if self.active else UNDO
        missing = texts.ADJUSTING if self.active else texts.BUSY_ADJUST if running else None
        if missing is None:
            fixed, moving = chosen or (None, None)
            missing = volumes_missing(fixed, moving, None if parameters is None else slicer.mrmlScene)
        offer(ui.adjustButton, texts.ADJUST_READY, missing)

    def begin(self) -> None:
        """Add the transform, and show the volumes under it."""
        volumes = self._parameters.fixedVolume, self._parameters.movingVolume
        self._kept = None
        try:
            hand = HandTransform(*volumes)
        except RegistrationError as error:
            self._say(problem_words(error))
            return
        self._on_begun()
        self._hand, self._volumes = hand, volumes
        # Left to itself, the application looks at every voxel for a window.
        self._displays = [add_display_node(node) for node in volumes if node.GetDisplayNode() is None]
        self._comparison.show(*volumes, [hand.node], hand.node)
        # Handles that are seen meanwhile make each step of that slow.
        hand.show_handles(True)
        self._say(texts.PREPARING_AGREEMENT)
        self._stepper = Stepper(self._steps(*volumes), lambda share: None, self._ready)
        self._stepper.start()
        self.addObserver(hand.node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._moved)
        self.show(self._parameters, running=False)

    def register(self) -> None:
        """Start a registration at the pose; the transform stays as its initial transform."""
        hand = self._end()
        if hand is not None:
            hand.show_handles(False)
            self._say("")
            self._on_register(hand.node)

    def keep(self) -> None:
        """Apply the transform to the moving volume."""
        volumes, hand = self._volumes, self._end()
        if hand is None or volumes is None:
            return
        hand.show_handles(False)
        change = SceneChange(slicer.mrmlScene)
        for node in (*self._displays, hand.node):
            change.add(node)
        change.apply(hand.node, volumes[1])
        self._kept = change
        self._say(texts.kept_words(hand.node.GetName(), volumes[1].GetName()))
        self.show(self._parameters, running=False)

    def cancel(self) -> None:
        """Take the transform away, or take back that it was kept."""
        hand, kept = self._end(), self._kept
        self._kept = None
        if hand is not None:
            hand.remove()
            remove_present(self._displays)
        elif kept is not None:
            kept.undo()
        self._say("")
        self.show(self._parameters, running=False)

    def leave(self) -> None:
        """The user opens another module, or the panel goes: what was not kept is taken away."""
        if self.active:
            self.cancel()

    def forget(self) -> None:
        """The scene is being closed: nothing of it may be used any more."""
        self.leave()
        self._kept = None
        self._say("")

    def _end(self) -> HandTransform | None:
        """End the adjusting, and give the views back; the transform, if it is still there."""
        hand, self._hand, self._volumes, self._agreement, self._start = self._hand, None, None, None, None
        if hand is None:
            return None
        self.removeObservers()
        self._timer.stop()
        if self._stepper is not None:
            self._stepper.stop()
        self._comparison.hide()
        self._on_ended()
        return hand if hand.there else None

    def _steps(self, fixed_node: Any, moving_node: Any) -> Iterator[float]:
        self._agreement = yield from shares(live_agreement_steps(fixed_node, moving_node))

    def _ready(self, error: Exception | None) -> None:
        if isinstance(error, RegistrationError):
            self._say(problem_words(error))
        elif error is not None:
            raise error
        else:
            self._best = 0.0
            self._score()

    def _moved(self, _caller: Any, _event: str) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _score(self) -> None:
        if self._hand is None or self._agreement is None or not self._hand.there:
            return
        if self._start is None:
            self._start = self._agreement.at(np.eye(4)) or 0.0
        score = self._agreement.at(self._hand.moving_to_fixed_lps)
        self._best = max(self._best, self._start, score or 0.0)
        self._ui.agreementBar.setValue(round(100 * (score or 0.0) / self._best) if self._best > 0 else 0)
        self._say(texts.agreement_words(score, self._start, self._best))

    def _say(self, words: str) -> None:
        self._ui.adjustLabel.text = words
        self._ui.adjustLabel.visible = bool(words)
