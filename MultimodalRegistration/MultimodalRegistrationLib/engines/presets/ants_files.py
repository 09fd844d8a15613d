"""Stages of antsRegistration as others write them, into the settings of presets and back.

Its command line, also within a script, and the presets of the Slicer extension SlicerANTs: JSON in which the threshold
of the convergence is the exponent of ten without its sign. Both are read as the options of stages.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...core.errors import InputError
from ..catalogue import ENGINES

_PROGRAM = "antsRegistration"
_LONG_NAMES = {
    "-d": "--dimensionality",
    "-t": "--transform",
    "-m": "--metric",
    "-c": "--convergence",
    "-f": "--shrink-factors",
    "-s": "--smoothing-sigmas",
    "-w": "--winsorize-image-intensities",
    "-r": "--initial-moving-transform",
    "-u": "--use-histogram-matching",
    "-x": "--masks",
}
# The rest says which files are used, how the result is written, or where the start is.
_STAGE_OPTIONS = ("--transform", "--metric", "--convergence", "--shrink-factors", "--smoothing-sigmas")
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
_SIGMA_UNITS = {"mm": "smoothing_sigmas_mm", "vox": "smoothing_sigmas_vox"}
_SIGMAS = re.compile(r"([\d.x eE+-]+?)\s*(mm|vox)?")
_NAME_AND_BRACKETS = re.compile(r"([^\[]+)(?:\[(.*)\])?", re.DOTALL)

_Options = Sequence[tuple[str, str]]


class AntsStages(NamedTuple):
    """Stages of a preset from a file.

    Parameters
    ----------
    stages : list of dict
        As in a preset, checked.
    winsorize_percentiles : tuple of 2 float
        Where intensities are clipped.
    notes : list of str
        What was left out.
    """

    stages: list[dict[str, Any]]
    winsorize_percentiles: tuple[float, float]
    notes: list[str]


def looks_like_ants_command(text: str) -> bool:
    """Whether the text of a file calls antsRegistration."""
    return re.search(rf"(^|[\s/]){_PROGRAM}(\.exe)?\s", text) is not None


def looks_like_slicer_ants(content: object) -> bool:
    """Whether JSON holds a preset of SlicerANTs."""
    return isinstance(content, dict) and isinstance(content.get("stages"), list)


def parse_ants_command(text: str, path: Path) -> AntsStages:
    """Read a command line, or a script with one.

    Parameters
    ----------
    text : str
        Nothing in it is run, and no variables are put in.
    path : Path
        Its file, for messages.

    Raises
    ------
    InputError
        No call or several, or a stage that presets do not have.
    """
    options = _options(text, path)
    # Of an option that is given twice, the last one holds.
    values = dict(options)
    if values.get("--dimensionality", "3") != "3":
        raise InputError(path, "this is not for 3D volumes", "Give settings with --dimensionality 3.")
    stages = [_stage(group, number, path) for number, group in enumerate(_grouped(options, path), start=1)]
    notes = []
    if values.get("--use-histogram-matching", "0") not in ("0", "false"):
        notes.append(f"{path}: --use-histogram-matching was left out: histograms are not matched here.")
    left_out = [option for option in ("--initial-moving-transform", "--masks") if option in values]
    if left_out:
        notes.append(f"{path}: {' and '.join(left_out)} left out: give the start and masks of each run to register.")
    clipping = values.get("--winsorize-image-intensities", "")
    try:
        low, high = (float(each) for each in clipping.strip("[] ").split(",")) if clipping else (0.0, 1.0)
    except ValueError as error:
        raise InputError(
            path, f"--winsorize-image-intensities {clipping} is not a pair of numbers", "Correct the file."
        ) from error
    return AntsStages(stages, (_percentile(low), _percentile(high)), notes)


def parse_slicer_ants(content: Mapping[str, Any], path: Path) -> AntsStages:
    """Read a preset of SlicerANTs.

    Parameters
    ----------
    content : mapping
        The JSON.
    path : Path
        Its file, for messages.

    Raises
    ------
    InputError
        Not as SlicerANTs writes it, or a stage that presets do not have.
    """
    stages = []
    for number, each in enumerate(content["stages"], start=1):
        try:
            options = _slicer_ants_options(each)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                path,
                f"stage {number} is not as SlicerANTs writes it ({type(error).__name__}: {error})",
                "Save the preset in SlicerANTs again.",
                code="stage",
            ) from error
        stages.append(_stage(options, number, path))
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
    clipping = [0, 1] if clipping is None else clipping
    if not (isinstance(clipping, list) and [type(share) in (int, float) for share in clipping] == [True, True]):
        raise InputError(path, f"winsorizeImageIntensities is {clipping!r}", "Give two shares from 0 to 1.")
    return AntsStages(stages, (_percentile(clipping[0]), _percentile(clipping[1])), notes)


def ants_command(stages: Sequence[Mapping[str, Any]], winsorize_percentiles: tuple[float, float]) -> str:
    """The command line of a preset's stages.

    Parameters
    ----------
    stages : sequence of mapping
        As in a preset.
    winsorize_percentiles : tuple of 2 float
        Where intensities are clipped.

    Returns
    -------
    str
        One command over several lines, in which FIXED, MOVING and PREFIX stand for the files. It starts where the
        files place the volumes.
    """
    low, high = map(_share, winsorize_percentiles)
    groups = [
        ["--dimensionality", "3", "--float", "1", "--verbose", "1", "--output", "[PREFIX]"],
        ["--winsorize-image-intensities", f"[{low!r},{high!r}]", "--use-histogram-matching", "0"],
        ["--initial-moving-transform", "Identity", "--collapse-output-transforms", "1"],
        *(stage_arguments(stage, "FIXED", "MOVING") for stage in stages),
    ]
    lines = [" ".join(f"'{word}'" if "[" in word else word for word in group) for group in groups]
    return " \\\n  ".join([_PROGRAM, *lines]) + "\n"


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
    transform, settings = _transform_text(stage)
    convergence = f"{_joined(stage['iterations'])},{stage['convergence_threshold']},{stage['convergence_window']}"
    unit, sigmas = _sigmas(stage)
    return [
        *("--transform", f"{transform}[{settings}]"),
        *("--metric", f"MI[{fixed},{moving},{_metric_text(stage)}]"),
        *("--convergence", f"[{convergence}]"),
        *("--shrink-factors", _joined(stage["shrink_factors"])),
        *("--smoothing-sigmas", _joined(sigmas) + unit),
    ]


def slicer_ants_content(
    stages: Sequence[Mapping[str, Any]], winsorize_percentiles: tuple[float, float], name: str
) -> dict[str, Any]:
    """A preset's stages as SlicerANTs reads them.

    Parameters
    ----------
    stages : sequence of mapping
        As in a preset.
    winsorize_percentiles : tuple of 2 float
        Where intensities are clipped.
    name : str
        Of the preset, for messages.

    Returns
    -------
    dict
        Content of the JSON file; the volumes are chosen in SlicerANTs.

    Raises
    ------
    InputError
        A threshold of the convergence that is not a power of ten.
    """
    return {
        "stages": [_slicer_ants_stage(stage, f"ants stage {n}", name) for n, stage in enumerate(stages, start=1)],
        "outputSettings": {"transform": None, "volume": None, "interpolation": "Linear"},
        "initialTransformSettings": {"initializationFeature": -1},
        "generalSettings": {
            "dimensionality": 3,
            "histogramMatching": 0,
            "winsorizeImageIntensities": [_share(each) for each in winsorize_percentiles],
            "computationPrecision": "float",
        },
    }


def _options(text: str, path: Path) -> _Options:
    """Options and values of the one call, in their order, by their long names."""
    lines = text.replace("\\\n", " ").split("\n")
    calls = [line for line in lines if looks_like_ants_command(f"{line} ") and not line.lstrip().startswith("#")]
    if len(calls) != 1:
        raise InputError(
            path,
            f"calls {_PROGRAM} {len(calls)} times",
            "Give a file with one call; a call over several lines needs a backslash at the end of each but the last.",
        )
    try:
        words = shlex.split(calls[0], comments=True)
    except ValueError as error:
        raise InputError(path, f"the call cannot be read ({error})", "Close its quotes.") from error
    start = next(index for index, word in enumerate(words) if re.fullmatch(rf"(.*[/\\])?{_PROGRAM}(\.exe)?", word))
    options: list[tuple[str, str]] = []
    for word in words[start + 1 :]:
        if re.match(r"--?[a-zA-Z]", word):
            options.append((_LONG_NAMES.get(word, word), ""))
        elif options:
            # Blanks inside of brackets split a value into several words.
            options[-1] = (options[-1][0], f"{options[-1][1]} {word}".strip())
    return options


def _grouped(options: _Options, path: Path) -> list[list[tuple[str, str]]]:
    """Options of each stage. A stage begins with its transform, or with its metrics, as the first one does."""
    own = [(option, value) for option, value in options if option in _STAGE_OPTIONS]
    if "--transform" not in dict(own):
        raise InputError(path, "has no --transform", "Give a call with at least one stage.")
    metrics_first = own[0][0] == "--metric"
    groups: list[list[tuple[str, str]]] = []
    for option, value in own:
        begins = option == "--transform"
        if metrics_first:
            begins = option == "--metric" and (not groups or "--transform" in dict(groups[-1]))
        if begins or not groups:
            groups.append([])
        groups[-1].append((option, value))
    return groups


def _slicer_ants_options(content: Any) -> _Options:
    """A stage of SlicerANTs as options of the command."""
    levels, transform = content["levels"], content["transformParameters"]

    def per_level(key: str) -> str:
        return _joined([step[key] for step in levels["steps"]])

    convergence = f"{per_level('convergence')},1e-{int(levels['convergenceThreshold'])}"
    unit = levels["smoothingSigmasUnit"]
    if unit not in tuple(_SIGMA_UNITS):
        raise ValueError(f"smoothingSigmasUnit {unit!r}")
    return [
        ("--transform", f"{transform['transform']}[{transform['settings']}]"),
        *(("--metric", f"{metric['type']}[,,{metric['settings']}]") for metric in content["metrics"]),
        ("--convergence", f"[{convergence},{levels['convergenceWindowSize']}]"),
        ("--shrink-factors", per_level("shrinkFactors")),
        ("--smoothing-sigmas", per_level("smoothingSigmas") + unit),
    ]


def _stage(options: _Options, number: int, path: Path) -> dict[str, Any]:
    """Settings of a stage from its options, checked."""
    values = dict(options)
    given, transform_settings = _split(values.get("--transform", ""))
    where = f"stage {number} ({given})"

    def refused(found: str, remedy: str) -> InputError:
        return InputError(path, f"{where}: {found}", remedy, code="stage")

    name = next((each for each in _TRANSFORM_SETTINGS if each.lower() == given.lower()), None)
    if name is None:
        known = ", ".join(_TRANSFORM_SETTINGS)
        raise refused(f"the transform {given} is not one that presets have", f"Leave the stage out, or use {known}.")
    metrics = [_split(value) for option, value in options if option == "--metric"]
    if len(metrics) != 1 or metrics[0][0].lower() not in _METRICS:
        raise refused(
            f"its metric is {' and '.join(metric for metric, _ in metrics) or 'not given'}",
            "Presets have mutual information between two volumes: use one metric, MI or Mattes.",
        )
    # The first three are the volumes and the weight.
    bins, sampling, rate = _filled(metrics[0][1][3:], "32", "", "1")
    iterations, threshold, window = _filled(values.get("--convergence", "").strip("[] ").split(","), "", "1e-6", "10")
    sigmas = _SIGMAS.fullmatch(values.get("--smoothing-sigmas", "").strip())
    try:
        levels = {
            "iterations": [int(each) for each in iterations.split("x")],
            "convergence_threshold": float(threshold),
            "convergence_window": int(window),
            "shrink_factors": [int(each) for each in values.get("--shrink-factors", "").split("x")],
            _SIGMA_UNITS[(sigmas and sigmas[2]) or "vox"]: [
                _number(each) for each in (sigmas[1] if sigmas else "").split("x")
            ],
        }
    except ValueError as error:
        raise refused(
            "convergence, shrink factors or smoothing sigmas are missing or no numbers",
            "Give all three, with values such as 100x50x10.",
        ) from error
    numbers = dict(zip(_TRANSFORM_SETTINGS[name], transform_settings, strict=False))
    numbers |= {"histogram_bins": bins, "sampling_rate": rate}
    stage: dict[str, Any] = {"transform": name.lower(), "sampling": _SAMPLINGS.get(sampling.lower(), sampling)}
    for key, text in numbers.items():
        try:
            stage[key] = _number(text)
        except ValueError as error:
            raise refused(f"'{text}' is not a number", "Correct the file.") from error
    stage |= levels
    if problems := ENGINES["ants"].problems(stage):
        raise refused("; ".join(problems), "Correct the file and try again.")
    # In the order in which presets have them.
    return {key: stage[key] for key in ENGINES["ants"].settings if key in stage}


def _slicer_ants_stage(stage: Mapping[str, Any], where: str, name: str) -> dict[str, Any]:
    threshold = stage["convergence_threshold"]
    exponent = round(-math.log10(threshold)) if threshold > 0 else 0
    if threshold <= 0 or not math.isclose(threshold, 10.0**-exponent):
        raise InputError(
            name,
            f"{where}: the convergence threshold {threshold} is not a power of ten",
            "SlicerANTs has no others: choose one such as 1e-6.",
        )
    unit, sigmas = _sigmas(stage)
    transform, settings = _transform_text(stage)
    steps = zip(stage["iterations"], sigmas, stage["shrink_factors"], strict=True)
    return {
        "transformParameters": {"transform": transform, "settings": settings},
        "metrics": [{"type": "MI", "fixed": None, "moving": None, "settings": _metric_text(stage)}],
        "levels": {
            "steps": [
                {"convergence": iterations, "smoothingSigmas": sigma, "shrinkFactors": factor}
                for iterations, sigma, factor in steps
            ],
            "smoothingSigmasUnit": unit,
            "convergenceThreshold": exponent,
            "convergenceWindowSize": stage["convergence_window"],
        },
        "masks": {"fixed": None, "moving": None},
    }


def _transform_text(stage: Mapping[str, Any]) -> tuple[str, str]:
    """Name of the transform, and what follows it in brackets."""
    name = next(each for each in _TRANSFORM_SETTINGS if each.lower() == stage["transform"])
    return name, ",".join(str(stage[key]) for key in _TRANSFORM_SETTINGS[name])


def _metric_text(stage: Mapping[str, Any]) -> str:
    """What follows the volumes in the brackets of the metric."""
    return f"1,{stage['histogram_bins']},{stage['sampling']},{stage['sampling_rate']}"


def _sigmas(stage: Mapping[str, Any]) -> tuple[str, list[float]]:
    return next((unit, stage[key]) for unit, key in _SIGMA_UNITS.items() if key in stage)


def _joined(values: Sequence[Any]) -> str:
    """Values per level, as antsRegistration takes them."""
    return "x".join(map(str, values))


def _split(value: str) -> tuple[str, list[str]]:
    """``Name[a, b]`` as the name and what is in brackets."""
    parts = _NAME_AND_BRACKETS.fullmatch(value.strip())
    if parts is None:
        return "", []
    return parts[1].strip(), [] if parts[2] is None else [each.strip() for each in parts[2].split(",")]


def _filled(given: Sequence[str], *defaults: str) -> Sequence[str]:
    """As many values as there are defaults, which take the place of those that are missing at the end."""
    return (*given, *defaults[len(given) :])[: len(defaults)]


def _number(text: str) -> int | float:
    return int(text) if text.strip().isdigit() else float(text)


def _percentile(share: float) -> float:
    return round(100 * share, 9)


def _share(percentile: float) -> float:
    return round(percentile / 100, 9)
