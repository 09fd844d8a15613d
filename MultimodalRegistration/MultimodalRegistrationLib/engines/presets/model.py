"""The content of a preset and its check on loading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...io.special_files import refuse_special_files
from .specification import ENGINE_CHECKS, all_rigid, any_bends, suggest

__all__ = ["SCHEMA_VERSION", "Preset", "changed_preset", "load_preset_file", "preset_content", "preset_of"]

SCHEMA_VERSION = 1
_KEYS = {"schema": int, "name": str, "title": str, "description": str, "winsorize_percentiles": list, "engines": dict}
_OPTIONAL = ("equalised_shares",)


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
    equalised_shares : mapping
        For each engine, the largest share of the rank in the intensities of linear stages, 0 to 1; 0 where an engine is
        missing. See :func:`~MultimodalRegistrationLib.preprocess.equalise.equalised`.
    engines : mapping
        For each engine, its stages: a list of mappings from setting to value, run one after the other.
    path : Path
        The file that it was read from.
    """

    name: str
    title: str
    description: str
    winsorize_percentiles: tuple[float, float]
    equalised_shares: Mapping[str, float]
    engines: Mapping[str, list[dict[str, Any]]]
    path: Path

    def bends(self, engine: str) -> bool:
        """Whether a stage for an engine that it has settings for is not linear."""
        return any_bends(engine, self.engines[engine])

    def is_rigid(self, engine: str) -> bool:
        """Whether all stages for an engine that it has settings for are rigid."""
        return all_rigid(engine, self.engines[engine])


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
    refuse_special_files(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "no such preset file", "Check the spelling and the folder.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"the preset cannot be read ({error})", "Give a readable JSON file.") from error
    except json.JSONDecodeError as error:
        raise InputError(
            path, f"not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}", "Correct it there."
        ) from error
    return preset_of(content, path)


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
    return _preset(content, path)


def preset_content(preset: Preset) -> dict[str, Any]:
    """The content of a preset's file."""
    return {
        "schema": SCHEMA_VERSION,
        "name": preset.name,
        "title": preset.title,
        "description": preset.description,
        "winsorize_percentiles": list(preset.winsorize_percentiles),
        "equalised_shares": dict(preset.equalised_shares),
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
    content = preset_content(preset)
    content["engines"][engine] = stages
    content["name"] = f"{preset.name}, changed"
    problems = _problems(content)
    if problems:
        raise InputError(preset.title, "; ".join(problems), "Correct it in the table of parameters.")
    return _preset(content, preset.path)


def _preset(content: dict[str, Any], path: Path) -> Preset:
    low, high = content["winsorize_percentiles"]
    return Preset(
        name=content["name"],
        title=content["title"],
        description=content["description"],
        winsorize_percentiles=(float(low), float(high)),
        equalised_shares=dict(content.get("equalised_shares", {})),
        engines=content["engines"],
        path=path,
    )


def _problems(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return ["the file must hold one JSON object"]
    if content.get("schema") != SCHEMA_VERSION:
        return [f"'schema' is {content.get('schema')!r}; this version reads schema {SCHEMA_VERSION}"]
    known = [*_KEYS, *_OPTIONAL]
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
    problems += _share_problems(content.get("equalised_shares", {}))
    if not content["engines"]:
        problems.append("'engines' is empty")
    for engine, stages in content["engines"].items():
        if engine not in ENGINE_CHECKS:
            problems.append(f"unknown engine '{engine}'.{suggest(engine, list(ENGINE_CHECKS))}")
        elif not (isinstance(stages, list) and stages and all(isinstance(stage, dict) for stage in stages)):
            problems.append(f"'{engine}' must hold a list of stages")
        else:
            problems += [
                f"{engine} stage {number}: {problem}"
                for number, stage in enumerate(stages, start=1)
                for problem in ENGINE_CHECKS[engine](stage)
            ]
    return problems


def _share_problems(shares: Any) -> list[str]:
    if not isinstance(shares, dict):
        return ["'equalised_shares' must hold a number for each engine"]
    problems = [
        f"'equalised_shares': unknown engine '{engine}'.{suggest(engine, list(ENGINE_CHECKS))}"
        for engine in shares
        if engine not in ENGINE_CHECKS
    ]
    return problems + [
        f"'equalised_shares' of {engine} must be a number from 0 to 1"
        for engine, share in shares.items()
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1
    ]
