"""What came out of files of other programs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from .model import SCHEMA_VERSION, Preset, preset_of

__all__ = ["NO_CLIPPING", "Imported", "imported_preset", "merged", "name_from"]

NO_CLIPPING = (0.0, 100.0)


@dataclass(frozen=True)
class Imported:
    """Presets from files of other programs.

    Parameters
    ----------
    presets : tuple of Preset
        Not saved yet.
    notes : tuple of str
        What was left out or added, with file and line, and what to do about it.
    unknown : tuple of str
        The notes about parameters that nothing reads, probably misspelled.
    refused : tuple of InputError
        What could not become a preset, where one file holds several.
    """

    presets: tuple[Preset, ...]
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    refused: tuple[InputError, ...] = ()


def imported_preset(
    label: Mapping[str, Any],
    engine: str,
    stages: list[dict[str, Any]],
    path: Path,
    *,
    name: str | None = None,
    winsorize_percentiles: tuple[float, float] = NO_CLIPPING,
) -> Preset:
    """A checked preset of stages for one engine.

    Parameters
    ----------
    label : mapping
        Name, title, description and what is done to intensities, as far as the file tells them.
    engine : str
        Name of the engine.
    stages : list of dict
        Its settings.
    path : Path
        The file; its name is the preset's where nothing else tells one.
    name : str, optional
        Name of the preset.
    winsorize_percentiles : tuple of 2 float
        Where the label does not tell them.

    Returns
    -------
    Preset
        Not saved yet.

    Raises
    ------
    InputError
        Not a valid preset.
    """
    chosen = name or label.get("name") or name_from(path.stem)
    content = {
        "schema": SCHEMA_VERSION,
        "name": chosen,
        "title": label.get("title") or chosen,
        "description": label.get("description") or f"Imported from {path.name}.",
        "winsorize_percentiles": list(label.get("winsorize_percentiles") or winsorize_percentiles),
        "equalised_shares": label.get("equalised_shares", {}),
        "engines": {engine: stages},
    }
    return preset_of(content, path)


def name_from(text: str) -> str:
    """A name that presets may have, from any text."""
    return re.sub(r"[^\w.+]+", "-", text).strip("-.") or "imported"


def merged(parts: Sequence[Imported]) -> Imported:
    """What came out of several files, in their order."""
    return Imported(
        tuple(each for part in parts for each in part.presets),
        tuple(each for part in parts for each in part.notes),
        tuple(each for part in parts for each in part.unknown),
        tuple(each for part in parts for each in part.refused),
    )
