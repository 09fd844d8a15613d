"""A stage of antsRegistration as others write it, into the settings of a preset and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from .specification import ENGINE_CHECKS

__all__ = ["METRIC", "AntsStage", "preset_stage", "stage_arguments", "transform_text"]

METRIC = "MI"
# What is in the brackets of --transform, in its order.
_TRANSFORM_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "Rigid": ("gradient_step",),
    "Similarity": ("gradient_step",),
    "Affine": ("gradient_step",),
    "SyN": ("gradient_step", "update_smoothing_voxels", "total_smoothing_voxels"),
}
# Both names mean Mattes's mutual information.
_METRICS = ("mi", "mattes")
_SAMPLINGS = {"": "None", "none": "None", "regular": "Regular", "random": "Random"}
_SIGMAS = {"mm": "smoothing_sigmas_mm", "vox": "smoothing_sigmas_vox"}


@dataclass(frozen=True)
class AntsStage:
    """A stage in the words of antsRegistration.

    Parameters
    ----------
    transform : str
        Name of the transform model, such as ``Rigid``.
    transform_settings : tuple of str
        What follows it in brackets.
    metrics : tuple of (str, tuple of str)
        Name of each metric, and what follows the volumes in its brackets: weight, bins, sampling, share.
    iterations, shrink_factors : tuple of int
        Per level.
    sigmas : tuple of float
        Per level.
    unit : {"mm", "vox"}
        Of the sigmas.
    threshold : float
        Of the convergence.
    window : int
        Iterations over which convergence is judged.
    """

    transform: str
    transform_settings: tuple[str, ...]
    metrics: tuple[tuple[str, tuple[str, ...]], ...]
    iterations: tuple[int, ...]
    shrink_factors: tuple[int, ...]
    sigmas: tuple[float, ...]
    unit: str
    threshold: float
    window: int


def preset_stage(stage: AntsStage, number: int, path: Path) -> dict[str, Any]:
    """Settings of a stage, checked.

    Parameters
    ----------
    stage : AntsStage
        As it was read.
    number : int
        Of the stage, from 1, for messages.
    path : Path
        The file that it was read from.

    Returns
    -------
    dict
        As in a preset.

    Raises
    ------
    InputError
        A transform, a metric or a value that presets do not have; the message names the stage.
    """
    where = f"stage {number} ({stage.transform})"
    name = next((each for each in _TRANSFORM_SETTINGS if each.lower() == stage.transform.lower()), None)
    if name is None:
        raise InputError(
            path,
            f"{where}: the transform {stage.transform} is not one that presets have",
            f"Leave the stage out, or use {', '.join(_TRANSFORM_SETTINGS)}.",
            code="stage",
        )
    metric, settings = stage.metrics[0] if stage.metrics else ("none", ())
    if len(stage.metrics) != 1 or metric.lower() not in _METRICS:
        raise InputError(
            path,
            f"{where}: its metric is {' and '.join(each for each, _ in stage.metrics) or 'not given'}",
            "Presets have mutual information between two volumes: use one metric, MI or Mattes.",
            code="stage",
        )
    _weight, bins, sampling, rate = (*settings, *("", "32", "", "1")[len(settings) :])[:4]
    values = zip(_TRANSFORM_SETTINGS[name], stage.transform_settings, strict=False)
    content: dict[str, Any] = {
        "transform": name.lower(),
        **{key: _number(value, where, path) for key, value in values},
        "histogram_bins": _number(bins, where, path),
        "sampling": _SAMPLINGS.get(sampling.lower(), sampling),
        "sampling_rate": _number(rate, where, path),
        "iterations": list(stage.iterations),
        "convergence_threshold": stage.threshold,
        "convergence_window": stage.window,
        "shrink_factors": list(stage.shrink_factors),
        _SIGMAS[stage.unit]: list(stage.sigmas),
    }
    problems = ENGINE_CHECKS["ants"](content)
    if problems:
        raise InputError(path, f"{where}: {'; '.join(problems)}", "Correct the file and try again.", code="stage")
    return content


def transform_text(stage: Mapping[str, Any]) -> tuple[str, str]:
    """Name of the transform of a preset's stage, and what follows it in brackets."""
    name = next(each for each in _TRANSFORM_SETTINGS if each.lower() == stage["transform"])
    return name, ",".join(str(stage[key]) for key in _TRANSFORM_SETTINGS[name])


def stage_arguments(stage: Mapping[str, Any], fixed: str, moving: str) -> list[str]:
    """Arguments of antsRegistration for a preset's stage.

    Parameters
    ----------
    stage : mapping
        As in a preset.
    fixed, moving : str
        How the volumes are named in the command.

    Returns
    -------
    list of str
        Options and values in turns.
    """
    sampling = f"{stage['sampling']},{stage['sampling_rate']}"
    convergence = f"[{_joined(stage['iterations'])},{stage['convergence_threshold']},{stage['convergence_window']}]"
    unit, sigmas = next((unit, stage[key]) for unit, key in _SIGMAS.items() if key in stage)
    return [
        *("--transform", "{}[{}]".format(*transform_text(stage))),
        *("--metric", f"{METRIC}[{fixed},{moving},1,{stage['histogram_bins']},{sampling}]"),
        *("--convergence", convergence),
        *("--shrink-factors", _joined(stage["shrink_factors"])),
        *("--smoothing-sigmas", _joined(sigmas) + unit),
    ]


def _joined(values: list[float]) -> str:
    """Values per level, as antsRegistration takes them."""
    return "x".join(str(value) for value in values)


def _number(text: str, where: str, path: Path) -> int | float:
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(path, f"{where}: '{text}' is not a number", "Correct the file.", code="stage") from error
    return int(text) if text.strip().isdigit() else value
