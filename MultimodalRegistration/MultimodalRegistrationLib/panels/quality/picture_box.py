"""The section that saves pictures: three planes before and after a transform."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer

from ...application.slice_views import views_cross_at
from ...assess.pictures.picture import MODES
from ...core.errors import InputError, RegistrationError
from ...io.outputs import plain_file_name
from ...mrml.picture_job import PictureJob, PictureSettings
from ..common.buttons import offer
from ..common.choice_box import ChoiceBox
from ..common.progress_view import ProgressView
from ..common.run_slot import RunSlot
from ..common.texts import problem_words
from . import texts

__all__ = ["PictureBox"]

_VIEWS = "views"


class PictureBox:
    """Draws a picture of the chosen volumes and saves it where the user says.

    Parameters
    ----------
    ui : namespace
        With ``pictureTransformBox``, ``pictureModeBox``, ``pictureAtBox`` and ``pictureButton``.
    progress : ProgressView
        Shows how far it is.
    on_stopped : callable
        Called when nothing is drawn any more.
    on_told : callable
        Called with a message, or None for that of before to go, and whether it is a problem.
    """

    def __init__(
        self,
        ui: Any,
        progress: ProgressView,
        *,
        on_stopped: Callable[[], None],
        on_told: Callable[[str | None, bool], None],
    ) -> None:
        self._ui = ui
        self._parameters: Any = None
        self._on_told = on_told
        self._runs: RunSlot[PictureJob] = RunSlot(texts.PICTURE_RUN, on_stopped=on_stopped, progress=progress)
        self._transforms = ChoiceBox(ui.pictureTransformBox, lambda _value: None)
        self._modes = ChoiceBox(ui.pictureModeBox, lambda value: self._choose("pictureMode", value))
        self._modes.fill((mode, *texts.mode_words(mode)) for mode in MODES)
        self._places = ChoiceBox(ui.pictureAtBox, lambda value: self._choose("pictureAt", value))
        self._places.fill((place, *words) for place, words in texts.place_words().items())
        ui.pictureButton.connect("clicked(bool)", self._save)

    @property
    def running(self) -> bool:
        """Whether a picture is being drawn."""
        return self._runs.running

    def show(self, parameters: Any, transforms: list[Any], *, missing: str | None) -> None:
        """Show the choices of the parameter node.

        Parameters
        ----------
        parameters : parameter node or None
            Holds the choices.
        transforms : list of vtkMRMLTransformNode
            Those that are ticked.
        missing : str, optional
            Why no picture can be drawn now.
        """
        self._parameters = parameters
        self._transforms.fill((node.GetID(), node.GetName(), node.GetName()) for node in transforms)
        if parameters is not None:
            self._modes.show(parameters.pictureMode)
            self._places.show(parameters.pictureAt)
        offer(self._ui.pictureButton, texts.PICTURE_HINT, missing)

    def check_nodes(self) -> None:
        """End it where one of the volumes was removed."""
        self._runs.check_nodes()

    def cancel(self) -> bool:
        """End what is being drawn; False where there is nothing."""
        return self._runs.cancel()

    def end(self) -> None:
        """Likewise, and wait for its process."""
        self._runs.end()

    def _choose(self, name: str, value: str) -> None:
        if self._parameters is not None:
            setattr(self._parameters, name, value)

    def _save(self, _checked: bool = False) -> None:
        transform = slicer.mrmlScene.GetNodeByID(self._transforms.value)
        if transform is None:
            return
        parameters = self._parameters
        fixed, moving = parameters.fixedVolume, parameters.movingVolume
        settings = PictureSettings(
            parameters.pictureMode,
            views_cross_at() if parameters.pictureAt == _VIEWS else None,
            parameters.pictureField or None,
        )
        target = _ask_for_file(transform.GetName())
        # The dialog was open for a while: the panel or the scene may have gone.
        if target is None or self._parameters is not parameters:
            return
        for node in (fixed, moving, transform):
            if node.GetScene() is None:
                self._failed(InputError(node.GetName(), *texts.removed_meanwhile()))
                return
        try:
            self._runs.start(
                lambda folder: PictureJob(fixed, moving, transform, settings, folder),
                done=lambda job: self._done(job, target),
                failed=self._failed,
            )
        except RegistrationError as error:
            self._failed(error)
            return
        self._on_told(None, False)

    def _done(self, job: PictureJob, target: Path) -> None:
        try:
            job.save(target)
        except OSError as error:
            self._failed(InputError(*texts.file_problem(error)))
            return
        except RegistrationError as error:
            self._failed(error)
            return
        self._on_told(texts.picture_saved(str(target)), False)

    def _failed(self, error: RegistrationError) -> None:
        self._on_told(problem_words(error), True)


def _ask_for_file(transform_name: str) -> Path | None:
    """Where the picture goes; the dialog asks before a file is replaced, but not about a suffix that was left out."""
    suggested = f"{plain_file_name(transform_name, 'picture')}.png"
    chosen = qt.QFileDialog.getSaveFileName(
        slicer.util.mainWindow(), texts.SAVE_PICTURE, suggested, texts.picture_filter()
    )
    if not chosen or chosen.lower().endswith(".png"):
        return Path(chosen) if chosen else None
    path = Path(f"{chosen}.png")
    if path.exists() and not slicer.util.confirmYesNoDisplay(texts.replace_question(path.name)):
        return None
    return path
