"""``presets``: list, show and check presets."""

from __future__ import annotations

import argparse
from typing import Any

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.presets.model import load_preset_file
from MultimodalRegistrationLib.presets.store import find_preset, preset_files, user_preset_folder

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the subcommand and its options."""
    parser = commands.add_parser("presets", help="list, show or check presets")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="all presets, one a line").set_defaults(run=_list)
    show = actions.add_parser("show", help="print the file of a preset")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(run=_show)
    validate = actions.add_parser("validate", help="check a preset file and list every problem")
    validate.add_argument("file", metavar="FILE")
    validate.set_defaults(run=_validate)


def _list(options: argparse.Namespace) -> int:
    files = preset_files()
    width = max(map(len, files))
    for name, path in files.items():
        try:
            preset = load_preset_file(path)
        except InputError as error:
            print(f"{name:{width}}  cannot be used: {error}")
            continue
        own = " (yours)" if path.parent == user_preset_folder() else ""
        print(f"{name:{width}}  {preset.title}{own} [{', '.join(preset.engines)}]")
    print(f"\nYour own presets go into {user_preset_folder()}")
    return 0


def _show(options: argparse.Namespace) -> int:
    preset = find_preset(options.name)
    print(preset.path.read_text(encoding="utf-8"), end="")
    return 0


def _validate(options: argparse.Namespace) -> int:
    preset = load_preset_file(options.file)
    print(f"{options.file}: valid; engines: {', '.join(preset.engines)}")
    return 0
