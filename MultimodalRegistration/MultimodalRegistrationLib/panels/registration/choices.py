"""What is chosen in the panel, as a registration takes it."""

from __future__ import annotations

from typing import Any

import slicer

from ...engines.presets.preset import Preset
from ...mrml.registration_job import Inputs, Settings
from ...register.request import Stage
from . import texts
from .series import Series

__all__ = ["chosen_series", "missing_choice", "ready_words"]


def chosen_series(parameters: Any, preset: Preset, then: Preset | None, engine: str | None) -> Series:
    """What one press of the button registers.

    Parameters
    ----------
    parameters : MultimodalRegistrationParameterNode
        With both volumes.
    preset : Preset
        With its changes.
    then : Preset or None
        That of the second stage.
    engine : str or None
        None for the best one.

    Raises
    ------
    InputError
        The result cannot be written to the output that is chosen.
    """
    further = _further_volumes(parameters)
    inputs = Inputs(
        parameters.fixedVolume,
        parameters.movingVolume,
        parameters.initialTransform,
        parameters.fixedLandmarks,
        parameters.movingLandmarks,
        parameters.fixedMask,
        parameters.movingMask,
        parameters.roi,
        parameters.structures,
    )
    options = {
        "preset": preset,
        "then": () if then is None else (Stage(preset=then),),
        "engine": engine,
        "start": parameters.start,
        "max_translation_mm": parameters.maxTranslation or None,
        "max_rotation_deg": parameters.maxRotation or None,
        "pairing": parameters.pairing,
    }
    settings = Settings(options, parameters.resampledVolume)
    return Series(
        slicer.mrmlScene,
        inputs,
        further,
        settings,
        output=parameters.outputTransform,
        apply=parameters.applyToMoving,
        carried=[node for node in parameters.carried if node not in (None, inputs.fixed, inputs.moving, *further)],
    )


def missing_choice(parameters: Any, *, is_rigid: bool) -> str | None:
    """What has to be chosen before a run can start; None when nothing is missing.

    Parameters
    ----------
    parameters : MultimodalRegistrationParameterNode
        What is chosen.
    is_rigid : bool
        Whether the first stage is.
    """
    return texts.missing_words(
        fixed=parameters.fixedVolume,
        moving=parameters.movingVolume,
        fixed_landmarks=parameters.fixedLandmarks,
        moving_landmarks=parameters.movingLandmarks,
        initial=parameters.initialTransform,
        structures=parameters.structures,
        further=_further_volumes(parameters),
        moving_mask=parameters.movingMask,
        limits=[node for node in (parameters.fixedMask, parameters.movingMask, parameters.roi) if node is not None],
        start=parameters.start,
        then=parameters.then,
        is_rigid=is_rigid,
        scene=slicer.mrmlScene,
    )


def ready_words(parameters: Any) -> str:
    """What the button will do, once nothing is missing."""
    return texts.ready_words(
        parameters.fixedVolume, parameters.movingVolume, parameters.structures, _further_volumes(parameters)
    )


def _further_volumes(parameters: Any) -> list[Any]:
    """The volumes that are registered after the first one; what is chosen elsewhere already is none of them."""
    given = (None, parameters.fixedVolume, parameters.movingVolume)
    return [node for node in parameters.furtherVolumes if node not in given]
