"""The panel: what can be clicked, when, and what happens then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from ...application.handover import hand_over, is_there
from ...application.volume_views import RegionViews
from ...core.errors import RegistrationError
from ...mrml.prepared_nodes import found_for, remove_nodes
from ...mrml.preprocess import Inputs, PreprocessJob, Settings, Task
from ...mrml.volume_findings import NodeFinding, add_remedy, check_kinds, is_usable
from ..common.buttons import let_shrink, offer
from ..common.messages import MessageLine
from ..common.progress_view import ProgressView
from ..common.run_slot import RunSlot
from ..common.scene_watch import SceneWatch
from ..common.texts import CANCEL, CANCELLED
from . import texts
from .bias_preview import BiasPreviewMaker
from .choices import Prealignment
from .findings_list import FindingsList

__all__ = ["PreprocessPanel"]

_NEXT_MODULE = "MultimodalRegistration"
_RESULTS = (
    *("preparedFixed", "preparedMoving", "preparedFixedMask", "preparedMovingMask"),
    *("fixedBiasField", "movingBiasField"),
)


class PreprocessPanel:
    """Connects the widgets of the panel to what they do.

    Parameters
    ----------
    ui : object
        Widgets by their names in the .ui file.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        let_shrink(ui)
        self._parameters: Any = None
        self._findings: tuple[NodeFinding, ...] = ()
        self._looked_at: tuple[Any, ...] = ()
        self._checked = False
        self._message = MessageLine(ui.problemLabel)
        self._runs: RunSlot[PreprocessJob] = RunSlot(texts.RUN, on_stopped=self._stopped, progress=ProgressView(ui))
        self._maker = BiasPreviewMaker(ui.previewLabel, self._previewed)
        self._list = FindingsList(ui.findingsWidget, self._remedy)
        ui.checkButton.connect("clicked()", lambda: self._start("check"))
        ui.findRegionButton.connect("clicked()", lambda: self._start("region"))
        ui.applyButton.connect("clicked()", self._prepare_or_cancel)
        ui.previewButton.connect("clicked()", self._preview)
        ui.registerButton.connect("clicked()", self._register)
        ui.removeButton.connect("clicked()", self._back_to_the_originals)
        ui.previewCaptionLabel.text = texts.PREVIEW_CAPTION
        self._views = RegionViews()
        self._watch = SceneWatch(self._scene_changed)

    @property
    def running(self) -> bool:
        """Whether a job is under way."""
        return self._runs.running

    def set_parameters(self, parameters: Any) -> None:
        """Show what a parameter node holds, or nothing.

        Parameters
        ----------
        parameters : RegistrationPreprocessParameterNode or None
            Connected to the widgets by the caller. None while the panel is not open: the views are given back then, and
            the region that was found is not seen.
        """
        if parameters is None:
            self._views.restore()
            self._show_region(False)
        self._parameters = parameters
        self._show_region(True)
        self.update()

    def _scene_changed(self) -> None:
        """Nodes came or went."""
        self._runs.check_nodes()
        self.update()

    def update(self) -> None:
        """Show what can be done with what is chosen now."""
        parameters = self._parameters
        if parameters is None:
            return
        self._look_at_volumes()
        for name, method in (
            ("initialTransform", Prealignment.TRANSFORM),
            ("fixedLandmarks", Prealignment.LANDMARKS),
            ("movingLandmarks", Prealignment.LANDMARKS),
        ):
            for widget in (getattr(self._ui, f"{name}Label"), getattr(self._ui, f"{name}Selector")):
                widget.visible = parameters.prealignment == method
        for widget in (self._ui.pairingLabel, self._ui.pairingBox):
            widget.visible = parameters.prealignment == Prealignment.LANDMARKS
        for widget in (
            *(self._ui.fixedMaskLabel, self._ui.fixedMaskSelector),
            *(self._ui.movingMaskLabel, self._ui.movingMaskSelector),
        ):
            widget.visible = parameters.masks
        self._ui.isotropicSpinBox.enabled = parameters.isotropic
        self._ui.marginSpinBox.enabled = parameters.roi is None or self._roi_was_found()
        self._update_buttons()
        self._update_results()

    def cancel(self) -> None:
        """End the job and the preview, if there is one; the scene is as it was."""
        self._maker.stop()
        if self._runs.cancel():
            self._message.done(CANCELLED)

    def end(self) -> None:
        """Likewise, and wait for its process: before the panel goes."""
        self._watch.close()
        self._maker.stop()
        self._runs.end()

    # Volumes and findings

    def _look_at_volumes(self) -> None:
        parameters = self._parameters
        nodes = parameters.fixedVolume, parameters.movingVolume
        state = tuple(None if node is None else (node.GetID(), node.GetTransformNodeID()) for node in nodes)
        if state == self._looked_at:
            return
        self._looked_at = state
        self._checked = False
        self._maker.stop()
        self._show_preview(False)
        # What was found for other volumes would be wrong for these.
        if parameters.roi is not None and not found_for(parameters.roi, *nodes):
            parameters.roi = None
        if parameters.initialTransform is not None and not found_for(parameters.initialTransform, *nodes):
            parameters.initialTransform = None
            parameters.prealignment = Prealignment.SEARCH
        present = [node for node in nodes if node is not None]
        self._findings = check_kinds(present[0], present[-1]) if present else ()
        if len(present) == 1:
            role = "fixed" if nodes[0] is not None else "moving"
            self._findings = tuple(found for found in self._findings if found.role == role)
        self._show_findings()

    def _show_findings(self) -> None:
        chosen = None not in (self._parameters.fixedVolume, self._parameters.movingVolume)
        if self._checked:
            self._list.show(self._findings, otherwise=texts.NOTHING_FOUND, good=True)
        else:
            self._list.show(self._findings, otherwise=texts.NOT_LOOKED_AT if chosen else texts.NOT_CHECKED)
        self._list.set_enabled(texts.already_running() if self.running else None)

    def _remedy(self, found: NodeFinding) -> None:
        parameters = self._parameters
        assert found.role is not None
        assert found.remedy is not None
        node = getattr(parameters, f"{found.role}Volume")
        try:
            made = add_remedy(slicer.mrmlScene, node, found.remedy)
        except RegistrationError as error:
            self._tell_problem(error)
            return
        self._tell_problem(None)
        if found.remedy == "mask":
            setattr(parameters, f"{found.role}Mask", made)
            parameters.masks = True
            setattr(parameters, f"{found.role}Volume", None)
        else:
            setattr(parameters, f"{found.role}Volume", made)

    # Jobs

    def _start(self, task: Task) -> None:
        parameters = self._parameters
        self._tell_problem(None)

        def done(job: PreprocessJob) -> None:
            {"check": self._checked_job, "region": self._region_job, "prepare": self._prepared_job}[task](
                parameters, job
            )

        try:
            self._runs.start(lambda folder: self._make_job(task, folder), done=done, failed=self._tell_problem)
        except RegistrationError as error:
            self._tell_problem(error)
            return
        self.update()
        self._list.set_enabled(texts.already_running())

    def _make_job(self, task: Task, folder: Path) -> PreprocessJob:
        chosen = self._parameters
        landmarks = chosen.prealignment == Prealignment.LANDMARKS
        return PreprocessJob(
            Inputs(
                chosen.fixedVolume,
                chosen.movingVolume,
                initial_transform=chosen.initialTransform if chosen.prealignment == Prealignment.TRANSFORM else None,
                fixed_landmarks=chosen.fixedLandmarks if landmarks else None,
                moving_landmarks=chosen.movingLandmarks if landmarks else None,
                roi=chosen.roi,
                fixed_mask=chosen.fixedMask if chosen.masks else None,
                moving_mask=chosen.movingMask if chosen.masks else None,
                region_parts=chosen.regionParts,
            ),
            Settings(
                margin_mm=chosen.marginMm,
                masks=chosen.masks,
                bias_correct=chosen.biasCorrection.roles,
                isotropic_mm=chosen.isotropicMm if chosen.isotropic else None,
                pairing=chosen.pairing.value,
            ),
            folder,
            task,
        )

    def _prepare_or_cancel(self) -> None:
        if self.running:
            self.cancel()
        else:
            self._start("prepare")

    def _checked_job(self, parameters: Any, job: PreprocessJob) -> None:
        # The panel may have been left and opened again meanwhile.
        if self._parameters is not None and job.is_about(parameters.fixedVolume, parameters.movingVolume):
            self._findings = (*check_kinds(parameters.fixedVolume, parameters.movingVolume), *job.findings())
            self._checked = True
            self._show_findings()
            self._update_buttons()

    def _region_job(self, parameters: Any, job: PreprocessJob) -> None:
        try:
            found = job.finish_region(slicer.mrmlScene)
        except RegistrationError as error:
            self._tell_problem(error)
            return
        parameters.roi = found.roi
        parameters.initialTransform = found.prealignment
        parameters.prealignment = Prealignment.TRANSFORM
        self._see(parameters.fixedVolume, found.roi)
        self.update()

    def _prepared_job(self, parameters: Any, job: PreprocessJob) -> None:
        try:
            made = job.finish(slicer.mrmlScene)
        except RegistrationError as error:
            self._tell_problem(error)
            return
        parameters.roi = made.roi
        parameters.preparedFixed, parameters.preparedMoving = made.fixed, made.moving
        parameters.preparedFixedMask, parameters.preparedMovingMask = made.fixed_mask, made.moving_mask
        parameters.fixedBiasField, parameters.movingBiasField = made.fixed_bias_field, made.moving_bias_field
        parameters.usedPrealignment = made.prealignment
        parameters.facts = list(made.facts)
        self._see(made.fixed, made.roi)
        self.update()

    def _stopped(self) -> None:
        self._list.set_enabled(None)
        self.update()

    def _tell_problem(self, error: RegistrationError | None) -> None:
        if error is None:
            self._message.clear()
        else:
            self._message.problem(texts.problem_words(error))

    # Bias field

    def _preview(self) -> None:
        role = self._parameters.biasCorrection.roles[-1]
        self._tell_problem(None)
        self._maker.start(getattr(self._parameters, f"{role}Volume"))
        self._update_buttons()

    def _previewed(self, error: RegistrationError | None) -> None:
        self._show_preview(error is None)
        self._tell_problem(error)
        if self._parameters is not None:
            self._update_buttons()

    def _show_preview(self, shown: bool) -> None:
        self._ui.previewLabel.visible = shown
        self._ui.previewCaptionLabel.visible = shown

    # Results

    def _see(self, volume: Any, roi: Any) -> None:
        """Show a region that was found; nothing of it while another module is open."""
        if self._parameters is not None:
            self._views.show(volume, roi)
        elif not found_for(roi, None, None) and roi.GetDisplayNode() is not None:
            roi.GetDisplayNode().SetVisibility(False)

    def _show_region(self, visible: bool) -> None:
        """Show the region that was found, or not: over a registered result it is in the way."""
        roi = None if self._parameters is None else self._parameters.roi
        if roi is not None and roi.GetDisplayNode() is not None and self._roi_was_found():
            roi.GetDisplayNode().SetVisibility(visible)

    def _register(self) -> None:
        chosen = self._parameters
        self._show_region(False)
        hand_over(
            _NEXT_MODULE,
            {
                "fixedVolume": chosen.preparedFixed,
                "movingVolume": chosen.preparedMoving,
                "fixedMask": chosen.preparedFixedMask,
                "movingMask": chosen.preparedMovingMask,
                "initialTransform": chosen.usedPrealignment,
                "fixedLandmarks": None,
                "movingLandmarks": None,
                "roi": None,
            },
        )

    def _back_to_the_originals(self) -> None:
        chosen = self._parameters
        self._views.restore()
        results = [getattr(chosen, name) for name in _RESULTS]
        if is_there(_NEXT_MODULE):
            there = slicer.util.getModuleLogic(_NEXT_MODULE).getParameterNode()
            for role in ("fixed", "moving"):
                if getattr(there, f"{role}Volume") in (None, getattr(chosen, f"prepared{role.capitalize()}")):
                    setattr(there, f"{role}Volume", getattr(chosen, f"{role}Volume"))
        remove_nodes(slicer.mrmlScene, [node for node in results if node is not None])
        chosen.facts = []
        self.update()

    def _update_results(self) -> None:
        chosen = self._parameters
        present = chosen.preparedFixed is not None and chosen.preparedMoving is not None
        self._ui.resultCollapsibleButton.visible = present
        results = [getattr(chosen, name) for name in _RESULTS]
        names = [node.GetName() for node in results if node is not None]
        self._ui.factsLabel.text = texts.facts_html(list(chosen.facts), names) if present else ""
        installed = is_there(_NEXT_MODULE)
        self._ui.registerButton.enabled = present and installed
        self._ui.registerButton.toolTip = texts.REGISTER_THESE if installed else texts.NO_REGISTRATION
        self._ui.removeButton.enabled = present
        self._ui.removeButton.toolTip = texts.REMOVE_RESULTS

    def _roi_was_found(self) -> bool:
        chosen = self._parameters
        return not found_for(chosen.roi, None, None) and found_for(chosen.roi, chosen.fixedVolume, chosen.movingVolume)

    def _update_buttons(self) -> None:
        ui, chosen = self._ui, self._parameters
        missing = texts.missing_words(chosen, refused=not is_usable(self._findings), scene=slicer.mrmlScene)
        waiting = texts.already_running() if self.running else None
        two = None not in (chosen.fixedVolume, chosen.movingVolume)
        unlooked = None if two and is_usable(check_kinds(chosen.fixedVolume, chosen.movingVolume)) else missing
        ready = "" if missing else texts.ready_words(chosen.fixedVolume, chosen.movingVolume)
        again = chosen.roi is not None and self._roi_was_found()
        region = texts.SET_REGION_AGAIN if again else texts.FIND_REGION
        for button, why, hint in (
            (ui.checkButton, waiting or unlooked, texts.CHECK),
            (ui.findRegionButton, waiting or missing, region),
            (ui.applyButton, None if waiting else missing, ready),
            (ui.previewButton, waiting or self._no_preview(), texts.PREVIEW),
        ):
            offer(button, hint, why)
        ui.applyButton.text = CANCEL if waiting else texts.PREPARE

    def _no_preview(self) -> str | None:
        if self._maker.running:
            return texts.PREVIEW_COMES
        roles = self._parameters.biasCorrection.roles
        if not roles:
            return texts.NO_BIAS
        if getattr(self._parameters, f"{roles[-1]}Volume") is None:
            return texts.missing_words(self._parameters, refused=False, scene=slicer.mrmlScene)
        return None
