"""Which settings an engine's stage may hold, what they mean, and the check of each."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "ENGINE_CHECKS",
    "STAGE_SETTINGS",
    "Setting",
    "all_rigid",
    "any_bends",
    "bends",
    "elastix_reserved",
    "elastix_unknown",
    "suggest",
]

_LINEAR_TRANSFORMS = ("rigid", "similarity", "affine")
_LINEAR_ELASTIX_TRANSFORMS = ("EulerTransform", "SimilarityTransform", "AffineTransform")
_ELASTIX_TRANSFORMS = (*_LINEAR_ELASTIX_TRANSFORMS, "BSplineTransform")


@dataclass(frozen=True)
class Setting:
    """One setting of a stage.

    Parameters
    ----------
    meaning : str
        One line for the reader, with the unit.
    expects : str
        What a valid value is, in words.
    valid : callable
        Tells whether a value is valid.
    """

    meaning: str
    expects: str
    valid: Callable[[Any], bool]


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and low <= v <= high


def _integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def _levels(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, list) and len(v) > 0 and all(map(check, v))


def _choice(*options: str) -> Callable[[Any], bool]:
    return lambda v: v in options


def _transform(*models: str) -> Setting:
    return Setting("Transform model of the stage", f"one of {', '.join(models)}", _choice(*models))


_BINS = Setting("Bins of the joint histogram, per volume", "a whole number, 8 to 256", _integer(8, 256))

STAGE_SETTINGS: Mapping[str, Mapping[str, Setting]] = {
    "ants": {
        "transform": _transform(*_LINEAR_TRANSFORMS, "syn"),
        "gradient_step": Setting("Step of the gradient descent", "a number above 0, at most 10", _number(1e-9, 10)),
        "update_smoothing_voxels": Setting(
            "Gaussian smoothing of each step of syn, variance in voxels", "a number, 0 to 100", _number(0, 100)
        ),
        "total_smoothing_voxels": Setting(
            "Likewise of the whole displacement; 0 lets it bend most", "a number, 0 to 100", _number(0, 100)
        ),
        "histogram_bins": _BINS,
        "sampling": Setting(
            "How voxels are chosen; None for all of them",
            "Regular, Random or None",
            _choice("Regular", "Random", "None"),
        ),
        "sampling_rate": Setting(
            "Share of voxels that the metric uses", "a number above 0, at most 1", _number(1e-6, 1.0)
        ),
        "iterations": Setting("Most iterations, per level", "a list of whole numbers", _levels(_integer(0, 100_000))),
        "convergence_threshold": Setting(
            "Slope of the metric below which a level ends", "a number, 0 to 1", _number(0, 1)
        ),
        "convergence_window": Setting(
            "Iterations over which that slope is taken", "a whole number, 2 to 1000", _integer(2, 1000)
        ),
        "shrink_factors": Setting(
            "Downsampling, per level", "a list of whole numbers, 1 to 64", _levels(_integer(1, 64))
        ),
        "smoothing_sigmas_mm": Setting(
            "Gaussian smoothing in mm, per level", "a list of numbers, 0 to 100", _levels(_number(0, 100))
        ),
        "smoothing_sigmas_vox": Setting(
            "Gaussian smoothing in voxels of the volume, per level; instead of smoothing_sigmas_mm",
            "a list of numbers, 0 to 100",
            _levels(_number(0, 100)),
        ),
    },
    "simpleitk": {
        "transform": _transform(*_LINEAR_TRANSFORMS),
        "histogram_bins": _BINS,
        "samples": Setting("Voxels that the metric uses", "a whole number from 1000", _integer(1000, 100_000_000)),
        "iterations": Setting(
            "Most iterations of a level but the last", "a whole number, 1 to 100000", _integer(1, 100_000)
        ),
        "resolutions_mm": Setting(
            "Voxel size that both volumes are coarsened to, per level; also the longest step of the optimiser",
            "a list of numbers above 0, at most 100",
            _levels(_number(1e-3, 100)),
        ),
        "convergence_threshold": Setting(
            "Relative gain of a round of line searches below which the last level ends",
            "a number, 0 to 1",
            _number(0, 1),
        ),
    },
}

_SYN_ONLY = ("update_smoothing_voxels", "total_smoothing_voxels")
# Settings of which a stage has exactly one.
_EITHER = {"smoothing_sigmas_vox": "smoothing_sigmas_mm"}

# Set by this library for every run; in a preset they would be ignored or break the hand-over.
_ELASTIX_RESERVED = {
    "AutomaticTransformInitialization": "the start is set by the initial transform",
    "CompressResultImage": "volumes are resampled outside the engine",
    "FixedImageDimension": "always 3",
    "InitialTransformParameterFileName": "the start is set by the initial transform",
    "InitialTransformParametersFileName": "the start is set by the initial transform",
    "MovingImageDimension": "always 3",
    "RandomSeed": "set by the seed of the run",
    "UseDirectionCosines": "always true",
    "WriteITKCompositeTransform": "transforms are written outside the engine",
    "WriteResultImage": "volumes are resampled outside the engine",
}


def bends(engine: str, stage: Mapping[str, Any]) -> bool:
    """Whether a stage of a checked preset is not linear."""
    if engine == "elastix":
        return stage["Transform"] not in _LINEAR_ELASTIX_TRANSFORMS
    return stage["transform"] not in _LINEAR_TRANSFORMS


def any_bends(engine: str, stages: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of several stages is not linear."""
    return any(bends(engine, stage) for stage in stages)


def all_rigid(engine: str, stages: Iterable[Mapping[str, Any]]) -> bool:
    """Whether every stage leaves sizes as they are."""
    key, rigid = ("Transform", "EulerTransform") if engine == "elastix" else ("transform", "rigid")
    return all(stage[key] == rigid for stage in stages)


def suggest(word: str, known: list[str]) -> str:
    """A sentence with the closest known words, or an empty string."""
    close = difflib.get_close_matches(word, known, n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _other(key: str, stage: Mapping[str, Any]) -> bool:
    """Whether a setting may be missing, because it is the rare one of two or the other one is there."""
    return key in _EITHER or any(key == usual and rare in stage for rare, usual in _EITHER.items())


def _check_stage_of(engine: str) -> Callable[[Mapping[str, Any]], list[str]]:

    def check(stage: Mapping[str, Any]) -> list[str]:
        used = STAGE_SETTINGS[engine].items()
        settings = {key: value for key, value in used if stage.get("transform") == "syn" or key not in _SYN_ONLY}
        problems = [f"unknown setting '{key}'.{suggest(key, list(settings))}" for key in stage if key not in settings]
        problems += [f"setting '{key}' is missing" for key in settings if key not in stage and not _other(key, stage)]
        problems += [
            f"'{key}' and '{_EITHER[key]}' exclude each other" for key in _EITHER if {key, _EITHER[key]} <= set(stage)
        ]
        problems += [
            f"'{key}' is {stage[key]!r}; it must be {setting.expects}"
            for key, setting in settings.items()
            if key in stage and not setting.valid(stage[key])
        ]
        per_level = {key: len(value) for key, value in stage.items() if isinstance(value, list)}
        if not problems and len(set(per_level.values())) != 1:
            problems.append(f"{', '.join(per_level)} must have one value per level each")
        return problems

    return check


@cache
def _elastix_names() -> tuple[frozenset[str], re.Pattern[str]]:
    content = json.loads(Path(__file__).with_name("elastix_parameter_names.json").read_text(encoding="utf-8"))
    numbered = "|".join(re.escape(name).replace("<N>", r"\d+") for name in content["numbered"])
    return frozenset(content["names"]), re.compile(numbered)


def elastix_reserved(key: str) -> str | None:
    """Why an elastix parameter cannot be set in a preset; None where it can."""
    return _ELASTIX_RESERVED.get(key)


def elastix_unknown(key: str) -> str | None:
    """A sentence about a parameter that elastix does not know, with names spelled alike; None where it does."""
    names, numbered = _elastix_names()
    if key in names or numbered.fullmatch(key):
        return None
    return f"unknown elastix parameter '{key}'.{suggest(key, sorted(names))}"


def _check_elastix_stage(stage: Mapping[str, Any]) -> list[str]:
    problems = []
    for key, values in stage.items():
        reserved, unknown = elastix_reserved(key), elastix_unknown(key)
        if reserved is not None:
            problems.append(f"'{key}' cannot be set in a preset ({reserved})")
        elif unknown is not None:
            problems.append(unknown)
        entries = values if isinstance(values, list) else [values]
        if not entries or not all(isinstance(v, (str, int, float, bool)) for v in entries):
            problems.append(f"'{key}' must be a text, a number, true, false, or a list of them")
    if stage.get("Transform") not in _ELASTIX_TRANSFORMS:
        problems.append(f"'Transform' must be one of {', '.join(_ELASTIX_TRANSFORMS)}")
    elif bends("elastix", stage) and stage.get("HowToCombineTransforms", "Compose") != "Compose":
        problems.append("'HowToCombineTransforms' must be Compose for a transform that bends")
    levels, iterations = stage.get("NumberOfResolutions"), stage.get("MaximumNumberOfIterations")
    is_count = _integer(1, 1_000_000)
    per_level = iterations if isinstance(iterations, list) else [iterations]
    if not is_count(levels):
        problems.append("'NumberOfResolutions' must be a positive whole number")
    elif not all(map(is_count, per_level)) or (isinstance(iterations, list) and len(per_level) != levels):
        problems.append("'MaximumNumberOfIterations' must be a positive whole number, or one for each resolution")
    return problems


ENGINE_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "elastix": _check_elastix_stage,
    "ants": _check_stage_of("ants"),
    "simpleitk": _check_stage_of("simpleitk"),
}
