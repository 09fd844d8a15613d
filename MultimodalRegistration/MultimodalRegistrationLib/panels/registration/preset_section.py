"""Preset, engine and the parameters of both."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import qt
import slicer

from ...core.errors import InputError
from ...engines.catalogue import ENGINES, PREFERENCE, engine_status
from ...engines.presets.elastix_files import in_usual_order
from ...engines.presets.exchange import import_presets
from ...engines.presets.preset import (
    DEFAULT_PRESET,
    Preset,
    changed_preset,
    find_preset,
    preset_files,
    save_presets,
    user_preset_folder,
)
from ..common.choice_box import ChoiceBox
from ..common.texts import problem_words
from . import texts
from .preset_table import PresetTable

__all__ = ["PresetSection"]


class PresetSection:
    """Keeps the widgets of the preset and the parameter node the same.

    Parameters
    ----------
    ui : namespace
        With ``presetBox``, ``thenBox``, ``engineBox``, ``savePresetButton``, ``importPresetsButton`` and what
        :class:`PresetTable` needs.
    on_problem : callable
        Called with what is wrong with the table, or None.
    on_told : callable
        Called with a message about presets that were saved or imported, and whether it is a problem.
    """

    def __init__(
        self, ui: Any, *, on_problem: Callable[[str | None], None], on_told: Callable[[str, bool], None]
    ) -> None:
        self._parameters: Any = None
        self._updating = False
        self._ready: dict[str, bool] = {}
        self._on_told = on_told
        self._preset_box = ChoiceBox(ui.presetBox, lambda value: self._choose("preset", value))
        self._then_box = ChoiceBox(ui.thenBox, lambda value: self._choose("then", value))
        self._presets: dict[str, Preset] = {}
        self.unreadable = self._look_for_presets()
        self._engine_box = ChoiceBox(ui.engineBox, lambda value: self._choose("engine", value))
        self._table = PresetTable(ui, on_changed=self._change, on_problem=on_problem)
        ui.savePresetButton.connect("clicked(bool)", self._save)
        ui.importPresetsButton.connect("clicked(bool)", self._import)
        self.look_for_engines()

    def use_parameters(self, parameters: Any) -> None:
        """Take the settings from a parameter node, or None."""
        self._parameters = parameters

    def look_for_engines(self) -> None:
        """Find out anew which engines are installed."""
        self._ready = {name: engine_status(name).ready for name in ENGINES}

    def update(self) -> None:
        """Show what the parameter node holds."""
        self._updating = True
        try:
            preset = self._preset()
            self._preset_box.show(self._parameters.preset)
            self._then_box.show(self._parameters.then)
            choices = [("", texts.best_engine_label(self._best(preset)), "")]
            for name in preset.engines:
                label = texts.engine_label(name, ready=self._ready[name], size_mb=ENGINES[name].size_mb)
                choices.append((name, label, ""))
            self._engine_box.fill(choices)
            self._engine_box.show(self._parameters.engine)
            engine = self.engine()
            self._table.show(preset, engine, self._changes().get(engine))
        finally:
            self._updating = False

    def engine(self) -> str:
        """The engine that will run."""
        preset = self._preset()
        chosen = self._parameters.engine
        return chosen if chosen in preset.engines else self._best(preset)

    def is_rigid(self) -> bool:
        """Whether the first stage is."""
        return self._preset().is_rigid(self.engine())

    def engines(self) -> list[str]:
        """The engines that will run, each once."""
        then = self._presets.get(self._parameters.then)
        return list(dict.fromkeys([self.engine(), *([] if then is None else [self._best(then)])]))

    def chosen(self) -> tuple[Preset, Preset | None, str | None]:
        """The preset with its changes, that of the second stage, and the engine asked for, or None for the best one.

        Raises
        ------
        InputError
            A preset that was saved with the scene is not there any more.
        """
        preset = find_preset(self._parameters.preset)
        for engine, stages in self._changes().items():
            preset = changed_preset(preset, engine, stages)
        then = find_preset(self._parameters.then) if self._parameters.then else None
        return preset, then, self._parameters.engine if self._parameters.engine in preset.engines else None

    def _look_for_presets(self) -> list[str]:
        """Offer all presets there are; gives what is wrong with those that cannot be read."""
        self._presets, problems = _presets()
        choices = [(name, _label(name, each), each.description) for name, each in self._presets.items()]
        self._preset_box.fill(choices)
        self._then_box.fill([("", *texts.no_second_stage()), *choices])
        return problems

    def _save(self) -> None:
        """Save the preset with its changes under another name."""
        if self._parameters is None:
            return
        try:
            preset = self.chosen()[0]
            name = _ask_for_name(texts.SAVE_PRESET, self._parameters.preset)
            if not name:
                return
            save_presets([dataclasses.replace(preset, name=name, title=name)])
        except InputError as error:
            self._on_told(problem_words(error), True)
            return
        changes = json.loads(self._parameters.changedParameters)
        changes.pop(self._parameters.preset, None)
        self._parameters.changedParameters = json.dumps(changes)
        self._offer(name)
        self._on_told(texts.preset_saved(name, str(user_preset_folder())), False)

    def _import(self) -> None:
        """Make presets of files of other programs."""
        if self._parameters is None:
            return
        paths = qt.QFileDialog.getOpenFileNames(
            slicer.util.mainWindow(), texts.IMPORT_PRESETS, "", texts.preset_file_filter()
        )
        if not paths:
            return
        try:
            imported = import_presets(in_usual_order(paths))
            presets = list(imported.presets)
            if len(presets) == 1:
                name = _ask_for_name(texts.IMPORT_PRESETS, presets[0].name)
                if not name:
                    return
                presets = [dataclasses.replace(presets[0], name=name)]
            save_presets(presets)
        except InputError as error:
            self._on_told(problem_words(error), True)
            return
        if presets:
            self._offer(presets[0].name)
        refused = [problem_words(error) for error in imported.refused]
        words = texts.presets_imported(
            [preset.name for preset in presets], [*imported.unknown, *refused], imported.notes
        )
        self._on_told(words, bool(imported.unknown or refused))

    def _offer(self, name: str) -> None:
        """Choose a preset that was just saved."""
        self._look_for_presets()
        self._parameters.preset = name
        self.update()

    def _preset(self) -> Preset:
        """The preset chosen; one that was removed since the scene was saved is shown as the first."""
        return self._presets.get(self._parameters.preset) or next(iter(self._presets.values()))

    def _best(self, preset: Preset) -> str:
        """The best engine installed; where there is none, the best one."""
        usable = [name for name in PREFERENCE if name in preset.engines]
        return next((name for name in usable if self._ready[name]), usable[0])

    def _changes(self) -> dict[str, list[dict[str, Any]]]:
        return dict(json.loads(self._parameters.changedParameters).get(self._parameters.preset, {}))

    def _choose(self, name: str, value: str) -> None:
        if self._parameters is not None and not self._updating:
            setattr(self._parameters, name, value)

    def _change(self, stages: list[dict[str, Any]] | None) -> None:
        changes = json.loads(self._parameters.changedParameters)
        of_preset = changes.setdefault(self._parameters.preset, {})
        if stages is None:
            of_preset.pop(self.engine(), None)
        else:
            of_preset[self.engine()] = stages
        if not of_preset:
            del changes[self._parameters.preset]
        self._parameters.changedParameters = json.dumps(changes)


def _label(name: str, preset: Preset) -> str:
    """What the list calls a preset."""
    own = preset.path.parent == user_preset_folder()
    return texts.own_preset_label(name, preset.title) if own else preset.title


def _ask_for_name(title: str, suggested: str) -> str:
    """A name for a preset, empty when the user wants none."""
    name = qt.QInputDialog.getText(
        slicer.util.mainWindow(), title, texts.NAME_OF_PRESET, qt.QLineEdit.Normal, suggested
    )
    return (name or "").strip()


def _presets() -> tuple[dict[str, Preset], list[str]]:
    """Presets by name, the one to begin with first; and what is wrong with those that cannot be read."""
    found, problems = {}, []
    for name in sorted(preset_files(), key=lambda name: (name != DEFAULT_PRESET, name)):
        try:
            found[name] = find_preset(name)
        except InputError as error:
            problems.append(problem_words(error))
    return found, problems
