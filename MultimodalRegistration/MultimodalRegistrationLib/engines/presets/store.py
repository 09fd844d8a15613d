"""Where presets are kept: those of the extension, and the user's own, which survive updates."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import InputError
from ...io.file_names import is_device
from ...io.outputs import OutputFiles, write_json
from ...io.user_folder import user_folder
from .model import Preset, load_preset_file, preset_content
from .specification import suggest

__all__ = ["DEFAULT_PRESET", "find_preset", "names_preset_file", "preset_files", "save_presets", "user_preset_folder"]

DEFAULT_PRESET = "rigid"
_BUILT_IN = Path(__file__).with_name("data")
_NAME = re.compile(r"\w[\w ,.+-]{0,79}")


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
        text,
        "no preset of this name",
        f"Known presets: {', '.join(sorted(files))}.{suggest(text, list(files))}",
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
