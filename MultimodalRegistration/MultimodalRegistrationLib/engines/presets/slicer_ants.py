"""Presets of the Slicer extension SlicerANTs: JSON with the stages of antsRegistration.

The threshold of the convergence is there the exponent of ten without its sign.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from .ants_stages import METRIC, AntsStage, preset_stage, transform_text
from .imported import NO_CLIPPING, Imported, imported_preset
from .label import label_of, usable_label
from .model import Preset

__all__ = ["looks_like_slicer_ants", "parse_slicer_ants", "slicer_ants_content"]

# SlicerANTs skips it; what it holds comes back with an import.
_LABEL = "multimodalRegistrationPreset"


def looks_like_slicer_ants(content: object) -> bool:
    """Whether JSON holds a preset of SlicerANTs."""
    return isinstance(content, dict) and isinstance(content.get("stages"), list)


def parse_slicer_ants(content: Mapping[str, Any], path: Path, *, name: str | None = None) -> Imported:
    """Read a preset of SlicerANTs.

    Parameters
    ----------
    content : mapping
        The JSON.
    path : Path
        Its file, for messages.
    name : str, optional
        Name of the preset.

    Returns
    -------
    Imported
        One preset.

    Raises
    ------
    InputError
        Not as SlicerANTs writes it, or a stage that presets do not have.
    """
    stages = []
    for number, each in enumerate(content["stages"], start=1):
        stages.append(preset_stage(_stage(each, number, path), number, path))
    general = content.get("generalSettings")
    general = general if isinstance(general, dict) else {}
    if general.get("dimensionality", 3) != 3:
        raise InputError(path, f"this is for {general['dimensionality']}D images", "Give settings for 3D volumes.")
    notes = []
    if general.get("histogramMatching"):
        notes.append(f"{path}: histogramMatching was left out: histograms are not matched here.")
    if general.get("computationPrecision", "float") != "float":
        notes.append(f"{path}: computationPrecision was left out: ANTs computes in 32 bit here.")
    clipping = general.get("winsorizeImageIntensities")
    if clipping is not None and not (
        isinstance(clipping, list) and len(clipping) == 2 and all(map(_is_number, clipping))
    ):
        raise InputError(path, f"winsorizeImageIntensities is {clipping!r}", "Give two shares from 0 to 1.")
    low, high = NO_CLIPPING if clipping is None else (round(100 * share, 9) for share in clipping)
    label = usable_label(content.get(_LABEL))
    preset = imported_preset(label, "ants", stages, path, name=name, winsorize_percentiles=(low, high))
    return Imported((preset,), tuple(notes))


def slicer_ants_content(preset: Preset) -> dict[str, Any]:
    """A preset as SlicerANTs reads it.

    Parameters
    ----------
    preset : Preset
        With settings for ants.

    Returns
    -------
    dict
        Content of the JSON file; the volumes are chosen in SlicerANTs.

    Raises
    ------
    InputError
        A threshold of the convergence that is not a power of ten.
    """
    stages = [_content(stage, number, preset) for number, stage in enumerate(preset.engines["ants"], start=1)]
    low, high = (round(percentile / 100, 9) for percentile in preset.winsorize_percentiles)
    return {
        _LABEL: label_of(preset),
        "stages": stages,
        "outputSettings": {"transform": None, "volume": None, "interpolation": "Linear"},
        "initialTransformSettings": {"initializationFeature": -1},
        "generalSettings": {
            "dimensionality": 3,
            "histogramMatching": 0,
            "winsorizeImageIntensities": [low, high],
            "computationPrecision": "float",
        },
    }


def _content(stage: Mapping[str, Any], number: int, preset: Preset) -> dict[str, Any]:
    threshold = stage["convergence_threshold"]
    exponent = round(-math.log10(threshold)) if threshold > 0 else 0
    if threshold <= 0 or not math.isclose(threshold, 10.0**-exponent):
        raise InputError(
            preset.name,
            f"ants stage {number}: the convergence threshold {threshold} is not a power of ten",
            "SlicerANTs has no others: choose one such as 1e-6.",
        )
    in_mm = "smoothing_sigmas_mm" in stage
    sigmas = stage["smoothing_sigmas_mm" if in_mm else "smoothing_sigmas_vox"]
    steps = zip(stage["iterations"], sigmas, stage["shrink_factors"], strict=True)
    transform, settings = transform_text(stage)
    return {
        "transformParameters": {"transform": transform, "settings": settings},
        "metrics": [
            {
                "type": METRIC,
                "fixed": None,
                "moving": None,
                "settings": f"1,{stage['histogram_bins']},{stage['sampling']},{stage['sampling_rate']}",
            }
        ],
        "levels": {
            "steps": [
                {"convergence": iterations, "smoothingSigmas": sigma, "shrinkFactors": factor}
                for iterations, sigma, factor in steps
            ],
            "smoothingSigmasUnit": "mm" if in_mm else "vox",
            "convergenceThreshold": exponent,
            "convergenceWindowSize": stage["convergence_window"],
        },
        "masks": {"fixed": None, "moving": None},
    }


def _stage(content: Any, number: int, path: Path) -> AntsStage:
    try:
        levels = content["levels"]
        steps = levels["steps"]
        transform = content["transformParameters"]
        return AntsStage(
            str(transform["transform"]),
            _texts(transform["settings"]),
            tuple((str(metric["type"]), _texts(metric["settings"])) for metric in content["metrics"]),
            tuple(step["convergence"] for step in steps),
            tuple(step["shrinkFactors"] for step in steps),
            tuple(step["smoothingSigmas"] for step in steps),
            {"mm": "mm", "vox": "vox"}[levels["smoothingSigmasUnit"]],
            float(f"1e-{int(levels['convergenceThreshold'])}"),
            levels["convergenceWindowSize"],
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            path,
            f"stage {number} is not as SlicerANTs writes it ({type(error).__name__}: {error})",
            "Save the preset in SlicerANTs again.",
            code="stage",
        ) from error


def _texts(settings: Any) -> tuple[str, ...]:
    return tuple(each.strip() for each in str(settings).split(","))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
