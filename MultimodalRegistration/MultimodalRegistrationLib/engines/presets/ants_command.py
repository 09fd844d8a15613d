"""The command line of antsRegistration as text: what is exported, and scripts that hold one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from ...core.errors import InputError
from .ants_stages import AntsStage, preset_stage, stage_arguments
from .imported import NO_CLIPPING, Imported, imported_preset
from .label import find_label, label_line, label_of
from .model import Preset

__all__ = ["ants_command", "looks_like_ants_command", "parse_ants_command"]

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
_STAGE_OPTIONS = ("--transform", "--metric", "--convergence", "--shrink-factors", "--smoothing-sigmas")
# The rest says which files are used, how the result is written, or where the start is.
_PARTS = re.compile(r"([^\[]+)(?:\[(.*)\])?", re.DOTALL)
_SIGMAS = re.compile(r"([\d.x eE+-]+?)\s*(mm|vox)?")


def looks_like_ants_command(text: str) -> bool:
    """Whether the text of a file calls antsRegistration."""
    return re.search(rf"(^|[\s/]){_PROGRAM}(\.exe)?\s", text) is not None


def ants_command(preset: Preset) -> str:
    """The command line of a preset.

    Parameters
    ----------
    preset : Preset
        With settings for ants.

    Returns
    -------
    str
        One command over several lines, in which FIXED, MOVING and PREFIX stand for the files. It starts where the
        files place the volumes.
    """
    low, high = (round(percentile / 100, 9) for percentile in preset.winsorize_percentiles)
    groups = [
        ["--dimensionality", "3", "--float", "1", "--verbose", "1", "--output", "[PREFIX]"],
        ["--winsorize-image-intensities", f"[{low!r},{high!r}]", "--use-histogram-matching", "0"],
        ["--initial-moving-transform", "Identity", "--collapse-output-transforms", "1"],
        *(stage_arguments(stage, "FIXED", "MOVING") for stage in preset.engines["ants"]),
    ]
    lines = [" ".join(f"'{word}'" if "[" in word else word for word in group) for group in groups]
    return label_line("#", label_of(preset)) + " \\\n  ".join([_PROGRAM, *lines]) + "\n"


def parse_ants_command(text: str, path: Path, *, name: str | None = None) -> Imported:
    """Read a command line, or a script with one.

    Parameters
    ----------
    text : str
        Nothing in it is run, and no variables are put in.
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
        No call or several, or a stage that presets do not have.
    """
    options = _options(text, path)
    if _last(options, "--dimensionality", "3") != "3":
        raise InputError(path, "this is not for 3D volumes", "Give settings with --dimensionality 3.")
    stages = [
        preset_stage(_stage(group, number, path), number, path)
        for number, group in enumerate(_grouped(options, path), start=1)
    ]
    notes = []
    if _last(options, "--use-histogram-matching", "0") not in ("0", "false"):
        notes.append(f"{path}: --use-histogram-matching was left out: histograms are not matched here.")
    left_out = sorted({option for option, _ in options if option in ("--initial-moving-transform", "--masks")})
    if left_out:
        notes.append(f"{path}: {' and '.join(left_out)} left out: give the start and masks of each run to register.")
    clipping = _last(options, "--winsorize-image-intensities", "")
    try:
        low, high = (100 * float(each) for each in clipping.strip("[] ").split(",")) if clipping else NO_CLIPPING
    except ValueError as error:
        raise InputError(
            path, f"--winsorize-image-intensities {clipping} is not a pair of numbers", "Correct the file."
        ) from error
    preset = imported_preset(
        find_label(text), "ants", stages, path, name=name, winsorize_percentiles=(round(low, 9), round(high, 9))
    )
    return Imported((preset,), tuple(notes))


def _options(text: str, path: Path) -> list[tuple[str, str]]:
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


def _last(options: list[tuple[str, str]], option: str, default: str) -> str:
    return next((value for name, value in reversed(options) if name == option), default)


def _grouped(options: list[tuple[str, str]], path: Path) -> list[list[tuple[str, str]]]:
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


def _stage(group: list[tuple[str, str]], number: int, path: Path) -> AntsStage:
    values = dict(group)
    transform, settings = _split(values.get("--transform", ""))
    metrics = [_split(value) for option, value in group if option == "--metric"]
    inside = values.get("--convergence", "").strip("[] ").split(",")
    iterations, threshold, window = (*inside, *("", "1e-6", "10")[len(inside) :])[:3]
    sigmas = _SIGMAS.fullmatch(values.get("--smoothing-sigmas", "").strip())
    try:
        return AntsStage(
            transform,
            settings,
            # The first two are the volumes.
            tuple((metric, inner[2:]) for metric, inner in metrics),
            tuple(map(int, iterations.split("x"))),
            tuple(map(int, values.get("--shrink-factors", "").split("x"))),
            tuple(map(_plain, (sigmas[1] if sigmas else "").split("x"))),
            (sigmas[2] or "vox") if sigmas else "vox",
            float(threshold),
            int(window),
        )
    except ValueError as error:
        raise InputError(
            path,
            f"stage {number} ({transform}): convergence, shrink factors or smoothing sigmas are missing or no numbers",
            "Give all three, with values such as 100x50x10.",
            code="stage",
        ) from error


def _plain(text: str) -> float:
    return int(text) if text.strip().isdigit() else float(text)


def _split(value: str) -> tuple[str, tuple[str, ...]]:
    """``Name[a, b]`` as the name and what is in brackets."""
    parts = _PARTS.fullmatch(value.strip())
    if parts is None:
        return "", ()
    inside = parts[2]
    return parts[1].strip(), () if inside is None else tuple(each.strip() for each in inside.split(","))
