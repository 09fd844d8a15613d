"""The presets, engines and later stages of a study, each read once."""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import InputError, RegistrationError
from ..engines.catalogue import require_engine
from ..engines.presets.store import find_preset, names_preset_file
from ..preprocess.steps import find_steps
from ..register.run import select_engine
from ..register.then_text import MASK_KEYS, ROI_KEYS, split_then, then_of
from .file_checks import StudyFiles

__all__ = ["StudyPresets"]


class StudyPresets:
    """Finds what a study names and checks it.

    Parameters
    ----------
    files : StudyFiles
        Where paths lead.
    """

    def __init__(self, files: StudyFiles) -> None:
        self._files = files
        self._found: dict[tuple[str, ...], str | RegistrationError] = {}

    def preset(self, text: str) -> str:
        """The name of a preset, or the absolute path of its file.

        Raises
        ------
        InputError
            Unknown, or no preset.
        """
        return self._once(("preset", text), lambda: self._preset(text))

    def engine(self, preset: str, engine: str | None) -> None:
        """Check that a preset can run.

        Parameters
        ----------
        preset : str
            From :meth:`preset`.
        engine : str or None
            None for the best one.

        Raises
        ------
        RegistrationError
            No settings for the engine, or it is not installed.
        """
        self._once(("engine", preset, engine or ""), lambda: self._engine(preset, engine))

    def steps(self, text: str) -> str:
        """The name of preprocessing steps, or the absolute path of their file.

        Raises
        ------
        InputError
            Unknown, or no such file.
        """
        return self._once(("steps", text), lambda: self._steps(text))

    def then(self, text: str) -> str:
        """A later stage with absolute paths.

        Raises
        ------
        RegistrationError
            It cannot run, or a file is missing.
        """
        return self._once(("then", text), lambda: self._then(text))

    def _once(self, key: tuple[str, ...], find: Callable[[], str]) -> str:
        if key not in self._found:
            try:
                self._found[key] = find()
            except RegistrationError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, RegistrationError):
            raise found
        return found

    def _preset(self, text: str) -> str:
        where = str(self._files.absolute(text)) if names_preset_file(text) else text
        find_preset(where)
        return where

    def _engine(self, preset: str, engine: str | None) -> str:
        # A run would notice only when it starts the engine, hours into the study.
        return require_engine(select_engine(find_preset(preset), engine)).engine.name

    def _steps(self, text: str) -> str:
        if text in ("auto", "none"):
            return text
        path = self._files.absolute(text)
        self._files.check(path, "file")
        find_steps(str(path))
        return str(path)

    def _then(self, text: str) -> str:
        name, settings = split_then(text)
        name = self.preset(name)
        for key, value in settings.items():
            if key in (*MASK_KEYS, *ROI_KEYS):
                path = self._files.absolute(value)
                self._files.check(path, "mask" if key in MASK_KEYS else "file")
                settings[key] = str(path)
        whole = ",".join([name, *(f"{key}={value}" for key, value in settings.items())])
        if split_then(whole) != (name, settings):
            raise InputError(
                text, "the path of a file in it holds what looks like a setting", "Rename the folder or the file."
            )
        require_engine(then_of(whole).engine)
        return whole
