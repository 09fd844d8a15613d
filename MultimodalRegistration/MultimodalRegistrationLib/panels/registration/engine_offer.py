"""Asks before an engine is installed, and installs it while the window lives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer

from ...application import engine_packages
from ...core.errors import Cancelled, EngineNotInstalledError
from ..common.texts import problem_words
from . import texts

__all__ = ["EngineOffer"]


class EngineOffer:
    """Installs engines when they are first needed.

    Parameters
    ----------
    on_line : callable
        Called with each line that the installation prints.
    """

    def __init__(self, *, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._stopped = False
        self.installing = False

    def stop(self) -> None:
        """Stop an installation; nothing is left of it."""
        self._stopped = True

    def ensure(self, engine: str, *, second: bool, on_start: Callable[[], None]) -> bool:
        """Make sure that an engine is installed, asking first.

        Parameters
        ----------
        engine : str
            Its name.
        second : bool
            Whether only the second stage needs it.
        on_start : callable
            Called when an installation begins.

        Returns
        -------
        bool
            Whether it is; False when the user declined or stopped it.

        Raises
        ------
        RegistrationError
            It could not be installed.
        """
        need = engine_packages.missing(engine)
        if need is None:
            return True
        question = texts.install_question(engine, need.download_mb, need.installed_mb, second=second)
        if not slicer.util.confirmOkCancelDisplay(question, windowTitle=texts.INSTALL_TITLE):
            return False
        self._stopped, self.installing = False, True
        try:
            on_start()
            return self._install(engine)
        finally:
            self.installing = False

    def _install(self, engine: str) -> bool:
        wheels: Path | None = None
        while True:
            try:
                engine_packages.install(
                    engine, wheels_folder=wheels, on_line=self._on_line, should_stop=self._should_stop
                )
            except Cancelled:
                return False
            except EngineNotInstalledError as error:
                wheels = self._ask_for_wheels(problem_words(error))
                if wheels is None:
                    raise
            else:
                return True

    def _should_stop(self) -> bool:
        slicer.app.processEvents()
        return self._stopped

    def _ask_for_wheels(self, problem: str) -> Path | None:
        question = texts.wheels_question(problem)
        if not slicer.util.confirmYesNoDisplay(question, windowTitle=texts.INSTALL_TITLE):
            return None
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), texts.WHEELS_TITLE)
        return Path(folder) if folder else None
