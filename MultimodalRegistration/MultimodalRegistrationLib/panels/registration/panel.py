"""The registration panel: what is chosen, the run, and its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from ...core.errors import RegistrationError
from ...mrml.registration_job import RegistrationJob
from ...mrml.scene_nodes import only_two_scans
from ..common.background_job import ChildProcess, QtProcess
from ..common.buttons import let_shrink
from ..common.checked_nodes import CheckedNodes
from ..common.choice_box import ChoiceBox
from ..common.messages import MessageLine
from ..common.progress_view import ProgressView
from ..common.run_slot import RunSlot
from ..common.scene_watch import SceneWatch
from ..common.texts import CANCEL, CANCELLED, busy_words, problem_words
from . import texts
from .adjust_box import MAX_ROTATION_DEG, MAX_TRANSLATION_MM, AdjustBox
from .choices import chosen_series, missing_choice, ready_words
from .engine_offer import EngineOffer
from .preset_section import PresetSection
from .recover_box import RecoverBox
from .result_view import ResultView
from .series import Series

__all__ = ["RegistrationPanel"]


class RegistrationPanel:
    """Brings the widgets, the parameter node and the run together.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    make_process : callable
        Makes the process of a run of its arguments.
    """

    def __init__(self, ui: Any, *, make_process: Callable[[list[str]], ChildProcess] = QtProcess) -> None:
        self._ui = ui
        let_shrink(ui)
        self.make_process = make_process
        self._parameters: Any = None
        self._table_problem: str | None = None
        self._offered: tuple[Any, Any] | None = None
        self._words: str | None = None
        self._missing_then: str | None = None
        self._is_problem = False
        self._updating = False
        self._boxes = {
            name: ChoiceBox(box, lambda value, name=name: self._choose(name, value))  # type: ignore[misc]
            for name, box in (("start", ui.startBox), ("pairing", ui.pairingBox))
        }
        for name, choices in texts.choice_texts().items():
            self._boxes[name].fill((value, *words) for value, words in choices.items())
        self._progress = ProgressView(ui)
        self._message = MessageLine(ui.messageLabel)
        self._runs: RunSlot[RegistrationJob] = RunSlot(
            texts.RUN, on_stopped=self._update_button, progress=self._progress
        )
        self._series: Series | None = None
        self._shown: Series | None = None
        self._results = ChoiceBox(ui.resultsBox, self._choose_result)
        ui.resultsBox.visible = False
        self._checked = [
            CheckedNodes(ui.furtherSelector, "furtherVolumes", ui.furtherSelectorLabel),
            CheckedNodes(ui.carriedSelector, "carried", ui.carriedSelectorLabel),
        ]
        self._recover = RecoverBox(
            ui,
            self._progress,
            on_stopped=self._update_button,
            on_told=lambda words, problem: self._tell(words, problem=problem),
        )
        self._result = ResultView(ui, on_undone=self._undone)
        self._adjust = AdjustBox(
            ui,
            self._result.comparison,
            on_begun=lambda: self._result.set_aside(True),
            on_ended=lambda: self._result.set_aside(False),
            on_register=self._register_from,
        )
        self._offer = EngineOffer(on_line=self._progress.log)
        self._preset = PresetSection(
            ui, on_problem=self._table_has, on_told=lambda words, problem: self._tell(words, problem=problem)
        )
        ui.recoverButton.connect("clicked(bool)", lambda _checked=False: self._recover.start(self.make_process))
        self._tell(" ".join(self._preset.unreadable) or None)
        self._watch = SceneWatch(self._scene_changed)

    @property
    def running(self) -> bool:
        """Whether a registration or a search runs, or an engine is installed."""
        return self._runs.running or self._recover.running or self._offer.installing

    def use_parameters(self, parameters: Any) -> None:
        """Take the settings from a parameter node, or None while there is no scene."""
        self._parameters = parameters
        self._preset.use_parameters(parameters)
        if parameters is None:
            self._offered = None
            for nodes in self._checked:
                nodes.show(None)
        else:
            self._preset.look_for_engines()
            self.update()

    def choose_volumes(self) -> None:
        """Choose the first two volumes of the scene where nothing is chosen yet; the same two only once."""
        parameters, scans = self._parameters, only_two_scans(slicer.mrmlScene)
        offered, self._offered = self._offered, scans
        if parameters.fixedVolume is not None or parameters.movingVolume is not None or scans in (None, offered):
            return
        # As one change: what is missing in between is nobody's doing, and must not replace what was said.
        self._updating = True
        try:
            parameters.fixedVolume, parameters.movingVolume = scans
        finally:
            self._updating = False
        self.update()

    def _scene_changed(self) -> None:
        """Nodes came or went."""
        self._runs.check_nodes()
        self._recover.check_nodes()
        if self._parameters is not None and not self.running:
            self.choose_volumes()
        self._update_button()

    def update(self) -> None:
        """Show what the parameter node holds."""
        parameters = self._parameters
        if parameters is None or self._updating:
            return
        self._updating = True
        try:
            for name, box in self._boxes.items():
                box.show(getattr(parameters, name))
            self._preset.update()
            for nodes in self._checked:
                nodes.show(parameters)
            if not self.running:
                self._show_result()
            self._update_button()
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
        if not self._engine_ready():
            return
        try:
            self._series = chosen_series(self._parameters, *self._preset.chosen())
        except RegistrationError as error:
            self._tell(problem_words(error))
            return
        self._go_on()

    def _go_on(self) -> None:
        """Register the next volume, or show what there is."""
        series = self._series
        assert series is not None, "there is one while volumes are registered"
        while series.left:
            subject, goes_on = series.subject, series.begun
            try:
                self._runs.start(
                    series.next_job,
                    done=self._done,
                    failed=self._failed,
                    make_process=self.make_process,
                    subject=subject,
                    goes_on=goes_on,
                )
            except RegistrationError as error:
                series.miss(error)
                continue
            self._tell(None)
            return
        self._series = None
        self._show(series)

    def _engine_ready(self) -> bool:
        """Whether the engines are installed, after an offer to install them; the panel may be gone afterwards."""
        parameters = self._parameters

        def begin() -> None:
            self._tell(None)
            self._progress.start()
            self._progress.show(texts.INSTALLING, 0.0)

        try:
            ready, problem = True, None
            for number, engine in enumerate(self._preset.engines()):
                if not self._offer.ensure(engine, second=number > 0, on_start=begin):
                    ready, problem = False, texts.engine_declined(engine, second=number > 0)
                    break
        except RegistrationError as error:
            ready, problem = False, problem_words(error)
        self._progress.stop()
        if self._parameters is None or self._parameters is not parameters:
            return False
        self._preset.look_for_engines()
        self._preset.update()
        self._tell(problem)
        return ready

    def cancel(self) -> None:
        """End the run; the scene is as it was."""
        self._offer.stop()
        if self._recover.cancel():
            self._tell(CANCELLED, problem=False)
        if self._runs.cancel():
            if self._series is not None:
                self._series.cancel()
                self._series = None
            self._tell(CANCELLED, problem=False)

    def enter(self) -> None:
        """The user opens the panel, or a scene was loaded while it is open: show the result, if there is one."""
        self._result.enter()

    def leave(self) -> None:
        """The user opens another module; a run goes on."""
        self._adjust.leave()
        self._result.leave()

    def forget(self) -> None:
        """The scene is being closed."""
        self._offer.stop()
        self._runs.cancel()
        self._recover.cancel()
        self._series = self._shown = None
        self._adjust.forget()
        self._result.forget()
        self._tell(None)

    def close(self) -> None:
        """The panel goes: end the run and wait for its process."""
        self._watch.close()
        self._offer.stop()
        self._adjust.leave()
        self._runs.end()
        self._recover.end()
        if self._series is not None:
            self._series.cancel()
        self._series = self._shown = None
        self._update_button()
        self._result.close()

    def _register_from(self, node: Any) -> None:
        """Start a registration near a pose that was set by hand; what the user chose holds again for the next one."""
        parameters = self._parameters
        values = {
            "fixedLandmarks": None,
            "movingLandmarks": None,
            "initialTransform": node,
            "start": "auto",
            "maxTranslation": min(parameters.maxTranslation or MAX_TRANSLATION_MM, MAX_TRANSLATION_MM),
            "maxRotation": min(parameters.maxRotation or MAX_ROTATION_DEG, MAX_ROTATION_DEG),
        }
        chosen = {name: getattr(parameters, name) for name in values}
        # A run takes its settings when it starts.
        self._updating = True
        try:
            for name, value in values.items():
                setattr(parameters, name, value)
            self.start()
        finally:
            for name, value in chosen.items():
                setattr(parameters, name, value)
            self._updating = False
        self.update()

    def _done(self, job: RegistrationJob) -> None:
        assert self._series is not None, "there is one while a volume is registered"
        try:
            self._series.take(job)
        except RegistrationError as error:
            self._series.miss(error)
        self._go_on()

    def _failed(self, error: RegistrationError) -> None:
        assert self._series is not None, "there is one while a volume is registered"
        self._series.miss(error)
        self._go_on()

    def _show(self, series: Series) -> None:
        if series.worst is not None:
            self._shown = series
            # In the next turn of the event loop: the views take their time.
            qt.QTimer.singleShot(0, self._result.look)
            self._parameters.resultTransform = series.worst
            if self._parameters.outputTransform in series.results:
                # The next run must not overwrite what this one found, unless that is chosen again.
                self._parameters.outputTransform = None
            self._show_result()
        self._tell(series.words, problem=series.has_problem)

    def _show_result(self) -> None:
        """Show the result that is chosen, with what can be undone; another one where it was removed."""
        series, node = self._shown, self._parameters.resultTransform
        if series is not None and node is None and series.worst is not None:
            node = self._parameters.resultTransform = series.worst
        results = [] if series is None else series.results
        known = node is not None and node in results
        self._results.fill((one.GetID(), one.GetName(), one.GetName()) for one in (results if known else ()))
        if known:
            self._results.show(node.GetID())
        self._ui.resultsBox.visible = known and len(results) > 1
        self._result.show(node, series.change if known and series is not None else None)

    def _choose_result(self, identifier: str) -> None:
        if self._parameters is not None and not self._updating:
            self._parameters.resultTransform = slicer.mrmlScene.GetNodeByID(identifier)
            self._result.look()

    def _undone(self) -> None:
        self._shown = None
        self._tell(None)
        self.update()

    def _tell(self, words: str | None, *, problem: bool = True) -> None:
        """Say what went wrong or what was done; what is missing is said where there is nothing else to say."""
        self._words, self._is_problem, self._missing_then = words, problem, self._missing()
        self._update_button()

    def _update_button(self) -> None:
        ui, parameters, missing = self._ui, self._parameters, self._missing()
        if missing is not None and missing != self._missing_then and not self.running:
            # What was said before says nothing about why there is no run now.
            self._words = None
        self._missing_then = missing
        words = self._words or (None if self.running else missing)
        if words is None:
            self._message.clear()
        elif self._words and self._is_problem:
            self._message.problem(words)
        else:
            self._message.note(words)
        self._result.set_running(self.running)
        self._adjust.show(parameters, running=self.running)
        self._recover.show(parameters, busy=self.running)
        button = ui.registerButton
        button.text = CANCEL if self.running else texts.REGISTER
        button.enabled = self.running or missing is None
        if self.running:
            button.toolTip = texts.CANCEL_HINT
        else:
            button.toolTip = missing or ready_words(parameters)

    def _missing(self) -> str | None:
        parameters = self._parameters
        if parameters is None:
            return texts.missing_words()
        return self._table_problem or missing_choice(parameters, is_rigid=self._preset.is_rigid())

    def _choose(self, name: str, value: str) -> None:
        if self._parameters is not None and not self._updating:
            setattr(self._parameters, name, value)

    def _table_has(self, problem: str | None) -> None:
        self._table_problem = problem
        self._update_button()
