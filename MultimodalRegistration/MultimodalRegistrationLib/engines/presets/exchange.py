"""Presets from files of elastix, ANTs, SlicerElastix and SlicerANTs, and into files that these read.

What a preset is called stands in a comment of the files, which their programs skip, so that an import finds it.
SlicerElastix has an XML list of parameter sets, their files beside it: its own ``ElastixParameterSetDatabase.xml``, and
for each preset of a user a folder with ``preset.xml`` in the folder ``Elastix`` of Slicer's settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ...core.errors import InputError
from ...io.input_files import read_text
from ...io.outputs import OutputFiles, write_json
from .ants_files import (
    AntsStages,
    ants_command,
    looks_like_ants_command,
    looks_like_slicer_ants,
    parse_ants_command,
    parse_slicer_ants,
    slicer_ants_content,
)
from .elastix_files import ELASTIX_FILE, elastix_stage, elastix_text, looks_like_elastix
from .preset import SCHEMA_VERSION, Preset, preset_content, preset_of, read_json

EXPORT_ENGINES = ("elastix", "ants")
_KIND = "file of registration settings"
_DATABASE = "list of parameter sets of SlicerElastix"
_REMEDY = (
    "Give parameter files of elastix, a call of antsRegistration, a preset of SlicerANTs or of this program (.json), "
    "or the list (.xml) of SlicerElastix."
)
_LABEL = "multimodal-registration preset: "
# SlicerANTs skips it.
_JSON_LABEL = "multimodalRegistrationPreset"
_LABEL_KINDS = {"name": str, "title": str, "description": str, "winsorize_percentiles": list}
_NO_CLIPPING = (0.0, 100.0)


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

    presets: tuple[Preset, ...] = ()
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    refused: tuple[InputError, ...] = ()


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
    if first.is_dir() or first.suffix.lower() == ".xml":
        if name is not None:
            raise InputError(
                first, f"holds sets with names of their own, but the name {name} was given", "Leave it out."
            )
        _only(files)
        databases = sorted(first.rglob("*.xml")) if first.is_dir() else [first]
        if not databases:
            raise InputError(
                first, "holds no .xml file", f"Give the folder of a {_DATABASE}, such as Elastix in Slicer's."
            )
        parts = [part for path in databases for part in _import_slicer_elastix(path)]
        return Imported(
            tuple(chain.from_iterable(part.presets for part in parts)),
            tuple(chain.from_iterable(part.notes for part in parts)),
            tuple(chain.from_iterable(part.unknown for part in parts)),
            tuple(chain.from_iterable(part.refused for part in parts)),
        )
    if first.suffix.lower() == ".json":
        _only(files)
        content = read_json(first, kind=_KIND)
        if looks_like_slicer_ants(content):
            label = _usable_label(content.get(_JSON_LABEL))
            return _import_ants(parse_slicer_ants(content, first), label, first, name)
        if isinstance(content, dict) and "schema" in content:
            return Imported((preset_of({**content, "name": name} if name else content, first),))
        raise InputError(first, "these are no registration settings", _REMEDY)
    text = read_text(first, kind=_KIND)
    if looks_like_elastix(text):
        return _import_elastix(files, name=name)
    if looks_like_ants_command(text):
        _only(files)
        return _import_ants(parse_ants_command(text, first), _find_label(text), first, name)
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
    label = {key: value for key, value in preset_content(preset).items() if key != "engines"}
    notes: list[str] = []
    contents: dict[str, str | dict[str, Any]] = {}
    if engine == "elastix":
        for number, stage in enumerate(preset.engines["elastix"], start=1):
            name = f"{preset.name}.{number}.{stage['Transform']}.txt"
            contents[name] = f"// {_LABEL}{json.dumps(label)}\n{elastix_text(stage)}"
    else:
        stages, percentiles = preset.engines["ants"], preset.winsorize_percentiles
        contents[f"{preset.name}.ants.txt"] = f"# {_LABEL}{json.dumps(label)}\n{ants_command(stages, percentiles)}"
        try:
            contents[f"{preset.name}.slicerants.json"] = {
                _JSON_LABEL: label,
                **slicer_ants_content(stages, percentiles, preset.name),
            }
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


def _only(files: Sequence[Path]) -> None:
    if len(files) > 1:
        raise InputError(files[1], f"given together with {files[0].name}", "Only files of elastix go together.")


def _find_label(text: str) -> Mapping[str, Any]:
    """What a preset is called, from the text of a file; empty where there is nothing that can be used."""
    line = next((line for line in text.split("\n") if _LABEL in line), "")
    try:
        return _usable_label(json.loads(line.partition(_LABEL)[2] or "{}"))
    except json.JSONDecodeError:
        return {}


def _usable_label(content: object) -> Mapping[str, Any]:
    """A label as it is, or an empty one in place of what another version or hand wrote."""
    if not isinstance(content, dict) or content.get("schema") != SCHEMA_VERSION:
        return {}
    return content if all(isinstance(content.get(key), kind) for key, kind in _LABEL_KINDS.items()) else {}


def _import_ants(found: AntsStages, label: Mapping[str, Any], path: Path, name: str | None) -> Imported:
    preset = _preset(label, "ants", found.stages, path, name, found.winsorize_percentiles)
    return Imported((preset,), tuple(found.notes))


def _import_elastix(paths: Sequence[Path], *, name: str | None, label: Mapping[str, Any] | None = None) -> Imported:
    """A preset of parameter files, one for each stage, in the order in which they run.

    Where ``label``, from a list of presets, does not tell title and description, the first file with a label does.
    """
    texts = [read_text(path, kind=ELASTIX_FILE) for path in paths]
    found = [elastix_stage(text, path, n) for n, (text, path) in enumerate(zip(texts, paths, strict=True), start=1)]
    label = label or next(filter(None, map(_find_label, texts)), {})
    return Imported(
        (_preset(label, "elastix", [stage.settings for stage in found], paths[0], name),),
        tuple(note for stage in found for note in stage.notes),
        tuple(note for stage in found for note in stage.unknown),
    )


def _preset(
    label: Mapping[str, Any],
    engine: str,
    stages: list[dict[str, Any]],
    path: Path,
    name: str | None,
    winsorize_percentiles: tuple[float, float] = _NO_CLIPPING,
) -> Preset:
    """A checked preset of stages for one engine; its name is that of the file where nothing else tells one."""
    chosen = name or label.get("name") or _name_from(path.stem)
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


def _name_from(text: str) -> str:
    """A name that presets may have, from any text."""
    return re.sub(r"[^\w.+]+", "-", text).strip("-.") or "imported"


def _import_slicer_elastix(path: Path) -> list[Imported]:
    """A preset for each parameter set of a list, or why it cannot be one."""
    text = read_text(path, kind=_DATABASE)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(path, "defines its own XML entities", f"Give a {_DATABASE}, which has none.")
    try:
        # Without a DOCTYPE there are no entities to expand.
        root = ElementTree.fromstring(text)  # noqa: S314
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(path, f"this is not XML ({error})", f"Give a {_DATABASE}.") from error
    sets = root.findall("ParameterSet")
    if root.tag != "ElastixParameterSetDatabase" or not sets:
        raise InputError(path, f"holds no parameter sets (<{root.tag}>)", f"Give a {_DATABASE}.")
    parts: list[Imported] = []
    for number, each in enumerate(sets, start=1):
        try:
            parts.append(_import_set(each, number, path))
        except InputError as error:
            parts.append(Imported(refused=(error,)))
    return parts


def _import_set(content: ElementTree.Element, number: int, path: Path) -> Imported:
    identifier = content.get("id") or f"set {number}"
    subject = f"{path}, set {identifier}"
    names = [file.get("Name") or "" for file in content.findall("ParameterFiles/File")]
    files = [path.parent / name for name in names]
    if not files:
        raise InputError(subject, "names no parameter files", "Add them, or delete the set.")
    for file, name in zip(files, names, strict=True):
        if not file.resolve().is_relative_to(path.parent.resolve()):
            raise InputError(subject, f"names the file {name}", "Put it beside the list.")
    sentences = [content.get(key, "").strip().rstrip(".") for key in ("description", "publications")]
    label = {
        "title": f"{content.get('modality', '')} ({content.get('content', '')})".replace("()", "").strip()
        or identifier,
        "description": "".join(f"{each}. " for each in sentences if each).strip() or f"Imported from {path.name}.",
    }
    try:
        return _import_elastix(files, name=_name_from(identifier), label=label)
    except InputError as error:
        raise InputError(f"{subject}: {error.subject}", error.found, error.remedy, code=error.code) from error
