"""Presets: the settings of a registration for one purpose, their check, and the files in which they are kept.

The presets of the extension are beside this file; the user's own are in a folder that survives updates.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError, suggest
from ...core.machine import user_folder
from ...io.input_files import read_text
from ...io.outputs import OutputFiles, is_device, write_json
from ..catalogue import ENGINES, is_deformable

SCHEMA_VERSION = 1
DEFAULT_PRESET = "rigid"
_KEYS = {"schema": int, "name": str, "title": str, "description": str, "winsorize_percentiles": list, "engines": dict}
_SHARES = "equalised_shares"
_BUILT_IN = Path(__file__).with_name("data")
_NAME = re.compile(r"\w[\w ,.+-]{0,79}")


@dataclass(frozen=True)
class Preset:
    """Settings of a registration for one purpose.

    Parameters
    ----------
    name : str
        Short name, as used on the command line.
    title : str
        Name for people.
    description : str
        What it is for, in one or two sentences.
    winsorize_percentiles : tuple of 2 float
        Intensities below and above these percentiles are clipped for the engine.
    histogram_equalization_shares : mapping
        For each engine, the largest share of the rank in the intensities of linear stages, 0 to 1; 0 where an engine is
        missing (``equalised_shares`` in files). See
        :func:`~MultimodalRegistrationLib.preprocess.equalise.equalised`.
    engines : mapping
        For each engine, its stages: a list of mappings from setting to value, run one after the other.
    path : Path
        The file that it was read from.
    """

    name: str
    title: str
    description: str
    winsorize_percentiles: tuple[float, float]
    histogram_equalization_shares: Mapping[str, float]
    engines: Mapping[str, list[dict[str, Any]]]
    path: Path

    def is_deformable(self, engine: str) -> bool:
        """Whether a stage for an engine that it has settings for is not linear."""
        return any(is_deformable(engine, stage) for stage in self.engines[engine])

    def is_rigid(self, engine: str) -> bool:
        """Whether all stages for an engine that it has settings for are rigid."""
        known = ENGINES[engine]
        return all(stage[known.transform_setting] == known.linear_transforms[0] for stage in self.engines[engine])


def read_json(path: Path, *, kind: str) -> Any:
    """The content of a JSON file.

    Raises
    ------
    InputError
        It cannot be read, or is not valid.
    """
    try:
        return json.loads(read_text(path, kind=kind))
    except json.JSONDecodeError as error:
        raise InputError(
            path, f"not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}", "Correct it there."
        ) from error


def load_preset_file(path: str | Path) -> Preset:
    """Read and check a preset file.

    Parameters
    ----------
    path : str or Path
        JSON file.

    Returns
    -------
    Preset
        The checked content.

    Raises
    ------
    InputError
        Missing or not a valid preset; the message lists every problem found.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such preset file", "Check the spelling and the folder.")
    return preset_of(read_json(path, kind="preset"), path)


def preset_of(content: Any, path: Path) -> Preset:
    """Check the content of a preset.

    Parameters
    ----------
    content : object
        What its file holds, or would hold.
    path : Path
        Where it came from.

    Returns
    -------
    Preset
        The checked content.

    Raises
    ------
    InputError
        Not a valid preset; the message lists every problem found.
    """
    problems = _problems(content)
    if problems:
        raise InputError(path, "not a valid preset: " + "; ".join(problems), "Correct the file and try again.")
    low, high = content["winsorize_percentiles"]
    return Preset(
        name=content["name"],
        title=content["title"],
        description=content["description"],
        winsorize_percentiles=(float(low), float(high)),
        histogram_equalization_shares=dict(content.get(_SHARES, {})),
        engines=content["engines"],
        path=path,
    )


def preset_content(preset: Preset) -> dict[str, Any]:
    """The content of a preset's file."""
    return {
        "schema": SCHEMA_VERSION,
        "name": preset.name,
        "title": preset.title,
        "description": preset.description,
        "winsorize_percentiles": list(preset.winsorize_percentiles),
        _SHARES: dict(preset.histogram_equalization_shares),
        "engines": dict(preset.engines),
    }


def changed_preset(preset: Preset, engine: str, stages: list[dict[str, Any]]) -> Preset:
    """A preset with other settings for one engine.

    Parameters
    ----------
    preset : Preset
        Not changed.
    engine : str
        Name of the engine.
    stages : list of dict
        Its settings; those of the preset give the same preset.

    Returns
    -------
    Preset
        Its name says that it was changed.

    Raises
    ------
    InputError
        The settings are not valid; the message lists every problem found.
    """
    if stages == preset.engines[engine]:
        return preset
    problems = _stages_problems(engine, stages)
    if problems:
        raise InputError(preset.title, "; ".join(problems), "Correct it in the table of parameters.")
    engines = {**preset.engines, engine: stages}
    return dataclasses.replace(preset, name=f"{preset.name}, changed", engines=engines)


def _problems(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return ["the file must hold one JSON object"]
    if content.get("schema") != SCHEMA_VERSION:
        return [f"'schema' is {content.get('schema')!r}; this version reads schema {SCHEMA_VERSION}"]
    known = [*_KEYS, _SHARES]
    problems = [f"unknown key '{key}'.{suggest(key, known)}" for key in content if key not in known]
    problems += [f"'{key}' is missing" for key in _KEYS if key not in content]
    problems += [
        f"'{key}' must be a {kind.__name__}"
        for key, kind in _KEYS.items()
        if key in content and not isinstance(content[key], kind)
    ]
    if problems:
        return problems
    percentiles = content["winsorize_percentiles"]
    if not (
        len(percentiles) == 2
        and all(isinstance(p, (int, float)) for p in percentiles)
        and 0 <= percentiles[0] < percentiles[1] <= 100
    ):
        problems.append("'winsorize_percentiles' must be two rising numbers from 0 to 100")
    shares = content.get(_SHARES, {})
    if not isinstance(shares, dict):
        problems.append(f"'{_SHARES}' must hold a number for each engine")
        shares = {}
    for engine, share in shares.items():
        if engine not in ENGINES:
            problems.append(f"'{_SHARES}': unknown engine '{engine}'.{suggest(engine, list(ENGINES))}")
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            problems.append(f"'{_SHARES}' of {engine} must be a number from 0 to 1")
    if not content["engines"]:
        problems.append("'engines' is empty")
    return problems + [
        problem for engine, stages in content["engines"].items() for problem in _stages_problems(engine, stages)
    ]


def _stages_problems(engine: str, stages: Any) -> list[str]:
    if engine not in ENGINES:
        return [f"unknown engine '{engine}'.{suggest(engine, list(ENGINES))}"]
    if not (isinstance(stages, list) and stages and all(isinstance(stage, dict) for stage in stages)):
        return [f"'{engine}' must hold a list of stages"]
    return [
        f"{engine} stage {number}: {problem}"
        for number, stage in enumerate(stages, start=1)
        for problem in ENGINES[engine].problems(stage)
    ]


def user_preset_folder() -> Path:
    """Folder of the user's presets; it may not exist yet."""
    return user_folder() / "presets"


def preset_files() -> dict[str, Path]:
    """Files of all presets by name; a preset of the user's hides a built-in one of the same name."""
    files = {path.stem: path for path in sorted(_BUILT_IN.glob("*.json"))}
    files.update({path.stem: path for path in sorted(user_preset_folder().glob("*.json"))})
    return files


def names_preset_file(text: str) -> bool:
    """Whether a text that may be the name of a preset is the path of a file."""
    return text not in preset_files() and (text.lower().endswith(".json") or Path(text).parent != Path())


def find_preset(name_or_file: str | Path | Preset) -> Preset:
    """Load a preset by name, or from a file.

    Parameters
    ----------
    name_or_file : str or Path
        The name of a built-in or user preset, or the path of a JSON file; a preset itself is given back.

    Returns
    -------
    Preset
        The checked preset.

    Raises
    ------
    InputError
        Unknown name, or not a valid preset.
    """
    if isinstance(name_or_file, Preset):
        return name_or_file
    text = str(name_or_file)
    if names_preset_file(text):
        return load_preset_file(text)
    files = preset_files()
    if text in files:
        return load_preset_file(files[text])
    raise InputError(
        text, "no preset of this name", f"Known presets: {', '.join(sorted(files))}.{suggest(text, list(files))}"
    )


def save_presets(presets: Sequence[Preset], *, file: str | Path | None = None) -> list[Preset]:
    """Save presets for the user: all of them or none.

    Parameters
    ----------
    presets : sequence of Preset
        Their names are those of the files.
    file : str or Path, optional
        Where to save the one preset instead, for example to share it.

    Returns
    -------
    list of Preset
        As they are found from now on.

    Raises
    ------
    InputError
        A name that cannot be a file's, that a built-in preset has, or that is taken; or a file cannot be written.
    """
    folder = user_preset_folder()
    for preset in presets:
        _check_name(preset.name)
        if file is None:
            _check_free(preset.name, folder)
    if file is None:
        folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{preset.name}.json" if file is None else Path(file) for preset in presets]
    with OutputFiles(preset.path for preset in presets) as outputs:
        for preset, path in zip(presets, paths, strict=True):
            write_json(outputs.add(path, (".json",)), preset_content(preset))
        outputs.commit()
    return [dataclasses.replace(preset, path=path) for preset, path in zip(presets, paths, strict=True)]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name[-1] in ". " or is_device(name):
        raise InputError(
            f"'{name}'",
            "this cannot be the name of a preset",
            "Use letters, digits, blanks and - _ + , . only, 80 at most; begin and end with a letter or a digit. "
            "Windows keeps names such as con and com1 for devices.",
        )


def _check_free(name: str, folder: Path) -> None:
    """Names that differ in case only would be one file on some systems."""
    taken = {path.stem.lower(): path for path in (*folder.glob("*.json"), *_BUILT_IN.glob("*.json"))}.get(name.lower())
    if taken is not None:
        own = taken.parent == folder
        raise InputError(
            f"'{name}'",
            "a preset of yours has this name" if own else "a built-in preset has this name",
            f"Choose another name{f', or delete {taken}' if own else ''}.",
        )
