"""The log file of the application: errors of VTK and of Python's logging, as Slicer writes them."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import vtk


class ErrorLog(logging.Handler):
    """Writes a line for each message, in the pattern of ctkErrorLogAbstractModel."""

    def __init__(self, folder: str) -> None:
        super().__init__(logging.ERROR)
        self.path = Path(folder) / "Slicer.log"
        self._window = vtk.vtkOutputWindow.GetInstance()
        self._tag = self._window.AddObserver("ErrorEvent", self._vtk_error)
        logging.getLogger().addHandler(self)

    def stop(self) -> None:
        self._window.RemoveObserver(self._tag)
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._write("Python", record.getMessage())

    @vtk.calldata_type(vtk.VTK_STRING)
    def _vtk_error(self, _window: Any, _event: str, text: str) -> None:
        self._write("VTK", text)

    def _write(self, origin: str, text: str) -> None:
        stamp = datetime.now().strftime("%d.%m.%Y %H:%M:%S")
        with self.path.open("a", encoding="utf-8") as log:
            log.write(f"[ERROR][{origin}] {stamp} [] (unknown:0) - {' '.join(text.split())}\n")
