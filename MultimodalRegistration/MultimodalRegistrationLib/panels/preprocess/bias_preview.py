"""One slice before and after the correction of the bias field, shown in a label."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import qt

from ...application.child_python import temporary_folder
from ...core.errors import RegistrationError
from ...mrml.prepared_nodes import bias_preview_steps
from ...mrml.steps import shares
from ...preprocess.bias import BiasPreview, write_preview
from ..common.stepper import Stepper

__all__ = ["BiasPreviewMaker"]


class BiasPreviewMaker:
    """Makes a preview while the window lives on.

    Parameters
    ----------
    label : QLabel
        Gets the picture.
    on_end : callable
        Called with None once the picture is there, or with the reason why there is none; not once it is stopped.
    """

    def __init__(self, label: Any, on_end: Callable[[RegistrationError | None], None]) -> None:
        self._label, self._on_end = label, on_end
        self._stepper: Stepper | None = None
        self._under_way: Generator[float, None, None] | None = None
        self._made: BiasPreview | None = None

    @property
    def running(self) -> bool:
        """Whether a preview is on its way."""
        return self._stepper is not None

    def start(self, node: Any) -> None:
        """Begin with a volume node, which is not changed."""
        self.stop()
        self._under_way = self._steps(node)
        self._stepper = Stepper(self._under_way, lambda share: None, self._ended)
        self._stepper.start()

    def stop(self) -> None:
        """Take no further step; nothing is called any more."""
        if self._stepper is not None:
            self._stepper.stop()
            self._stepper = None
        if self._under_way is not None:
            self._under_way.close()
            self._under_way = None

    def _steps(self, node: Any) -> Generator[float, None, None]:
        self._made = yield from shares(bias_preview_steps(node))

    def _ended(self, error: Exception | None) -> None:
        self._stepper = self._under_way = None
        if error is None:
            assert self._made is not None
            with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
                path = Path(folder) / "preview.png"
                write_preview(self._made, path)
                self._label.setPixmap(qt.QPixmap(str(path)))
            self._on_end(None)
        elif isinstance(error, RegistrationError):
            self._on_end(error)
        else:
            raise error
