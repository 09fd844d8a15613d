"""Presets from files of elastix, ANTs, SlicerElastix and SlicerANTs, and into files that these read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...io.outputs import OutputFiles, write_json
from ...io.text_files import read_text
from .ants_command import ants_command, looks_like_ants_command, parse_ants_command
from .elastix_files import elastix_text, looks_like_elastix
from .elastix_stages import import_elastix
from .imported import Imported, merged
from .label import label_of
from .model import Preset, preset_of
from .slicer_ants import looks_like_slicer_ants, parse_slicer_ants, slicer_ants_content
from .slicer_elastix import find_databases, import_slicer_elastix

__all__ = ["EXPORT_ENGINES", "export_preset", "import_presets"]

EXPORT_ENGINES = ("elastix", "ants")
_KIND = "file of registration settings"
_REMEDY = (
    "Give parameter files of elastix, a call of antsRegistration, a preset of SlicerANTs or of this program (.json), "
    "or the list (.xml) of SlicerElastix."
)


def import_presets(paths: Sequence[str | Path], *, name: str | None = None) -> Imported:
    """Read settings of other programs.

    Parameters
    ----------
    paths : sequence of str or Path
        One or more parameter files of elastix, which become the stages of one preset; or one other file: a call of
        antsRegistration, a preset of SlicerANTs or of this library, or a list of SlicerElastix, also as its folder.
    name : str, optional
        Name of the preset, where the file holds one.

    Returns
    -------
    Imported
        Presets that are not saved yet, and what to say about them.

    Raises
    ------
    InputError
        Not such a file, or it cannot become a preset.
    """
    files = [Path(path) for path in paths]
    first = files[0]
    several = first.is_dir() or first.suffix.lower() == ".xml"
    if several and name is not None:
        raise InputError(first, f"holds sets with names of their own, but the name {name} was given", "Leave it out.")
    if several:
        _only(files)
        return merged([import_slicer_elastix(path) for path in (find_databases(first) if first.is_dir() else [first])])
    if first.suffix.lower() == ".json":
        _only(files)
        return _import_json(first, name)
    text = read_text(first, kind=_KIND)
    if looks_like_elastix(text):
        return import_elastix(files, name=name)
    if looks_like_ants_command(text):
        _only(files)
        return parse_ants_command(text, first, name=name)
    raise InputError(first, "these are no registration settings", _REMEDY)


def export_preset(preset: Preset, engine: str, folder: str | Path) -> tuple[list[Path], list[str]]:
    """Write files that an engine reads without this library.

    Parameters
    ----------
    preset : Preset
        With settings for the engine.
    engine : str
        One of :data:`EXPORT_ENGINES`.
    folder : str or Path
        Exists. For elastix, a parameter file for each stage; for ants, the command line and a preset of SlicerANTs.

    Returns
    -------
    files : list of Path
        In the order of the stages.
    notes : list of str
        Why a file is missing.

    Raises
    ------
    InputError
        The preset has no settings for the engine, or a file cannot be written.
    """
    if engine not in EXPORT_ENGINES or engine not in preset.engines:
        usable = [each for each in EXPORT_ENGINES if each in preset.engines]
        raise InputError(
            preset.name, f"cannot be exported for {engine}", f"It has settings for: {', '.join(usable) or 'none'}."
        )
    notes: list[str] = []
    contents: dict[str, str | dict[str, Any]] = {}
    if engine == "elastix":
        for number, stage in enumerate(preset.engines["elastix"], start=1):
            contents[f"{preset.name}.{number}.{stage['Transform']}.txt"] = elastix_text(stage, label_of(preset))
    else:
        contents[f"{preset.name}.ants.txt"] = ants_command(preset)
        try:
            contents[f"{preset.name}.slicerants.json"] = slicer_ants_content(preset)
        except InputError as error:
            notes.append(f"No file for SlicerANTs was written. {error}")
    with OutputFiles() as outputs:
        for file, content in contents.items():
            path = outputs.add(Path(folder) / file, (".txt", ".json"))
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8", newline="\n")
            else:
                write_json(path, content)
        outputs.commit()
    return [Path(folder) / file for file in contents], notes


def _import_json(path: Path, name: str | None) -> Imported:
    try:
        content = json.loads(read_text(path, kind=_KIND))
    except json.JSONDecodeError as error:
        raise InputError(
            path, f"not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}", "Correct it there."
        ) from error
    if looks_like_slicer_ants(content):
        return parse_slicer_ants(content, path, name=name)
    if isinstance(content, dict) and "schema" in content:
        return Imported((preset_of({**content, "name": name} if name else content, path),))
    raise InputError(path, "these are no registration settings", _REMEDY)


def _only(files: Sequence[Path]) -> None:
    if len(files) > 1:
        raise InputError(files[1], f"given together with {files[0].name}", "Only files of elastix go together.")
