"""Progress of a run: bar, stage, times, log."""

from __future__ import annotations

import time
from typing import Any

import qt

from . import texts

__all__ = ["ProgressView"]

_MILLISECONDS_BETWEEN_UPDATES = 500


class ProgressView:
    """Shows how far a run is, while it runs.

    Parameters
    ----------
    ui : namespace
        With ``progressWidget``, ``progressBar``, ``stageLabel``, ``timeLabel`` and ``logText``.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._began = 0.0
        self._fraction = 0.0
        self._subject = self._stage = ""
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_UPDATES)
        self._timer.connect("timeout()", self._show_times)
        ui.progressBar.setRange(0, 1000)
        ui.progressBar.setTextVisible(False)
        ui.progressWidget.visible = False

    def start(self, subject: str = "", *, goes_on: bool = False) -> None:
        """Show an empty bar.

        Parameters
        ----------
        subject : str
            What the stages are about, where there are several runs.
        goes_on : bool
            Whether the log of the run before stays.
        """
        self._subject = subject
        self._began = time.monotonic()
        self._fraction = 0.0
        if not goes_on:
            self._ui.logText.clear()
        if subject:
            self.log(subject)
        self.show("", 0.0)
        self._show_times()
        self._ui.progressWidget.visible = True
        self._timer.start()

    def stop(self) -> None:
        """Hide everything but the log."""
        self._timer.stop()
        self._ui.progressWidget.visible = False

    def show(self, stage: str, fraction: float) -> None:
        """Show a stage and the fraction of the whole run."""
        if stage and stage != self._stage:
            self.log(texts.log_words(time.monotonic() - self._began, stage))
        self._stage = stage
        self._fraction = fraction
        self._ui.progressBar.value = round(1000 * fraction)
        self._ui.stageLabel.text = f"{self._subject}: {stage}" if self._subject and stage else self._subject or stage

    def log(self, line: str) -> None:
        """Add a line; the oldest ones go."""
        self._ui.logText.appendPlainText(line)

    def _show_times(self) -> None:
        self._ui.timeLabel.text = texts.elapsed_words(time.monotonic() - self._began, self._fraction)
