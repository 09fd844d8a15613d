"""The registration panel: what is chosen, the run, and its result."""

from __future__ import annotations

import json
from typing import Any

import qt
import slicer

from MultimodalRegistrationLib.engines.catalogue import ENGINES, choose_engine, engine_status
from MultimodalRegistrationLib.errors import RegistrationError
from MultimodalRegistrationLib.mrml.registration_job import Inputs, RegistrationJob, Settings
from MultimodalRegistrationLib.mrml.scene_change import SceneChange
from MultimodalRegistrationLib.panels import texts
from MultimodalRegistrationLib.panels.choice_box import ChoiceBox
from MultimodalRegistrationLib.panels.preset_table import PresetTable
from MultimodalRegistrationLib.panels.progress_view import ProgressView
from MultimodalRegistrationLib.panels.registration_run import Listener, RegistrationRun
from MultimodalRegistrationLib.panels.result_view import ResultView
from MultimodalRegistrationLib.presets.model import Preset, changed_preset
from MultimodalRegistrationLib.presets.store import find_preset, preset_files

__all__ = ["RegistrationPanel"]


class RegistrationPanel:
    """Brings the widgets, the parameter node and the run together.

    Parameters
    ----------
    ui : namespace
        Widgets of the .ui file by name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._parameters: Any = None
        self._run: RegistrationRun | None = None
        self._table_problem: str | None = None
        self._updating = False
        self._presets = _presets()
        self._boxes = {
            name: ChoiceBox(box, lambda value, name=name: self._choose(name, value))  # type: ignore[misc]
            for name, box in (
                ("preset", ui.presetBox),
                ("start", ui.startBox),
                ("pairing", ui.pairingBox),
                ("engine", ui.engineBox),
            )
        }
        self._boxes["preset"].fill((name, p.title, p.description) for name, p in self._presets.items())
        for name, choices in texts.choice_texts().items():
            self._boxes[name].fill((value, *words) for value, words in choices.items())
        self._progress = ProgressView(ui)
        self._result = ResultView(ui, on_undone=self._undone)
        self._table = PresetTable(ui, on_changed=self._change_preset, on_problem=self._table_has)
        ui.carriedSelector.connect("checkedNodesChanged()", self._choose_carried)
        self._tell(None)

    @property
    def running(self) -> bool:
        """Whether a registration runs."""
        return self._run is not None

    def use_parameters(self, parameters: Any) -> None:
        """Take the settings from a parameter node, or None while there is no scene."""
        self._parameters = parameters
        if parameters is not None:
            self.update()

    def choose_volumes(self) -> None:
        """Choose the first two volumes of the scene where nothing is chosen yet."""
        parameters = self._parameters
        if parameters.fixedVolume is not None or parameters.movingVolume is not None:
            return
        nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        scans = [node for node in nodes if node.GetClassName() == "vtkMRMLScalarVolumeNode"]
        scans = [node for node in scans if not node.GetHideFromEditors()]
        if len(scans) == 2:
            parameters.fixedVolume, parameters.movingVolume = scans

    def update(self) -> None:
        """Show what the parameter node holds."""
        parameters = self._parameters
        if parameters is None or self._updating:
            return
        self._updating = True
        try:
            for name in ("preset", "start", "pairing"):
                self._boxes[name].show(getattr(parameters, name))
            self._show_engines()
            self._show_table()
            self._show_carried()
            if not self.running:
                self._result.show(parameters.resultTransform, None)
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
            self._tell(texts.already_running())
            return
        parameters = self._parameters
        inputs = Inputs(
            parameters.fixedVolume,
            parameters.movingVolume,
            parameters.initialTransform,
            parameters.fixedLandmarks,
            parameters.movingLandmarks,
            parameters.fixedMask,
            parameters.movingMask,
            parameters.roi,
        )
        apply, carried = parameters.applyToMoving, [node.GetID() for node in parameters.carried if node is not None]
        listener = Listener(
            progress=self._progress.show,
            log=self._progress.log,
            done=lambda job: self._done(job, apply, carried),
            failed=self._failed,
        )
        try:
            self._run = RegistrationRun(inputs, self._settings(), listener)
        except RegistrationError as error:
            self._tell(texts.problem_words(error))
            return
        self._tell(None)
        self._progress.start()
        self._run.start()
        self._update_button()

    def cancel(self) -> None:
        """End the run; the scene is as it was."""
        if self._run is not None:
            self._run.cancel()
            self._stopped()
            self._tell(texts.CANCELLED, problem=False)

    def forget(self) -> None:
        """The scene is being closed."""
        if self._run is not None:
            self._run.cancel()
            self._stopped()
        self._result.forget()
        self._tell(None)

    def close(self) -> None:
        """The panel goes: end the run and wait for its process."""
        if self._run is not None:
            self._run.end()
            self._stopped()
        self._result.close()

    def _settings(self) -> Settings:
        parameters = self._parameters
        return Settings(
            self._chosen_preset(),
            parameters.engine or None,
            parameters.start,
            parameters.maxTranslation or None,
            parameters.maxRotation or None,
            parameters.pairing,
            parameters.resampledVolume,
            parameters.transformName.strip(),
        )

    def _chosen_preset(self) -> Preset:
        preset = find_preset(self._parameters.preset)
        for engine, stages in self._changes().items():
            preset = changed_preset(preset, engine, stages)
        return preset

    def _done(self, job: RegistrationJob, apply: bool, carried: list[str]) -> None:
        self._stopped()
        scene = slicer.mrmlScene
        change = SceneChange(scene)
        stayed = job.moving_stayed
        try:
            node, resampled, _content = job.finish(scene)
        except RegistrationError as error:
            self._failed(error)
            return
        change.add(node)
        if resampled is not None:
            change.add(resampled)
        moving = job.node("moving")
        notes = []
        if apply and stayed:
            nodes = {identifier: scene.GetNodeByID(identifier) for identifier in carried}
            for each in (moving, *nodes.values()):
                if each is not None:
                    change.apply(node, each)
        elif apply:
            notes.append(texts.moving_moved(moving.GetName()))
        # The node is already what the parameter node names when the panel is updated, with what can be undone.
        self._result.show(node, change)
        self._parameters.resultTransform = node
        self._result.look()
        self._tell(" ".join(notes) or None)
        self.update()

    def _failed(self, error: RegistrationError) -> None:
        self._stopped()
        self._tell(texts.problem_words(error))

    def _stopped(self) -> None:
        self._run = None
        self._progress.stop()
        self._update_button()

    def _undone(self) -> None:
        self._tell(None)
        self.update()

    def _tell(self, words: str | None, *, problem: bool = True) -> None:
        label = self._ui.messageLabel
        label.text = words or ""
        label.setStyleSheet(texts.problem_style() if problem and words else "")
        label.visible = bool(words)

    def _update_button(self) -> None:
        button = self._ui.registerButton
        if self.running:
            button.text, button.enabled, button.toolTip = texts.CANCEL, True, texts.CANCEL_HINT
            return
        button.text = texts.REGISTER
        missing = self._missing()
        button.enabled = missing is None
        parameters = self._parameters
        if missing is not None:
            button.toolTip = missing
            button.text = missing if len(missing) < texts.LONGEST_BUTTON else texts.REGISTER
        elif parameters is not None:
            button.toolTip = texts.ready_words(parameters.fixedVolume, parameters.movingVolume)

    def _missing(self) -> str | None:
        parameters = self._parameters
        if parameters is None:
            return texts.missing_words()
        return self._table_problem or texts.missing_words(
            fixed=parameters.fixedVolume,
            moving=parameters.movingVolume,
            fixed_landmarks=parameters.fixedLandmarks,
            moving_landmarks=parameters.movingLandmarks,
            initial=parameters.initialTransform,
        )

    def _choose(self, name: str, value: str) -> None:
        if self._parameters is not None and not self._updating:
            setattr(self._parameters, name, value)

    def _choose_carried(self) -> None:
        if self._parameters is not None and not self._updating:
            self._parameters.carried = list(self._ui.carriedSelector.checkedNodes())

    def _show_carried(self) -> None:
        box = self._ui.carriedSelector
        wanted = [node for node in self._parameters.carried if node is not None]
        for node in box.checkedNodes():
            if node not in wanted:
                box.setCheckState(node, qt.Qt.Unchecked)
        for node in wanted:
            box.setCheckState(node, qt.Qt.Checked)

    def _show_engines(self) -> None:
        preset = self._shown_preset()
        choices = [("", texts.best_engine_label(choose_engine(list(preset.engines))), "")]
        for name in preset.engines:
            label = texts.engine_label(name, ready=engine_status(name).ready, size_mb=ENGINES[name].size_mb)
            choices.append((name, label, ""))
        self._boxes["engine"].fill(choices)
        self._boxes["engine"].show(self._parameters.engine)

    def _show_table(self) -> None:
        preset = self._shown_preset()
        engine = self._engine(preset)
        self._table.show(preset, engine, self._changes().get(engine))

    def _shown_preset(self) -> Preset:
        """The preset chosen; one that was removed since the scene was saved is replaced by the first."""
        return self._presets.get(self._parameters.preset) or next(iter(self._presets.values()))

    def _engine(self, preset: Preset) -> str:
        chosen = self._parameters.engine
        return chosen if chosen in preset.engines else choose_engine(list(preset.engines))

    def _changes(self) -> dict[str, list[dict[str, Any]]]:
        changes: dict[str, Any] = json.loads(self._parameters.changedParameters)
        return dict(changes.get(self._parameters.preset, {}))

    def _change_preset(self, stages: list[dict[str, Any]] | None) -> None:
        parameters = self._parameters
        changes = json.loads(parameters.changedParameters)
        of_preset = changes.setdefault(parameters.preset, {})
        engine = self._engine(self._shown_preset())
        if stages is None:
            of_preset.pop(engine, None)
        else:
            of_preset[engine] = stages
        parameters.changedParameters = json.dumps(changes)

    def _table_has(self, problem: str | None) -> None:
        self._table_problem = problem
        self._update_button()


def _presets() -> dict[str, Preset]:
    """Presets by name, the one to begin with first."""
    found = {name: find_preset(name) for name in preset_files()}
    return dict(sorted(found.items(), key=lambda item: (item[0] != "rigid", item[0])))
