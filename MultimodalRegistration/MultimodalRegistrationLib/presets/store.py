"""Where presets are kept: those of the extension, and the user's own, which survive updates."""

from __future__ import annotations

from pathlib import Path

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.io.user_folder import user_folder
from MultimodalRegistrationLib.presets.model import Preset, load_preset_file
from MultimodalRegistrationLib.presets.specification import suggest

__all__ = ["DEFAULT_PRESET", "find_preset", "preset_files", "user_preset_folder"]

DEFAULT_PRESET = "rigid"
_BUILT_IN = Path(__file__).with_name("data")


def user_preset_folder() -> Path:
    """Folder of the user's presets; it may not exist yet."""
    return user_folder() / "presets"


def preset_files() -> dict[str, Path]:
    """Files of all presets by name; a preset of the user's hides a built-in one of the same name."""
    files = {path.stem: path for path in sorted(_BUILT_IN.glob("*.json"))}
    files.update({path.stem: path for path in sorted(user_preset_folder().glob("*.json"))})
    return files


def find_preset(name_or_file: str | Path) -> Preset:
    """Load a preset by name, or from a file.

    Parameters
    ----------
    name_or_file : str or Path
        The name of a built-in or user preset, or the path of a JSON file.

    Returns
    -------
    Preset
        The checked preset.

    Raises
    ------
    InputError
        Unknown name, or not a valid preset.
    """
    text = str(name_or_file)
    files = preset_files()
    if text in files:
        return load_preset_file(files[text])
    if text.lower().endswith(".json") or Path(text).parent != Path():
        return load_preset_file(text)
    raise InputError(
        text,
        "no preset of this name",
        f"Known presets: {', '.join(sorted(files))}.{suggest(text, list(files))}",
    )
